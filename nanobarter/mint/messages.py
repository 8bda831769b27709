"""What wallets ask of mints, and the notes, locks and leases it is about; answers are in ``answer_messages``.

Every request is a body and its witnesses. The body names its mint and a ``valid_until``; its id is its SHA-256;
each input (a note's key, a lock's key, a lease's holder) signs the request id. So any peer may carry it, and a
repeat gets the same answer. Every answer is signed by the mint's node key, refusals too.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record, encode
from nanobarter.core.ids import (
    AgreementId,
    Hash,
    KeysetId,
    LeaseId,
    LockId,
    NodeId,
    NoteId,
    PublicKey,
    RequestId,
    Signature,
    sha256,
)
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.units import Instant, LeaseKind, Quantity, Span

PARTIES_MAX: Final = 8
NOTES_MAX: Final = 64
MODULUS_BYTES: Final = 256  # RSA-2048

REQUEST_BYTES_MAX: Final = 128 * 1024  # 64 notes in, 64 blinded messages out, about 300 bytes each, and witnesses

RsaBytes = Annotated[bytes, Meta(min_length=MODULUS_BYTES, max_length=MODULUS_BYTES)]
Preimage = Annotated[bytes, Meta(min_length=32, max_length=32)]
Index = Annotated[int, Meta(ge=0, lt=PARTIES_MAX)]

DOMAIN_ANNOUNCEMENT: Final = "mint/announcement"
DOMAIN_REQUEST: Final = "mint/request"


class DenominationKey(Record, frozen=True):
    """The RSA-2048 modulus (exponent 65537) under which notes of one power of two are signed."""

    quantity: Quantity
    modulus: RsaBytes


class Announcement(Record, frozen=True):
    """One keyset: the body of a ``Signed`` under DOMAIN_ANNOUNCEMENT by the issuer's node key.

    keyset_id = SHA-256 of the canonical *signed* announcement, cut to 16 bytes.
    """

    kind: LeaseKind
    generation: Annotated[int, Meta(ge=0, lt=2**32)]
    scheme: Annotated[int, Meta(ge=0, lt=256)]
    issue_from: Instant
    issue_until: Instant
    redeem_until: Instant
    purge_at: Instant
    terms_hash: Hash
    keys: Annotated[tuple[DenominationKey, ...], Meta(max_length=21)]


class Note(Record, frozen=True):
    """A bearer note: whoever has the secret of ``key`` may spend it once, at its issuer."""

    keyset: KeysetId
    quantity: Quantity
    key: PublicKey
    signature: RsaBytes


class BlindOutput(Record, frozen=True):
    """A blinded note message to be signed under (keyset, quantity)."""

    keyset: KeysetId
    quantity: Quantity
    blinded: RsaBytes


Notes = Annotated[tuple[Note, ...], Meta(max_length=NOTES_MAX)]
Outputs = Annotated[tuple[BlindOutput, ...], Meta(max_length=NOTES_MAX)]


class LockTerms(Record, frozen=True):
    """The leg of a ring that a lock stands for (swap.md, "The lock"); all of it comes from AGREED."""

    agreement: AgreementId
    lock_id: LockId
    index: Index
    issuer: NodeId
    kind: LeaseKind
    terms_hash: Hash
    quantity: Quantity
    hashes: Annotated[tuple[Hash, ...], Meta(min_length=2, max_length=PARTIES_MAX)]
    to_key: PublicKey
    refund_key: PublicKey
    deadline: Instant
    delta: Span
    take_until: Instant
    previous_issuer: PublicKey


class LeaseTerms(Record, frozen=True):
    """What a lease shall be: so many MiB of one kind, held by whoever has the secret of ``holder``."""

    kind: LeaseKind
    quantity: Quantity
    holder: PublicKey


def lock_id_of(agreement: AgreementId, index: int) -> LockId:
    """Return the id of the one lock that may exist for arc ``index``: SHA-256 of agreement id and one byte."""
    return LockId(sha256(agreement + index.to_bytes(1, "big")))


def lease_id_of(request: RequestId) -> LeaseId:
    """Return the id of the lease that a request starts."""
    return LeaseId(sha256(b"nanobarter/lease\x00" + request))


# -- bodies of requests; witnesses are listed in the order of the inputs


class SwapBody(Record, frozen=True, tag="swap"):
    """Notes for fresh notes of the same kind, terms and sum. Witnesses: each note's key."""

    mint: NodeId
    valid_until: Instant
    inputs: Notes
    outputs: Outputs


