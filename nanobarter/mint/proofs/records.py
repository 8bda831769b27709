"""The proofs against a mint: each holds everything that a stranger needs to judge it.

They are made of what mints and wallets sign anyway, byte for byte. ``verify`` says what each must show.
"""

from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.ids import KeysetId, LockId, PublicKey
from nanobarter.core.item import PROOF_BODY_MAX
from nanobarter.core.keys import Signed
from nanobarter.core.units import Quantity
from nanobarter.mint.messages import NOTES_MAX, Request
from nanobarter.mint.proofs.tree import Gap, Place

PROOF_BYTES_MAX: Final = PROOF_BODY_MAX

Index = Annotated[int, Meta(ge=0, lt=NOTES_MAX)]


class Exchange(Record, frozen=True):
    """A canonical request body, and the mint's signed answer to it."""

    body: bytes
    answer: Signed


# -- answers


class TwoReceipts(Record, frozen=True, tag="receipts"):
    """It honoured two requests that spend one note."""

    first: Exchange
    second: Exchange


class FalseRefusal(Record, frozen=True, tag="refusal"):
    """It refused a request for a reason that the request itself refutes, or as spent without the note key's witness.

    ``announcements`` are those of the notes' keysets; only "bad signature" needs them.
    """

    request: Request
    answer: Signed
    announcements: Annotated[tuple[Signed, ...], Meta(max_length=8)]


class FalseState(Record, frozen=True, tag="state"):
    """Asked for the state of notes, it called this one spent without a witness by its key."""

    keyset: KeysetId
    quantity: Quantity
    key: PublicKey
    answer: Signed


class FalseAnswer(Record, frozen=True, tag="answer"):
    """It honoured a request with something else than what was asked for, or with a signature that is none.

    ``announcement`` is that of the outputs' keyset; only a false blind signature needs it.
    """

    exchange: Exchange
    announcement: Signed | None


# -- announcements and heads


class TwoAnnouncements(Record, frozen=True, tag="announcements"):
    """It announced two keysets for one kind, window and generation."""

    first: Signed
    second: Signed


class BadModulus(Record, frozen=True, tag="modulus"):
    """It announced a modulus that no honest key generation makes."""

    announcement: Signed


class BadHead(Record, frozen=True, tag="head"):
    """It signed totals that break the law in themselves."""

    head: Signed


class TwoHeads(Record, frozen=True, tag="heads"):
    """It signed two heads that cannot both be true."""

    first: Signed
    second: Signed


# -- receipts against heads


class SpentReceipt(Record, frozen=True, tag="spent"):
    """The receipt for a request that spent the note at this place of its inputs."""

    exchange: Exchange
    place: Index


class IssuedReceipt(Record, frozen=True, tag="issued"):
    """The receipt for a request that had the output at this place signed."""

    exchange: Exchange
    place: Index


class LockReceipt(Record, frozen=True, tag="locked"):
    """A lock's LOCKED."""

    locked: Signed


class LeaseReceipt(Record, frozen=True, tag="leased"):
    """The first contract of a lease."""

    contract: Signed


Receipt = SpentReceipt | IssuedReceipt | LockReceipt | LeaseReceipt


class Other(Record, frozen=True, tag="other"):
    """The tree has another entry under the receipt's key."""

    place: Place


class Absent(Record, frozen=True, tag="absent"):
    """The tree has nothing under the receipt's key."""

    gap: Gap


class Omitted(Record, frozen=True, tag="omitted"):
    """A receipt that the head of its own epoch does not account for."""

    receipt: Receipt
    head: Signed
    evidence: Other | Absent


class Overlet(Record, frozen=True, tag="overlet"):
    """Contracts that ran when a head was signed, and come to more than it says is leased."""

    head: Signed
    contracts: Annotated[tuple[Signed, ...], Meta(min_length=1, max_length=256)]


# -- locks


class TwoLocked(Record, frozen=True, tag="locked"):
    """It signed two LOCKED of different terms for one lock_id."""

    first: Signed
    second: Signed


class TwoOutcomes(Record, frozen=True, tag="outcomes"):
    """It said of one lock that it was opened and that it was returned (or refunded and released)."""

    lock_id: LockId
    first: Signed
    second: Signed


class FalseOutcome(Record, frozen=True, tag="outcome"):
    """It refunded a lock before its deadline, or called it opened without its preimages."""

    locked: Signed
    answer: Signed


class OpenRefused(Record, frozen=True, tag="open"):
    """It refused to open a lock when the open was valid.

    ``later`` is a signed answer that shows that the lock was not settled yet when the open was called too late; a
    refusal for another false reason needs none.
    """

    locked: Signed
    body: bytes
    answer: Signed
    later: Signed | None


MintProof = (
    TwoReceipts
    | FalseRefusal
    | FalseState
    | FalseAnswer
    | TwoAnnouncements
    | BadModulus
    | BadHead
    | TwoHeads
    | Omitted
    | Overlet
    | TwoLocked
    | TwoOutcomes
    | FalseOutcome
    | OpenRefused
)
