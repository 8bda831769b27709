"""What a mint tells its own node after it is durable: facts, in the past tense.

An event may be lost in a crash between the commit and the telling. Observers that keep a record of their own
compare it with ``Mint.leases`` and ``Mint.locks`` when they start.
"""

from dataclasses import dataclass
from typing import Literal

from nanobarter.core.ids import LeaseId
from nanobarter.core.keys import Signed
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.messages import LockTerms, Preimage


@dataclass(frozen=True)
class LockMade:
    """A lock was made; the receipt is a ``Locked``."""

    locked: Signed


@dataclass(frozen=True)
class LockOpened:
    """A lock was fixed for its receiver; the receipt is a ``LockState`` with the preimages."""

    terms: LockTerms
    preimages: tuple[Preimage, ...]
    receipt: Signed


@dataclass(frozen=True)
class LockReturned:
    """A lock was fixed for its giver; the receipt is a ``LockState``."""

    terms: LockTerms
    how: Literal["refund", "release"]
    receipt: Signed


@dataclass(frozen=True)
class LeaseStarted:
    """Someone may now keep bytes here."""

    contract: Contract


@dataclass(frozen=True)
class LeaseExtended:
    """A lease got a newer contract: later end, perhaps fewer MiB."""

    contract: Contract


@dataclass(frozen=True)
class LeaseEnded:
    """A lease ran out; its space is free again."""

    lease_id: LeaseId


@dataclass(frozen=True)
class PromisesLapsed:
    """Notes that were not spent in time, or a lock that nobody took: this node owes them no more.

    ``name`` tells one such end from all others, and is the same whenever it is told.
    """

    name: bytes
    kind: LeaseKind
    quantity: Quantity
    at: Instant


MintEvent = LockMade | LockOpened | LockReturned | LeaseStarted | LeaseExtended | LeaseEnded | PromisesLapsed
