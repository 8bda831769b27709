"""What the keeper asks of the node: what each issuer owes us, and how large the folders are.

Read-only views: the loop from a lost share to a new order closes here, without an import upward.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio
from msgspec.structs import replace

from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.units import (
    MIB,
    MINUTE,
    Instant,
    LeaseKind,
    Quantity,
    Span,
    after,
    quantity_for,
    span_between,
    term,
)
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, Contract
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.lead import order_lead
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.measuring import FolderSize, measure
from nanobarter.translator.plan import Held
from nanobarter.wallet.service import Wallet

MEASURE_AGAIN: Final = Span(10 * MINUTE)  # between two walks over the folders; a backup measures anew


@dataclass(frozen=True)
class Leased:
    """One running lease, as far as the plan is concerned."""

    issuer: NodeId
    quantity: Quantity
    used_bytes: int
    end: Instant


def held_of(
    wallet: Wallet, leases: LeaseBook, kind: LeaseKind, me: NodeId, now: Instant, limits: Limits
) -> dict[NodeId, Held]:
    """Return, by issuer, the notes and leases that count for the plan of a machine that is on as the book has it."""
    notes = {h.quality.issuer: h.quantity for h in wallet.holdings() if h.quality.kind == kind}
    # The wallet knows of a lease in the same commit as of the notes that paid for it; the lease book a moment later.
    found = {c.lease_id: Leased(c.issuer, c.terms.quantity, 0, c.end) for c in map(contract_of, wallet.leases())}
    for lease in leases.live():
        size = Quantity(lease.quota_bytes // MIB)
        found[lease.lease_id] = Leased(lease.issuer, size, lease.used_bytes, lease.ends_at)
    notes.pop(me, None)
    return owed_by(notes, found.values(), kind, now, limits.lease_head_reserve_bytes, leases.on())


def owed_by(
    notes: Mapping[NodeId, Quantity],
    leases: Iterable[Leased],
    kind: LeaseKind,
    now: Instant,
    head_bytes: int,
    on: float = 1.0,
) -> dict[NodeId, Held]:
    """Return what each issuer owes. ``head_bytes``: what of each lease that is lengthened is kept for the vault's head.

    The notes for lengthening a lease are ordered when half its term is left, and earlier by who is seldom ``on``
    (``storage.lead``). From then on the room left in it counts no more: only what is used is lengthened, and room that
    ends with the lease must not stand for the notes that the lengthening takes.
    """
    found = {issuer: Held(issuer, quantity, Quantity(0), Quantity(0)) for issuer, quantity in notes.items()}
    for lease in leases:
        before = found.get(lease.issuer) or Held(lease.issuer, Quantity(0), Quantity(0), Quantity(0))
        used = quantity_for(lease.used_bytes)
        due = bool(used) and span_between(now, lease.end) <= order_lead(term(kind), on)
        needed = min(quantity_for(lease.used_bytes + head_bytes), lease.quantity) if due else 0
        found[lease.issuer] = replace(
            before,
            lease_room=Quantity(before.lease_room + (0 if due else max(lease.quantity - used, 0))),
            lease_used=Quantity(before.lease_used + used),
            renewal=Quantity(before.renewal + needed),
        )
    return found


def contract_of(signed: Signed) -> Contract:
    """Return the lease in a signed contract that the wallet has checked."""
    return open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=len(signed.body))


@dataclass
class Folders:
    """Measures the configured folders, in a worker thread, and remembers it for a while."""

    paths: list[Path]
    excludes: Excludes
    clock: Clock
    _measured: FolderSize = field(default_factory=FolderSize)
    _again_at: Instant = Instant(0)

    def add(self, paths: Sequence[Path]) -> None:
        """Count these folders too from now on: they were backed up by hand."""
        self.paths += [path for path in paths if path not in self.paths]

    async def measure(self, *, anew: bool = False) -> FolderSize:
        """Return how much there is to keep safe."""
        if anew or self.clock.now() >= self._again_at:
            self._measured = await trio.to_thread.run_sync(measure, self.paths, self.excludes)
            self._again_at = after(self.clock.now(), MEASURE_AGAIN)
        return self._measured


def reserve_quantity(size_bytes: int) -> Quantity:
    """Return whole MiB of a configured size."""
    return Quantity(size_bytes // MIB)
