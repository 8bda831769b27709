"""What a mint signs about itself once an epoch: its totals, its counts, and the roots of what it did.

A head speaks of two things. Its trees hold what was committed *in* the epoch: notes spent, outputs signed, locks made,
contracts signed. Its sums and counts are those of the instant ``at`` when it was signed, after the epoch had ended.
``since`` is when the mint's memory begins: zero, or the instant at which it was restored from an older state, with
``generation`` one higher than before. What was signed earlier is not held against this head.
"""

from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.ids import KeysetId
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.proofs.tree import ISSUED, LOCKS, SPENT, Root

DOMAIN_HEAD: Final = "mint/head"
HEAD_BYTES_MAX: Final = 48 * 1024  # 128 keysets of 21 denominations, each with two counts of four bytes
KEYSETS_MAX: Final = 128
KINDS_MAX: Final = 32

Counter = Annotated[int, Meta(ge=0, lt=2**62)]
Generation = Annotated[int, Meta(ge=0, lt=2**32)]


class Promises(Record, frozen=True):
    """What is pledged of one lease kind and what is promised of it, in MiB."""

    kind: LeaseKind
    pledged: Quantity
    outstanding: Quantity
    locked: Quantity
    leased: Quantity


class Count(Record, frozen=True):
    """How many notes of one denomination were ever signed, and how many of them spent."""

    quantity: Quantity
    issued: Counter
    spent: Counter


class KeysetCounts(Record, frozen=True):
    """The counts of one keyset; denominations that were never issued are left out."""

    keyset: KeysetId
    counts: Annotated[tuple[Count, ...], Meta(max_length=21)]


class Head(Record, frozen=True):
    """The body of a ``Signed`` under DOMAIN_HEAD by the mint's node key. A mint signs one per epoch."""

    epoch: Counter
    generation: Generation
    since: Instant
    at: Instant
    promises: Annotated[tuple[Promises, ...], Meta(max_length=KINDS_MAX)]
    keysets: Annotated[tuple[KeysetCounts, ...], Meta(max_length=KEYSETS_MAX)]
    issued: Root
    spent: Root
    locks: Root
    leases: Root

    def root(self, tree: int) -> Root:
        """Return the root of a tree by its number."""
        return {ISSUED: self.issued, SPENT: self.spent, LOCKS: self.locks}.get(tree, self.leases)

    def covers(self, at: Instant) -> bool:
        """Tell whether the mint remembers this instant: it lies behind its last restoration."""
        return self.since == 0 or at > self.since


def open_head(signed: Signed) -> Head:
    """Return the head inside. Raises Malformed when the signature or the form is wrong."""
    return open_signed(signed, DOMAIN_HEAD, Head, size_max=HEAD_BYTES_MAX)
