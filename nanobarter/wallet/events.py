"""What happened to my notes and leases, kept in the order it happened so that a ledger can follow without a gap."""

from typing import Annotated, Literal

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.ids import LeaseId
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, Quantity

Key = Annotated[bytes, Meta(max_length=80)]


class NotesReceived(Record, frozen=True, tag="received"):
    """Notes came in: from a lock in my favour, from my own lock that was returned, from a token, from the phrase."""

    quality: Quality
    quantity: Quantity
    how: Literal["take", "returned", "token", "restore"]
    key: Key
    at: Instant


class NotesSpent(Record, frozen=True, tag="spent"):
    """Notes went out; ``elsewhere`` means another copy of this wallet spent them, ``lapsed`` that they expired.

    ``retired``: their mint lost its store, began anew, and takes them no more.
    """

    quality: Quality
    quantity: Quantity
    how: Literal["lock", "redeem", "extend", "sent", "elsewhere", "lapsed", "cheated", "retired"]
    key: Key
    at: Instant


class LeaseReceived(Record, frozen=True, tag="leased"):
    """A lease began or was lengthened, paid with notes (redeem, extend) or with a lock (take)."""

    quality: Quality
    quantity: Quantity
    how: Literal["take", "redeem", "extend"]
    lease_id: LeaseId
    ends: Instant
    key: Key
    at: Instant


class LeaseEnded(Record, frozen=True, tag="ended"):
    """A lease ran out."""

    quality: Quality
    quantity: Quantity
    lease_id: LeaseId
    key: Key
    at: Instant


WalletEvent = NotesReceived | NotesSpent | LeaseReceived | LeaseEnded
EVENT_BYTES_MAX = 1024
