"""A mint whose store is older than what it signed: how it sees that, what it says of it, and what it takes up again.

A store that comes back from a backup has forgotten which notes were spent since, and would honour them twice. What
the mint signed meanwhile is in others' hands: contracts, receipts of locks, answers, announcements. One of them that
the store should know and does not is proof enough, and nobody but the mint itself can have made it. Then all notes of
the past are worthless (nobody can tell the spent ones), a new generation of keysets begins, and the notice says so to
all. Leases, and locks not settled here, are taken up again from what their holders show, as far as the pledge reaches.
"""

from dataclasses import dataclass
from typing import Annotated, Final, cast

from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import KeysetId, NodeId, RequestId, sha256
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.units import DAY, Instant, Span, after, before
from nanobarter.mint import rows
from nanobarter.mint.answer_messages import (
    ANSWER_BYTES_MAX,
    DOMAIN_ANSWER,
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    Answer,
    Contract,
    Locked,
    Minted,
)
from nanobarter.mint.heads import rows as head_rows
from nanobarter.mint.messages import REQUEST_BYTES_MAX, Body, SwapBody, TakeBody, request_id_of
from nanobarter.mint.notes import check_announcement
from nanobarter.mint.proofs.records import Exchange
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import KEEP_AFTER

DOMAIN_RESTORED: Final = "mint/restored"
STATEMENTS_MAX: Final = 64
EXCHANGES_MAX: Final = 4
EXCHANGE_BYTES_MAX: Final = 16 * 1024  # a swap of a few notes; larger ones are not shown
REMEMBERED_BYTES_MAX: Final = 512 * 1024
EXPOSED_WITHIN: Final = Span(90 * DAY)  # an honest disk does not fail twice in a season
_STATEMENT_BYTES_MAX: Final = 8 * 1024
_ANSWERS_KEPT: Final = Span(35 * DAY)  # every honoured request is remembered for longer

Statements = Annotated[tuple[Signed, ...], Meta(max_length=STATEMENTS_MAX)]


class Restored(Record, frozen=True):
    """The body of a ``Signed`` under DOMAIN_RESTORED: the mint lost what it did after ``last``.

    Keysets of earlier generations, ``retired`` among them, are worth nothing since ``since``.
    """

    generation: Annotated[int, Meta(ge=1, lt=2**32)]
    since: Instant
    last: Instant
    retired: Annotated[tuple[KeysetId, ...], Meta(max_length=STATEMENTS_MAX)]


class Remembered(Record, frozen=True):
    """What a peer holds that the asking mint signed: the newest of each sort."""

    announcements: Statements = ()
    contracts: Statements = ()
    locked: Statements = ()
    exchanges: Annotated[tuple[Exchange, ...], Meta(max_length=EXCHANGES_MAX)] = ()


def open_restored(signed: Signed) -> Restored:
    """Return the notice inside. Raises Malformed when it is none; whose it is, ``signed.signer`` tells."""
    return open_signed(signed, DOMAIN_RESTORED, Restored, size_max=_STATEMENT_BYTES_MAX)


def exposes(one: Restored, other: Restored) -> bool:
    """Tell whether two notices of one node are too close together for an honest one."""
    return one.generation != other.generation and abs(one.since - other.since) < EXPOSED_WITHIN


@dataclass(frozen=True)
class Past:
    """The generation that a mint issues under, and since when it remembers everything: 0 for always."""

    generation: int
    since: Instant
    notice: Signed | None


def past(db: Db) -> Past:
    """Return where the mint's memory begins."""
    row = rows.one(db, "SELECT generation, since, notice FROM mint_generations ORDER BY generation DESC LIMIT 1")
    if row is None:
        return Past(0, Instant(0), None)
    return Past(row[0], Instant(row[1]), decode(row[2], Signed, size_max=_STATEMENT_BYTES_MAX))


# -- seeing it


def unknown(db: Db, me: NodeId, shown: Remembered, now: Instant) -> str:
    """Return what the mint signed and its store should know but does not, in words; empty when nothing.

    What was signed before the present generation began is known to be lost and counts no more. Raises Malformed
    when something shown is not the mint's own word.
    """
    known = past(db)
    for signed in shown.announcements:
        keyset = check_announcement(signed, me)
        body = keyset.announcement
        found = rows.one(db, "SELECT 1 FROM mint_keysets WHERE keyset_id = ?", keyset.keyset_id)
        if found is None and body.generation >= known.generation and body.purge_at > now:
            return f"keyset {keyset.keyset_id.hex()}"
    for contract in _contracts(me, shown):
        found = rows.find_lease(db, contract.lease_id)
        fresh = contract.start > known.since and contract.end > now
        if fresh and (found is None or found.version < contract.version):
            return f"lease {contract.lease_id.hex()}"
    for locked in _locked(me, shown):
        fresh = locked.locked_at > known.since and locked.terms.take_until > now
        if fresh and rows.find_lock(db, locked.terms.lock_id) is None:
            return f"lock {locked.terms.lock_id.hex()}"
    for exchange in shown.exchanges:
        request, at = _honoured(me, exchange)
        if at > max(known.since, before(now, _ANSWERS_KEPT)) and rows.find_request(db, request) is None:
            return f"request {request.hex()}"
    return ""


