"""A person's policy as a plan: how many shares, on how many peers, how much space at each.

The default order is Szabo's: swap N gigabytes of mine for N gigabytes of others', as many as the folders need at
their redundancy. The plan is that N, worked out before anything is promised, so that it can be shown first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from msgspec import Struct

from nanobarter.core.ids import NodeId
from nanobarter.core.units import MIB, LeaseKind, Quantity, quantity_for
from nanobarter.storage.geometry import Geometry

GROWTH: Final = Fraction(11, 10)  # room for padding, metadata and the changes of the first weeks
SLACK_PER_ISSUER: Final = 8 * MIB  # small folders still need catalog, heads and half-empty packs
UPLOAD_BYTES_PER_SECOND: Final = 2_500_000  # a home line with 20 Mbit/s up, for the estimate shown first


@dataclass(frozen=True)
class Plan:
    """What the folders need: ``per_issuer`` MiB of one kind at each of ``geometry.n`` distinct issuers."""

    folder_bytes: int
    kind: LeaseKind
    geometry: Geometry
    per_issuer: Quantity

    @property
    def lent(self) -> Quantity:
        """What is lent at par for it: as much as is held at others."""
        return Quantity(self.per_issuer * self.geometry.n)

    def restores(self, totals: Iterable[int]) -> bool:
        """Tell whether so much space at each issuer is enough for a first backup: that of k shares in all."""
        return sum(min(self.per_issuer, total) for total in totals) >= self.geometry.k * self.per_issuer

    @property
    def upload_seconds(self) -> int:
        """A rough time for the first upload over a common home line."""
        return self.upload_seconds_at(None)

    def upload_seconds_at(self, limit: int | None) -> int:
        """Return the same where uploads are held to so many bytes a second; None: only by the line."""
        rate = UPLOAD_BYTES_PER_SECOND if limit is None else min(limit, UPLOAD_BYTES_PER_SECOND)
        return self.folder_bytes * self.geometry.n // self.geometry.k // rate


def make_plan(folder_bytes: int, kind: LeaseKind, geometry: Geometry) -> Plan:
    """Return the plan for folders of so many bytes, before compression (so it errs on the safe side)."""
    share_bytes = int(Fraction(folder_bytes, geometry.k) * GROWTH) + SLACK_PER_ISSUER if folder_bytes else 0
    return Plan(folder_bytes, kind, geometry, quantity_for(share_bytes))


class Held(Struct, frozen=True):
    """What one issuer already owes us: notes in the wallet, and room left in running leases (MiB)."""

    issuer: NodeId
    notes: Quantity
    lease_room: Quantity
    lease_used: Quantity = Quantity(0)
    renewal: Quantity = Quantity(0)
    """Notes that its leases will soon need to be lengthened, and which are therefore not free for more."""

    @property
    def total(self) -> int:
        """All space at this issuer that the folders use or may use."""
        return self.notes + self.lease_room + self.lease_used - self.renewal

    def missing(self, per_issuer: int) -> int:
        """Return how much more to order for so much at each issuer, and for every lease that is to be lengthened.

        Room in one lease does not lengthen another: that takes notes.
        """
        return max(per_issuer - self.total, self.renewal - self.notes, 0)