class IssueBody(Record, frozen=True, tag="issue"):
    """Fresh notes out of free pledged space; local to the node. Witness: the mint's own node key."""

    mint: NodeId
    valid_until: Instant
    outputs: Outputs


class LockBody(Record, frozen=True, tag="lock"):
    """A lock made from notes, or without inputs from the mint's own free space.

    Witnesses: each note's key; without inputs, the mint's node key.
    """

    mint: NodeId
    valid_until: Instant
    inputs: Notes
    terms: LockTerms


class OpenBody(Record, frozen=True, tag="open"):
    """All n preimages of a lock, from anyone; ``proof`` is the receipt of arc j-1 that a late open needs."""

    mint: NodeId
    valid_until: Instant
    lock_id: LockId
    preimages: Annotated[tuple[Preimage, ...], Meta(min_length=2, max_length=PARTIES_MAX)]
    proof: Signed | None


class RefundBody(Record, frozen=True, tag="refund"):
    """Return a lock after its deadline. Witness: its refund key."""

    mint: NodeId
    valid_until: Instant
    lock_id: LockId


class ReleaseBody(Record, frozen=True, tag="release"):
    """Return a lock at once. Witness: its to_key."""

    mint: NodeId
    valid_until: Instant
    lock_id: LockId


class TakeBody(Record, frozen=True, tag="take"):
    """Turn an opened or returned lock, whole, into notes *or* into a lease. Witness: to_key or refund_key."""

    mint: NodeId
    valid_until: Instant
    lock_id: LockId
    outputs: Outputs
    lease: LeaseTerms | None


class RedeemBody(Record, frozen=True, tag="redeem"):
    """Notes for a lease of exactly their sum. Witnesses: each note's key."""

    mint: NodeId
    valid_until: Instant
    inputs: Notes
    lease: LeaseTerms


class ExtendBody(Record, frozen=True, tag="extend"):
    """Notes of a lease's kind and terms, to lengthen it by one term from its old end.

    ``keep`` may be less than its size. Witnesses: each note's key, then the holder's.
    """

    mint: NodeId
    valid_until: Instant
    inputs: Notes
    lease_id: LeaseId
    keep: Quantity


class StateBody(Record, frozen=True, tag="state"):
    """Ask what became of notes and locks. No witness."""

    mint: NodeId
    valid_until: Instant
    notes: Annotated[tuple[NoteId, ...], Meta(max_length=NOTES_MAX)]
    locks: Annotated[tuple[LockId, ...], Meta(max_length=NOTES_MAX)]


class RestoreBody(Record, frozen=True, tag="restore"):
    """Ask again for blind signatures that were made before. No witness: they are of use to nobody else."""

    mint: NodeId
    valid_until: Instant
    outputs: Outputs


Body = (
    SwapBody
    | IssueBody
    | LockBody
    | OpenBody
    | RefundBody
    | ReleaseBody
    | TakeBody
    | RedeemBody
    | ExtendBody
    | StateBody
    | RestoreBody
)


class Request(Record, frozen=True):
    """A canonical body and the witnesses over its id (each ``sign(DOMAIN_REQUEST, request_id)``)."""

    body: bytes
    witnesses: Annotated[tuple[Signature, ...], Meta(max_length=NOTES_MAX + 1)]


def request_id_of(body: bytes) -> RequestId:
    """Return the id of a request: SHA-256 of its canonical body."""
    return RequestId(sha256(body))


def make_request(body: Body, witnesses: Sequence[SigningKey]) -> Request:
    """Return the request with a witness by each key, in the order that its body's docstring tells."""
    data = encode(body)
    request = request_id_of(data)
    return Request(data, tuple(key.sign(DOMAIN_REQUEST, request) for key in witnesses))
