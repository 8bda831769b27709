"""One share to one peer: the lease, the row before the first byte, the bytes, the first proof; and away again."""

from dataclasses import replace
from typing import Final

import trio

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.storage import placements as rows
from nanobarter.storage.leases import HeldLease, LeaseBook
from nanobarter.storage.placements import Placement
from nanobarter.storage.rests import Rests
from nanobarter.storage.share import Share
from nanobarter.storage.vault_client import Kept, VaultClient
from nanobarter.storage.verdicts import Proven, Wrong

_NOTHING_THERE: Final = frozenset({Reason.OVER_QUOTA, Reason.DISK_FULL, Reason.UNKNOWN_LEASE, Reason.EXPIRED})


class Sender:
    """Puts shares at peers and has them deleted, and keeps the rows of both."""

    def __init__(self, *, store: Store, leases: LeaseBook, client: VaultClient, rests: Rests, clock: Clock) -> None:
        self._store = store
        self._leases = leases
        self._client = client
        self._rests = rests
        self._clock = clock
        self._busy = set[tuple[NodeId, Hash]]()  # being sent or deleted: never both at once

    async def send(self, node: NodeId, share: Share) -> str | None:
        """Put one share at one peer and have it proven; return why the peer cannot or does not, if so."""
        name = (node, share.root)
        if name in self._busy:
            return "this share is being sent or deleted there"
        self._busy.add(name)
        try:
            return await self._send(node, share)
        finally:
            self._busy.discard(name)

    async def _send(self, node: NodeId, share: Share) -> str | None:
        try:
            lease = await self._leases.lease_for(node, len(share.view))
        except (Unreachable, PeerFault) as error:
            return f"no lease: {error}"
        if isinstance(lease, Refused):
            return f"no lease: {lease.reason.name}, {lease.detail}"
        placement = await self._begin(share, lease)
        if placement is None:
            return "the pack is no longer wanted"
        there = True
        try:
            kept = await self._client.put(node, lease.lease_id, share)
            no = kept if isinstance(kept, Refused) else None
            self._leases.took(node, no)
            there = no is None or no.reason not in _NOTHING_THERE
            why_not = (
                await self._note(placement, kept) if isinstance(kept, Kept) else f"{kept.reason.name}, {kept.detail}"
            )
            if why_not is None:
                there = False  # nothing to clear away
                return None
        except (Unreachable, PeerFault) as error:
            why_not = str(error)
        else:
            if not there:
                await self._store.write(lambda db: rows.drop(db, placement))
        finally:
            if there:
                with trio.CancelScope(shield=True):
                    await self._store.write(lambda db: rows.leave(db, placement))
        return why_not

    async def _begin(self, share: Share, lease: HeldLease) -> Placement | None:
        header, size = share.header, len(share.view)
        placement = Placement(
            header.pack, header.index, lease.issuer, lease.lease_id, share.root, size, "placing", Instant(0), None
        )
        wanted = False
        try:
            with trio.CancelScope(shield=True):  # or a row would outlive its task
                wanted = await self._store.write(lambda db: rows.begin(db, placement))
        finally:
            self._leases.recorded(lease.lease_id, size)
        return placement if wanted else None

    async def _note(self, placement: Placement, kept: Kept) -> str | None:
        """Record a share that was proven; return why it was not."""
        outcome = kept.outcome
        if not isinstance(outcome, Proven):
            return f"no proof: {outcome.problem if isinstance(outcome, Wrong) else outcome.detail}"
        now = self._clock.now()
        await self._store.write(lambda db: rows.put(db, replace(placement, state="held", last_proof_at=now), kept.held))
        return None

    async def forget(self, placement: Placement) -> bool:
        """Have a share deleted at its peer; tell whether nothing of it is there any more."""
        name = (placement.node, placement.root)
        if name in self._busy:
            return False
        self._busy.add(name)
        try:
            no = await self._client.delete(placement.node, placement.lease_id, placement.root)
            if no is not None and no.reason not in _NOTHING_THERE:
                return False
            await self._store.write(lambda db: rows.drop_if_leaving(db, placement))
        except (Unreachable, PeerFault):
            self._rests.begin(placement.node)
            return False
        finally:
            self._busy.discard(name)
        return True
