"""What the parties of one ring say to one another; every message is a ``Signed`` under its own domain.

The order of a ring that succeeds (docs/spec/swap.md has the table):
DRAFT, APPROVE, AGREED, LOCKED, VOTE, OPENED. LOCKED and OPENED are words of the issuers and are
defined by the mint (``mint.messages``); this file defines the rest.

AGREED repeats nothing of the draft but its id: the approvals carry each arc's keys, issuer, kind, terms and
quantity, so whoever holds AGREED, a third issuer too, can derive every lock from it without the bids.
"""

from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record, encode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import AgreementId, BidId, DraftId, Hash, LockId, NodeId, PublicKey, sha256
from nanobarter.core.item import ITEM_MAX, Item
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind, Quantity, Span
from nanobarter.mint.messages import PARTIES_MAX, Index, Preimage

DOMAIN_DRAFT: Final = "swap/draft"
DOMAIN_APPROVE: Final = "swap/approve"
DOMAIN_REFUSE: Final = "swap/refuse"
DOMAIN_AGREED: Final = "swap/agreed"
DOMAIN_CANCEL: Final = "swap/cancel"
DOMAIN_VOTE: Final = "swap/vote"
DOMAIN_TERMS: Final = "swap/terms"

APPROVE_MAX: Final = 512  # seven hashes and keys and some integers take about 330 bytes
AGREED_MAX: Final = PARTIES_MAX * (APPROVE_MAX + 128) + 256
DRAFT_MAX: Final = PARTIES_MAX * (ITEM_MAX + 256) + 256
SMALL_MAX: Final = 1024  # a refusal with a detail in the widest letters
SIGNED_EXTRA: Final = 128  # key, signature and framing around a signed body
DETAIL_MAX: Final = 200

Nonce = Annotated[bytes, Meta(min_length=32, max_length=32)]
Detail = Annotated[str, Meta(max_length=DETAIL_MAX)]


class Pace(Record, frozen=True):
    """How fast a ring runs: the spans that all its parties must have configured alike.

    T_lock = t0 + ``lock``, T_vote = t0 + ``vote``, D_j = T_vote + (n - j) * ``delta``, and what an ended lock
    holds may be taken until D_0 + ``take``.
    """

    approve: Span
    lock: Span
    vote: Span
    delta: Span
    take: Span


class DraftArc(Record, frozen=True):
    """Arc j of a ring: ``giver`` (P_j) gives so much of a quality to P_{j+1}, out of one of its bids."""

    bid: BidId
    giver: NodeId
    quality: Quality
    quantity: Quantity


class Draft(Record, frozen=True):
    """A proposed ring with the bids that it rests on, arc by arc; the proposer is the giver of arc 0."""

    arcs: Annotated[tuple[DraftArc, ...], Meta(min_length=2, max_length=PARTIES_MAX)]
    bids: Annotated[tuple[Item, ...], Meta(min_length=2, max_length=PARTIES_MAX)]
    pace: Pace
    nonce: Nonce
    time: Instant


class Approve(Record, frozen=True):
    """P_i reserves its arc until ``expires``, and commits to its vote by the hash of a secret.

    ``to_key`` receives arc i-1, ``refund_key`` gets arc i back. ``issuer`` is the node key of M_i and
    ``terms_hash`` what M_i promises for the kind. ``nonce`` is the r_i from which the secret was derived.
    """

    draft: DraftId
    index: Index
    hash: Hash
    nonce: Nonce
    to_key: PublicKey
    refund_key: PublicKey
    issuer: PublicKey
    kind: LeaseKind
    terms_hash: Hash
    quantity: Quantity
    expires: Instant


class Refuse(Record, frozen=True):
    """P_i does not take part, before or after it approved; ``free`` is what it could give instead."""

    draft: DraftId
    index: Index
    reason: Reason
    free: Quantity
    detail: Detail


class Agreed(Record, frozen=True):
    """All approved: the ring is on from ``start`` (t0). Two of them for one draft convict the proposer."""

    draft: DraftId
    approvals: Annotated[tuple[Signed, ...], Meta(min_length=2, max_length=PARTIES_MAX)]
    start: Instant
    pace: Pace


class Cancel(Record, frozen=True):
    """The proposer gives the draft up. Whoever has not voted may stop at once."""

    draft: DraftId
    reason: Reason
    detail: Detail


class Vote(Record, frozen=True):
    """P_i's secret: it saw all n locks. From here on its arc may be paid without asking it again."""

    agreement: AgreementId
    index: Index
    secret: Preimage


class TermsQuestion(Record, frozen=True):
    """Are you there, and what do you promise for this kind? Not signed: the answer is the same for all."""

    kind: LeaseKind


class IssuerTerms(Record, frozen=True):
    """An issuer's signed answer to a ``TermsQuestion``."""

    kind: LeaseKind
    terms_hash: Hash
    at: Instant


class Ack(Record, frozen=True):
    """The receiver has recorded the message (or knew it, or has no use for it): stop repeating."""

    known: bool


def draft_id_of(draft: Signed) -> DraftId:
    """Return the id of a signed draft: the SHA-256 of its canonical bytes, signature included."""
    return DraftId(sha256(encode(draft)))


def agreement_id_of(agreed: Signed) -> AgreementId:
    """Return the id of a signed AGREED: the SHA-256 of its canonical bytes, signature included."""
    return AgreementId(sha256(encode(agreed)))


def lock_id_of(agreement: AgreementId, index: int) -> LockId:
    """Return the id of the one lock that may exist for arc ``index``: SHA-256 of agreement id and one byte."""
    return LockId(sha256(agreement + index.to_bytes(1, "big")))


def hash_of(secret: Preimage) -> Hash:
    """Return h_i for s_i."""
    return sha256(secret)


def open_draft(signed: Signed) -> Draft:
    """Return the draft inside. Raises Malformed unless the giver of arc 0 signed a ring of distinct nodes."""
    return check_ring(signed, DOMAIN_DRAFT)


def check_ring(signed: Signed, domain: str) -> Draft:
    """Return the ring that was signed under a domain: as a draft, or as a question about one. Raises Malformed."""
    draft = open_signed(signed, domain, Draft, size_max=DRAFT_MAX)
    if len(draft.bids) != len(draft.arcs):
        raise Malformed(f"{len(draft.arcs)} arcs rest on {len(draft.bids)} bids")
    if len({arc.giver for arc in draft.arcs}) != len(draft.arcs):
        raise Malformed("a node has two positions in the ring")
    if any(arc.quantity < 1 for arc in draft.arcs):
        raise Malformed("an arc gives nothing")
    if signed.signer != draft.arcs[0].giver:
        raise Malformed("the draft is not signed by the giver of its first arc")
    return draft


def open_approve(signed: Signed) -> Approve:
    """Return the approval inside. Raises Malformed; whether the signer has that position is checked apart."""
    return open_signed(signed, DOMAIN_APPROVE, Approve, size_max=APPROVE_MAX)


def open_refuse(signed: Signed) -> Refuse:
    """Return the refusal inside, or raise Malformed."""
    return open_signed(signed, DOMAIN_REFUSE, Refuse, size_max=SMALL_MAX)


def open_cancel(signed: Signed) -> Cancel:
    """Return the cancellation inside, or raise Malformed."""
    return open_signed(signed, DOMAIN_CANCEL, Cancel, size_max=SMALL_MAX)


def open_vote(signed: Signed) -> Vote:
    """Return the vote inside, or raise Malformed."""
    return open_signed(signed, DOMAIN_VOTE, Vote, size_max=SMALL_MAX)
