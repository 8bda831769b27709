"""The placer: packs become shares at distinct peers, and come back from any k of them.

What kills an upload elsewhere is the one peer that hangs. Here every share has its own task; as soon as k of a
pack's shares are proven, the others get as long again (at least ``share_patience``), then a spare takes their place.
So the wait grows with the line's own speed and not with the slowest peer, and a slow line is not taken for a hung
peer. A peer that failed rests for a while. What cannot be placed on distinct peers is left out, the pack is marked
thin, and repair fills it up when peers come.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

import trio

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant
from nanobarter.storage import erasure
from nanobarter.storage import placements as rows
from nanobarter.storage.geometry import RECOVERY_MARK, Geometry, for_peers, recovery
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import HeldLease, LeaseBook
from nanobarter.storage.outgoing import Outgoing
from nanobarter.storage.placements import PlacedKind, PlacedPackRow, Placement
from nanobarter.storage.ports import Pack
from nanobarter.storage.reading import PackReader, mask_secret
from nanobarter.storage.share import HEADER_BYTES, Share, make_share
from nanobarter.storage.targets import Candidate, Picker
from nanobarter.storage.verdicts import Proven, Wrong

_NOTHING_THERE: Final = frozenset({Reason.OVER_QUOTA, Reason.DISK_FULL, Reason.UNKNOWN_LEASE, Reason.EXPIRED})


class NotPlaced(Unreachable):
    """Fewer than k shares of a pack found a peer. What was placed stays; putting the pack again goes on from there."""


class Placer:
    """Implements PackSink and PackSource over the vault's leases. Call ``start`` once before use."""

    def __init__(
        self,
        *,
        store: Store,
        keys: VaultKeys,
        leases: LeaseBook,
        reader: PackReader,
        limits: Limits = LIMITS,
        same_host_ok: bool = False,
        leaving: Callable[[], Collection[NodeId]] = frozenset,
    ) -> None:
        """Nodes that are ``leaving`` get no share."""
        self._store = store
        self._keys = keys
        self._mask = mask_secret(keys)
        self._leases = leases
        self._reader = reader
        self._client = reader.client
        self._directory = reader.directory
        self._clock = reader.clock
        self._limits = limits
        self._same_host_ok = same_host_ok
        self._leaving = leaving
        self._busy = set[tuple[NodeId, Hash]]()  # being sent or deleted: never both at once
        self._packs_out = trio.CapacityLimiter(limits.share_packs_max)
        self._transfers = trio.CapacityLimiter(limits.share_transfers_max)

    async def start(self) -> None:
        """Mark what a crash left half placed; ``tidy`` deletes it at the peers."""
        await self._store.write(rows.abandon_started)

    def geometry(self) -> Geometry:
        """Return the geometry for the distinct peers that can take shares now. Raises NotPlaced without any."""
        picker = self._picker([])
        count = picker.distinct(HEADER_BYTES)
        if not count:
            raise NotPlaced("no peer has space for this vault yet")
        return for_peers(count)

    async def put(self, pack: Pack) -> None:
        """Place a pack: see PackSink. Raises NotPlaced when fewer than k shares found a peer."""
        await self.place(pack, pack.kind)

    async def place(self, pack: Pack, kind: PlacedKind) -> PlacedPackRow:
        """Place what is missing of a pack, and return how it stands."""
        async with self._packs_out:
            found = await self._store.read(lambda db: rows.of_pack(db, pack.pack_id))
            held = [p for p in found if p.state == "held"]
            missing = sorted(set(range(pack.n)) - {p.index for p in held})
            row = PlacedPackRow(pack.pack_id, kind, pack.k, pack.n, pack.share_size, thin=True)
            await self._store.write(lambda db: rows.keep_pack(db, row))
            shares = await trio.to_thread.run_sync(self._shares, pack, missing)
            return await self._place(row, shares, held)

    async def fill(self, row: PlacedPackRow, body: bytes, held: Sequence[Placement]) -> PlacedPackRow:
        """Place the shares of a pack that ``held`` does not name, for repair."""
        pack = Pack(row.pack_id, "data", body, row.share_size, row.k, row.n)
        missing = sorted(set(range(row.n)) - {p.index for p in held})
        async with self._packs_out:
            shares = await trio.to_thread.run_sync(self._shares, pack, missing)
            return await self._place(row, shares, held)

    async def get(self, pack_id: PackId) -> bytes:
        """Return a pack's body: see PackSource. Raises PackMissing when fewer than k good shares came back."""
        return await self._reader.get(pack_id)

    async def remove(self, pack_id: PackId) -> None:
        """Give up a pack: its shares are deleted at the peers by the next ``tidy``."""
        await self._store.write(lambda db: rows.leave_pack(db, pack_id))

    async def stocked(self) -> set[PackId]:
        """Return every pack of the engine that is wanted, those of cut off uploads too."""
        return {row.pack_id for row in await self._store.read(rows.all_packs) if row.kind != "catalog"}

    def spare_places(self, row: PlacedPackRow, held: Sequence[Placement]) -> int:
        """Return how many more shares of a pack could go to peers that have none of it and did not fail lately."""
        picker, count = self._picker(held), 0
        while picker.take(HEADER_BYTES + row.share_size, resting_too=False) is not None:
            count += 1
        return count

    async def tidy(self, *, resting_too: bool = False) -> int:
        """Delete at the peers what is to leave; return how many placements are still waiting for theirs.

        Peers that failed lately are left for the next time, unless ``resting_too``.
        """
        await self._store.write(rows.leave_given_up)  # a repair may have placed one meanwhile
        waiting = await self._store.read(lambda db: rows.in_state(db, "leaving"))
        live = {lease.lease_id for lease in self._leases.live()}
        left = list[Placement]()
        gate = trio.CapacityLimiter(self._limits.audit_parallel)

        async def forget(placement: Placement) -> None:
            async with gate:
                skipped = self._reader.resting(placement.node) and not resting_too
                if placement.lease_id in live and (skipped or not await self._forget(placement)):
                    left.append(placement)
                elif placement.lease_id not in live:
                    await self._store.write(lambda db: rows.drop_if_leaving(db, placement))

        async with trio.open_nursery() as nursery:
            for placement in waiting:
                nursery.start_soon(forget, placement)
        return len(left)

    def rest(self, node: NodeId) -> None:
        """Ask a peer last for a while."""
        self._reader.rest(node)

    def candidates(self) -> list[Candidate]:
        """Return every peer with space for this vault."""
        connected = set(self._directory.connected())
        found, leaving = list[Candidate](), self._leaving()
        for node, room in self._leases.capacity().items():
            if room > 0 and node not in leaving and node != self._client.node_id:
                resting = self._reader.resting(node)
                found.append(Candidate(node, self._host(node), room, node in connected, resting))
        return found

    # -- out

    def _shares(self, pack: Pack, indices: list[int]) -> dict[int, Share]:
        pieces = erasure.encode(pack.body, pack.k, pack.n) if indices else []
        geometry, shares = (pack.k, pack.n), dict[int, Share]()
        for i in indices:
            shares[i] = make_share(self._keys.vault_id, pack.pack_id, i, geometry, pieces[i], self._mask)
            pieces[i] = b""  # three packs are on their way at once: what was masked is let go
        return shares

    def _host(self, node: NodeId) -> str | None:
        address = self._directory.address_of(node)
        return None if address is None else address.host

    def _picker(self, held: Sequence[Placement]) -> Picker:
        picker = Picker(self.candidates(), self._same_host_ok)
        picker.occupy((p.node, self._host(p.node)) for p in held)
        return picker

    async def _place(self, row: PlacedPackRow, shares: dict[int, Share], held: Sequence[Placement]) -> PlacedPackRow:
        job = Outgoing(row, shares, self._picker(held), {p.index for p in held})
        await self._round(job)
        if len(job.placed) < row.k:  # rather a peer that failed before than no backup
            job.picker, job.resting_too, job.patience = self._picker([]), True, None
            now_held = [p for p in self._store.read_now(lambda db: rows.of_pack(db, row.pack_id)) if p.state == "held"]
            job.picker.occupy((p.node, self._host(p.node)) for p in now_held)
            await self._round(job)
        placed = len(job.placed)
        done = replace(row, thin=placed < row.n or recovery(row.k, placed) < RECOVERY_MARK)
        await self._store.write(lambda db: rows.note_thin(db, done))
        if placed < row.k:
            raise NotPlaced(f"{placed} of the {row.k} shares that a pack needs found a peer{job.why()}")
        return done

    async def _round(self, job: Outgoing) -> None:
        job.enough(self._limits.share_patience / SECOND)
        async with trio.open_nursery() as nursery:
            for index in sorted(set(job.shares) - job.placed):
                nursery.start_soon(self._place_one, job, job.shares[index])

    async def _place_one(self, job: Outgoing, share: Share) -> None:
        while (candidate := job.picker.take(len(share.raw), resting_too=job.resting_too)) is not None:
            async with self._transfers:
                with trio.CancelScope() as scope:
                    if job.patience is not None:
                        scope.deadline = trio.current_time() + job.patience
                    job.running.add(scope)
                    try:
                        why_not = await self._send(candidate.node, share)
                        if why_not is None:
                            job.placed.add(share.header.index)
                            job.enough(self._limits.share_patience / SECOND)
                            return
                        job.failed[candidate.node] = why_not
                    finally:
                        job.running.discard(scope)
            job.failed |= {candidate.node: "it was slower than the others"} if scope.cancelled_caught else {}
            self._reader.rest(candidate.node)
            job.picker.give_back(candidate)

    async def _send(self, node: NodeId, share: Share) -> str | None:
        """Put one share at one peer and have it proven; return why the peer cannot or does not, if so."""
        name = (node, share.root)
        if name in self._busy:
            return "this share is being sent or deleted there"
        self._busy.add(name)
        try:
            return await self._send_alone(node, share)
        finally:
            self._busy.discard(name)

    async def _send_alone(self, node: NodeId, share: Share) -> str | None:
        try:
            lease = await self._leases.lease_for(node, len(share.raw))
        except (Unreachable, PeerFault) as error:
            return f"no lease: {error}"
        if isinstance(lease, Refused):
            return f"no lease: {lease.reason.name}, {lease.detail}"
        placement = await self._begin(share, lease)
        if placement is None:
            return "the pack is no longer wanted"
        there = True
        try:
            no = await self._client.put(node, lease.lease_id, share)
            self._leases.took(node, no)
            there = no is None or no.reason not in _NOTHING_THERE
            why_not = await self._first_proof(placement) if no is None else f"{no.reason.name}, {no.detail}"
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
        header, size = share.header, len(share.raw)
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

    async def _first_proof(self, placement: Placement) -> str | None:
        outcome = await self._client.challenge(placement.node, placement.lease_id, placement.root, placement.size)
        if not isinstance(outcome, Proven):
            return f"no proof: {outcome.problem if isinstance(outcome, Wrong) else outcome.detail}"
        now = self._clock.now()
        await self._store.write(lambda db: rows.put(db, replace(placement, state="held", last_proof_at=now)))
        return None

    async def _forget(self, placement: Placement) -> bool:
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
            self._reader.rest(placement.node)
            return False
        finally:
            self._busy.discard(name)
        return True
