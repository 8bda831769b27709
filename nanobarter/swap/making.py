"""Making the messages of a ring: drafts, approvals with their secrets, agreements. Signing is deterministic."""

from collections.abc import Sequence
from typing import Final

from nanobarter.core.canonical import Record
from nanobarter.core.errors import InvariantBroken, Malformed
from nanobarter.core.ids import Hash, PublicKey
from nanobarter.core.item import Item
from nanobarter.core.keys import Signed, SigningKey, derive, seal_signed
from nanobarter.core.units import Instant, Span, after
from nanobarter.matching.network import Match
from nanobarter.matching.wire import bid_id_of
from nanobarter.mint.messages import Preimage
from nanobarter.swap.messages import (
    DOMAIN_AGREED,
    DOMAIN_APPROVE,
    DOMAIN_CANCEL,
    DOMAIN_DRAFT,
    DOMAIN_REFUSE,
    DOMAIN_VOTE,
    Agreed,
    Approve,
    Cancel,
    Draft,
    DraftArc,
    Refuse,
    Vote,
    draft_id_of,
    hash_of,
    open_draft,
)
from nanobarter.swap.states import Gathering, Mine

DOMAINS: Final[dict[type[Record], str]] = {
    Draft: DOMAIN_DRAFT,
    Approve: DOMAIN_APPROVE,
    Refuse: DOMAIN_REFUSE,
    Agreed: DOMAIN_AGREED,
    Cancel: DOMAIN_CANCEL,
    Vote: DOMAIN_VOTE,
}


def seal_message(key: SigningKey, message: Record) -> Signed:
    """Return a message under its own domain; what is signed already stays as it is."""
    return message if isinstance(message, Signed) else seal_signed(key, DOMAINS[type(message)], message)


def make_draft(key: SigningKey, draft: Draft) -> Signed:
    """Return the signed draft; ``key`` is that of the giver of arc 0."""
    return seal_message(key, draft)


def vote_secret(key: SigningKey, draft_id: bytes, index: int, nonce: bytes) -> Preimage:
    """Return s_i: derived from the node's secret, so that it is nowhere until it is needed, and repeatable."""
    return derive(key.secret, "vote", draft_id, index.to_bytes(1, "big"), nonce)


def make_approve(
    key: SigningKey,
    draft: Signed,
    index: int,
    *,
    nonce: bytes,
    to_key: PublicKey,
    refund_key: PublicKey,
    issuer: PublicKey,
    terms_hash: Hash,
) -> Mine:
    """Return the position of a party that reserves its arc until T_lock of the latest possible agreement."""
    content, draft_id = open_draft(draft), draft_id_of(draft)
    arc = content.arcs[index]
    secret = vote_secret(key, draft_id, index, nonce)
    expires = after(content.time, Span(content.pace.approve + content.pace.lock))
    approve = Approve(
        draft=draft_id,
        index=index,
        hash=hash_of(secret),
        nonce=nonce,
        to_key=to_key,
        refund_key=refund_key,
        issuer=issuer,
        kind=arc.quality.kind,
        terms_hash=terms_hash,
        quantity=arc.quantity,
        expires=expires,
    )
    return Mine(index, arc.bid, secret, seal_message(key, approve))


def make_agreed(key: SigningKey, state: Gathering, now: Instant) -> Signed:
    """Return AGREED, starting now, from a proposer's state that holds all approvals."""
    approvals = tuple(a for a in state.approvals if a is not None)
    if len(approvals) < len(state.approvals):
        raise InvariantBroken("an agreement is made before all have approved")
    return seal_message(key, Agreed(draft_id_of(state.draft), approvals, now, open_draft(state.draft).pace))


def ring_of(match: Match, bids: Sequence[Item]) -> tuple[tuple[DraftArc, ...], tuple[Item, ...]]:
    """Return the arcs of a match and the bids behind them in the same order.

    Raises Malformed when a bid is missing or a node stands in it twice: no draft can be made of it.
    """
    by_id = {bid_id_of(item): item for item in bids}
    if missing := [a.bid for a in match.arcs if a.bid not in by_id]:
        raise Malformed(f"{len(missing)} bids of the match are missing")
    if len({a.giver for a in match.arcs}) < len(match.arcs):
        raise Malformed("a node has two positions in the ring")
    arcs = tuple(DraftArc(a.bid, a.giver, a.quality, a.quantity) for a in match.arcs)
    return arcs, tuple(by_id[a.bid] for a in match.arcs)
