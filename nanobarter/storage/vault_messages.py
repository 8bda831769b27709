"""What a holder of a lease and the vault that serves it say to one another. See docs/spec/storage-network.md.

An ask is signed by the lease's holder and bound to one vault, one lease, one moment and one deed, so it is worth
nothing elsewhere or later. The bytes of a write ride beside the ask, which holds their BLAKE3: a signature over a
digest costs a tenth of one over the megabyte.
"""

from typing import Annotated, Final, cast

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.errors import Reason
from nanobarter.core.ids import Hash, LeaseId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.units import Instant
from nanobarter.storage.share import BLOCK_BYTES, SHARE_BYTES_MAX, Path, ShareBytes

DOMAIN_ASK: Final = "storage/ask"
DOMAIN_RECEIPT: Final = "storage/receipt"
DOMAIN_HEAD: Final = "storage/head"
DOMAIN_FIND: Final = "storage/find"

ENVELOPE_BYTES: Final = 2048  # an ask without its data, or an answer without its bytes
RANGES_MAX: Final = 64
Nonce = Annotated[bytes, Meta(min_length=16, max_length=16)]
Offset = Annotated[int, Meta(ge=0, lt=SHARE_BYTES_MAX)]
Detail = Annotated[str, Meta(max_length=200)]


# -- deeds, asked for


class Allocate(Record, frozen=True, tag="allocate"):
    """Set ``size`` bytes of the lease aside for the share of this root. Repeatable."""

    share: Hash
    size: ShareBytes


class Write(Record, frozen=True, tag="write"):
    """Write bytes, whose BLAKE3 is ``digest``, into an allocated share."""

    share: Hash
    offset: Offset
    digest: Hash


class Commit(Record, frozen=True, tag="commit"):
    """All is written: check it against the root and make it last."""

    share: Hash


class Place(Record, frozen=True, tag="place"):
    """Keep a whole share, whose bytes ride beside the ask, and show one block of it. Repeatable."""

    share: Hash
    nonce: Nonce
    block_index: Offset


class Read(Record, frozen=True, tag="read"):
    """Give back a range of a committed share."""

    share: Hash
    offset: Offset
    length: ShareBytes


class Prove(Record, frozen=True, tag="prove"):
    """Show that one block is still there."""

    share: Hash
    nonce: Nonce
    block_index: Offset


class List(Record, frozen=True, tag="list"):
    """Name the shares under the lease whose root sorts after ``after`` (empty: from the start)."""

    after: Annotated[bytes, Meta(max_length=32)]


class Delete(Record, frozen=True, tag="delete"):
    """Forget a share. Repeatable; one older than the share's allocation is stale and does nothing."""

    share: Hash


class PutHead(Record, frozen=True, tag="head.put"):
    """Keep the vault's head under this lease; a higher sequence replaces a lower one."""

    head: Signed


Deed = Allocate | Write | Commit | Place | Read | Prove | List | Delete | PutHead


class Ask(Record, frozen=True):
    """One deed under one lease at one vault; the body of a ``Signed`` under DOMAIN_ASK by the lease's holder."""

    node: NodeId
    lease: LeaseId
    at: Instant
    nonce: Nonce
    deed: Deed


class VaultRequest(Record, frozen=True):
    """An ask and, for a write, its bytes."""

    ask: Signed
    data: bytes


class GetHead(Record, frozen=True):
    """Anyone may ask for the head under a head key's SHA-256: it is encrypted."""

    head_id: Hash


class FindLeases(Record, frozen=True):
    """Which leases does the key that signs this, under DOMAIN_FIND, hold at this vault? From after that id on.

    For an owner who has lost everything but the phrase, and so does not know the leases under which to ask.
    """

    node: NodeId
    at: Instant
    nonce: Nonce
    after: Annotated[bytes, Meta(max_length=32)]


# -- answers


class Allocated(Record, frozen=True, tag="allocated"):
    """The bytes are set aside. ``have`` are the ranges [from, to) written so far."""

    committed: bool
    have: Annotated[tuple[tuple[Offset, ShareBytes], ...], Meta(max_length=RANGES_MAX)]


class Done(Record, frozen=True, tag="done"):
    """Written, deleted, or the head is kept."""


class Data(Record, frozen=True, tag="data"):
    """A range of a share."""

    data: bytes


class Placed(Record, frozen=True, tag="placed"):
    """The share is on disk: a receipt of ``Held``, and one of a ``Proof`` of the block asked for."""

    held: Signed
    shown: Signed


class Entry(Record, frozen=True):
    """One share under a lease."""

    share: Hash
    size: ShareBytes
    committed: bool


class Listing(Record, frozen=True, tag="listing"):
    """Shares in the order of their roots. ``more`` says that the list goes on after the last."""

    entries: tuple[Entry, ...]
    used_bytes: Annotated[int, Meta(ge=0)]
    more: bool


class HeadAnswer(Record, frozen=True, tag="head"):
    """The head, if one is kept here."""

    head: Signed | None


class FoundLease(Record, frozen=True):
    """A lease under which something of its holder is kept."""

    lease: LeaseId
    used_bytes: Annotated[int, Meta(ge=0)]
    ends_at: Instant


class Leases(Record, frozen=True, tag="leases"):
    """Leases of one holder in the order of their ids. ``more`` says that the list goes on after the last."""

    leases: tuple[FoundLease, ...]
    more: bool


class Receipt(Record, frozen=True, tag="receipt"):
    """An answer that the vault's node key signed under DOMAIN_RECEIPT: evidence if it turns out wrong."""

    signed: Signed


class Refusal(Record, frozen=True, tag="refusal"):
    """An expected no."""

    reason: Reason
    detail: Detail


Answer = Allocated | Done | Placed | Data | Listing | HeadAnswer | Leases | Receipt | Refusal
ANSWER: Final = cast("type[Answer]", Answer)  # as a decoder wants it


# -- what receipts say


class Held(Record, frozen=True, tag="held"):
    """The whole share is on disk."""

    lease: LeaseId
    share: Hash
    size: ShareBytes
    at: Instant


class Proof(Record, frozen=True, tag="proof"):
    """The block asked for, and the hashes beside its way to the root."""

    lease: LeaseId
    share: Hash
    nonce: Nonce
    block_index: Offset
    at: Instant
    block: Annotated[bytes, Meta(max_length=BLOCK_BYTES)]
    path: Path


class NoProof(Record, frozen=True, tag="noproof"):
    """There is no such share here any more: under a live lease this is a broken promise."""

    lease: LeaseId
    share: Hash
    nonce: Nonce
    at: Instant


ReceiptBody = Held | Proof | NoProof
RECEIPT_BODY: Final = cast("type[ReceiptBody]", ReceiptBody)
