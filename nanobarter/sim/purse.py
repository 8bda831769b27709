"""The little of a wallet that a ring needs: bodies and witnesses for locks, releases, refunds and takes."""

from collections.abc import Sequence
from functools import lru_cache

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import RequestId, sha256
from nanobarter.core.keys import SigningKey, derive
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import Instant, Quantity, Span, after
from nanobarter.mint.messages import (
    DOMAIN_REQUEST,
    BlindOutput,
    Body,
    LockBody,
    LockTerms,
    RefundBody,
    ReleaseBody,
    StateBody,
    TakeBody,
)
from nanobarter.mint.notes import split
from nanobarter.mint.outcomes import Case
from nanobarter.sim.node import Node
from nanobarter.sim.people import DENOMINATIONS, Person

BODY_MAX = 16 * 1024


def case_of(body: Body, witnesses: Sequence[SigningKey] = ()) -> Case:
    """Return a request as a mint takes it, with a witness by each key."""
    request = RequestId(sha256(encode(body)))
    return Case(request, body, tuple(key.sign(DOMAIN_REQUEST, request) for key in witnesses))


@lru_cache(1024)
def lock_key(secret: bytes, draft_id: bytes, index: int, role: str) -> SigningKey:
    """Return a party's key of an arc: the same whenever it is asked for."""
    return SigningKey(derive(secret, "lock", draft_id, index.to_bytes(1, "big"), role.encode()))


def valid_until(node: Node) -> Instant:
    """Return until when a question asked now is good."""
    return after(node.now, Span(LIMITS.request_valid_max // 2))


def lock_case(node: Node, issuer: Person, terms: LockTerms, until: Instant) -> Case:
    """Return the request for the own arc's lock: from free space, or from the notes held, always the same bytes."""
    if issuer.key.node_id == node.node:
        return case_of(LockBody(terms.issuer, until, (), terms), [node.key])
    held = issuer.coins[node.node]
    coins = [held[q] for q in split(terms.quantity, max(DENOMINATIONS))]
    return case_of(LockBody(terms.issuer, until, tuple(c.note for c in coins), terms), [c.owner for c in coins])


def state_case(node: Node, terms: LockTerms) -> Case:
    """Return the question what became of a lock."""
    return case_of(StateBody(terms.issuer, valid_until(node), (), (terms.lock_id,)))


def release_case(node: Node, terms: LockTerms, key: SigningKey) -> Case:
    """Return the request that gives up a lock in our favour."""
    return case_of(ReleaseBody(terms.issuer, valid_until(node), terms.lock_id), [key])


def refund_case(node: Node, terms: LockTerms, key: SigningKey) -> Case:
    """Return the request that fetches our own lock back."""
    return case_of(RefundBody(terms.issuer, valid_until(node), terms.lock_id), [key])


def take_body(node: Node, issuer: Person, terms: LockTerms) -> TakeBody:
    """Return a new request for what a lock holds."""
    outputs = tuple(
        _output(issuer, terms.lock_id, q, i) for i, q in enumerate(split(terms.quantity, max(DENOMINATIONS)))
    )
    return TakeBody(terms.issuer, valid_until(node), terms.lock_id, outputs, None)


def _output(issuer: Person, lock_id: bytes, quantity: Quantity, index: int) -> BlindOutput:
    message = sha256(lock_id + bytes([index])) * 8
    return BlindOutput(issuer.keyset.keyset_id, quantity, b"\x00" + message[1:])


def kept_take(node: Node, lock_id: bytes) -> TakeBody | None:
    """Return the take that was written before, to be asked for again under the same id."""
    row = node.db.execute("SELECT body FROM sim_takes WHERE lock_id = ?", (lock_id,)).fetchone()
    return None if row is None else decode(row[0], TakeBody, size_max=BODY_MAX)


def keep_take(node: Node, body: TakeBody) -> None:
    """Write a take down, in the place of one that has expired. Call inside a durable write."""
    node.db.execute("INSERT OR REPLACE INTO sim_takes VALUES (?, ?)", (body.lock_id, encode(body)))