def _contracts(me: NodeId, shown: Remembered) -> list[Contract]:
    return [
        open_signed(_own(me, signed), DOMAIN_CONTRACT, Contract, size_max=_STATEMENT_BYTES_MAX)
        for signed in shown.contracts
    ]


def _locked(me: NodeId, shown: Remembered) -> list[Locked]:
    return [
        open_signed(_own(me, signed), DOMAIN_LOCKED, Locked, size_max=_STATEMENT_BYTES_MAX) for signed in shown.locked
    ]


def _honoured(me: NodeId, exchange: Exchange) -> tuple[RequestId, Instant]:
    """Return the request that was honoured, and when; time 0 for one that leaves no record, such as a restore."""
    request = request_id_of(exchange.body)
    body = decode(exchange.body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
    signed = _own(me, exchange.answer)
    answer = open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=ANSWER_BYTES_MAX)
    if answer.request != request:
        raise Malformed("the answer is to another request")
    if not isinstance(body, SwapBody | TakeBody) or not isinstance(answer, Minted):
        return request, Instant(0)
    return request, answer.committed_at


def _own(me: NodeId, signed: Signed) -> Signed:
    if signed.signer != me:
        raise Malformed("it is signed by another node")
    return signed


# -- saying it


def begin_generation(db: Db, key: SigningKey, now: Instant) -> Signed:
    """Retire all keysets, begin a new generation and return the notice of it, durable with the commit.

    The number comes from the clock, so that it is new even where the store has forgotten an earlier restoration.
    """
    last = rows.one(db, "SELECT max(committed_at) FROM mint_requests")
    retired = list[KeysetId]()
    found = db.execute(
        "SELECT number, keyset_id, kind, closed FROM mint_keysets WHERE closed < 2 ORDER BY number DESC"
    ).fetchall()
    for number, keyset, kind, closed in found:
        retired.append(KeysetId(keyset))
        if not closed:
            rows.close_keyset(db, number, kind)
    notice = Restored(
        generation=max(past(db).generation + 1, now // 1000),
        since=now,
        last=Instant(last[0] if last and last[0] else 0),
        retired=tuple(retired[:STATEMENTS_MAX]),
    )
    head_rows.begin_generation(db, notice.generation, now)
    signed = seal_signed(key, DOMAIN_RESTORED, notice)
    db.execute("INSERT INTO mint_generations VALUES (?, ?, ?)", (notice.generation, now, encode(signed)))
    return signed


# -- taking up again


def adopt(db: Db, me: NodeId, shown: Remembered, now: Instant) -> list[Contract]:
    """Take up leases and locks of before the last restoration that a holder shows; returns the leases.

    What the pledge has no room for is left: the law stands above what was forgotten. Raises Malformed as ``unknown``.
    """
    since = past(db).since
    taken = [c for c in _contracts(me, shown) if c.start <= since and c.end > now and _adopt_lease(db, c, now)]
    for locked in _locked(me, shown):
        terms = locked.terms
        fits = locked.locked_at <= since and terms.take_until > now and terms.quantity <= rows.free(db, terms.kind)
        if fits and rows.find_lock(db, terms.lock_id) is None:
            number = _record(db, b"lock" + terms.lock_id, now, terms.take_until, None)
            rows.move(db, terms.kind, locked=terms.quantity)
            rows.add_lock(db, terms, fresh=False, request=number, at=locked.locked_at)
    return taken


def _adopt_lease(db: Db, contract: Contract, now: Instant) -> bool:
    kind, known = contract.terms.kind, rows.find_lease(db, contract.lease_id)
    if known is not None and known.version >= contract.version:
        return False
    more = contract.terms.quantity - (known.terms.quantity if known is not None else 0)
    if more > rows.free(db, kind) or _has_ended(db, contract):
        return False
    name = b"lease" + contract.lease_id + contract.version.to_bytes(8, "big")
    number = _record(db, name, now, contract.end, encode(contract))
    rows.move(db, kind, leased=more)
    if known is None:
        rows.add_lease(db, contract, number)
    else:
        rows.renew_lease(db, contract, number)
    return True


def _has_ended(db: Db, contract: Contract) -> bool:
    return rows.one(db, "SELECT 1 FROM mint_leases WHERE lease_id = ? AND ended = 1", contract.lease_id) is not None


def _record(db: Db, name: bytes, now: Instant, until: Instant, result: bytes | None) -> int:
    """Account for what was adopted, as for a request that was honoured."""
    return rows.add_request(db, RequestId(sha256(b"adopted" + name)), now, after(until, KEEP_AFTER), result)


# -- the counter beside the store


def count(db: Db) -> int:
    """Count the store's memory on by one, and return the count."""
    db.execute("INSERT INTO mint_memory VALUES (1, 1) ON CONFLICT DO UPDATE SET counter = counter + 1")
    return counted(db)


def counted(db: Db) -> int:
    """Return how far the store's memory was counted."""
    row = rows.one(db, "SELECT counter FROM mint_memory")
    return 0 if row is None else row[0]
