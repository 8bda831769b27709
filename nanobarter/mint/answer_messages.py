"""What mints answer to ``messages``: bodies of a ``Signed`` under DOMAIN_ANSWER by the mint's node key."""

from typing import Annotated, Final, cast

from msgspec import Meta

from nanobarter.core.canonical import Record, decode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import AgreementId, Hash, LeaseId, LockId, NodeId, NoteId, RequestId, Signature
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.units import Instant
from nanobarter.mint.messages import NOTES_MAX, PARTIES_MAX, LeaseTerms, LockTerms, Preimage

ANSWER_BYTES_MAX: Final = 64 * 1024  # 64 blind signatures, or the states of 64 locks with all their preimages

DOMAIN_ANSWER: Final = "mint/answer"
DOMAIN_LOCKED: Final = "mint/locked"
DOMAIN_CONTRACT: Final = "mint/contract"


class Minted(Record, frozen=True, tag="minted"):
    """Swap, issue, take and restore: blind signatures in the order of the outputs.

    In the answer to ``restore`` a signature is empty where that output was never issued.
    """

    request: RequestId
    committed_at: Instant
    epoch: int
    signatures: Annotated[tuple[bytes, ...], Meta(max_length=NOTES_MAX)]


class Locked(Record, frozen=True, tag="locked"):
    """The body of a ``Signed`` under DOMAIN_LOCKED: the issuer promises this leg. It names no notes."""

    terms: LockTerms
    locked_at: Instant


class LockAnswer(Record, frozen=True, tag="lock"):
    """The lock was made; ``locked`` is the receipt to show to all parties."""

    request: RequestId
    locked: Signed


class LockState(Record, frozen=True, tag="lockstate"):
    """What became of one lock: opened (with its preimages) or returned (with how), and when."""

    request: RequestId
    lock_id: LockId
    agreement: AgreementId
    state: Annotated[str, Meta(pattern="^(locked|opened|returned|taken|lapsed)$", max_length=8)]
    how: Annotated[str, Meta(pattern="^(|refund|release)$", max_length=7)]
    at: Instant
    preimages: Annotated[tuple[Preimage, ...], Meta(max_length=PARTIES_MAX)]


class Contract(Record, frozen=True, tag="contract"):
    """The body of a ``Signed`` under DOMAIN_CONTRACT by the issuer: the lease itself."""

    lease_id: LeaseId
    issuer: NodeId
    terms: LeaseTerms
    terms_hash: Hash
    start: Instant
    end: Instant
    version: int


class Leased(Record, frozen=True, tag="leased"):
    """Redeem, extend, or take into a lease: the signed contract."""

    request: RequestId
    contract: Signed


class SpentState(Record, frozen=True):
    """One spent note: the request that spent it and the witness by its key."""

    note: NoteId
    request: RequestId
    witness: Signature


class States(Record, frozen=True, tag="states"):
    """Answer to ``state``: the spent ones among the notes, and the state of each known lock."""

    request: RequestId
    at: Instant
    spent: Annotated[tuple[SpentState, ...], Meta(max_length=NOTES_MAX)]
    locks: Annotated[tuple[LockState, ...], Meta(max_length=NOTES_MAX)]


class Refusal(Record, frozen=True, tag="refusal"):
    """A signed no. ``spent`` carries the proof when the reason is SPENT."""

    request: RequestId
    reason: Reason
    at: Instant
    detail: Annotated[str, Meta(max_length=200)]
    spent: SpentState | None


Answer = Minted | LockAnswer | LockState | Leased | States | Refusal


def open_answer(data: bytes, mint: NodeId, request: RequestId) -> tuple[Signed, Answer]:
    """Return a mint's answer to this request, with the signed form that proves it to others.

    Raises Malformed when it is not signed by that mint, or answers another request.
    """
    signed = decode(data, Signed, size_max=ANSWER_BYTES_MAX)
    if signed.signer != mint:
        raise Malformed("the answer is signed by another node")
    answer = open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=ANSWER_BYTES_MAX)
    if answer.request != request:
        raise Malformed("the answer is to another request")
    return signed, answer
