"""The placer: packs become shares at distinct peers, and come back from any k of them.

What kills an upload elsewhere is the one peer that hangs. Here every share has its own task, and one that takes much
longer than others did (``outgoing``) is given to a spare. So the wait grows with the line's own speed and not with the
slowest peer, and a slow line is not taken for a hung peer. A peer that failed rests for a while. What cannot be placed
on distinct peers is left out, the pack is marked thin, and repair fills it up when peers come.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import NodeId, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND
from nanobarter.storage import erasure
from nanobarter.storage import placements as rows
from nanobarter.storage.budget import Budget
from nanobarter.storage.geometry import RECOVERY_MARK, Geometry, for_peers, recovery
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.outgoing import Attempt, Outgoing
from nanobarter.storage.placements import PlacedKind, PlacedPackRow, Placement
from nanobarter.storage.ports import Pack
from nanobarter.storage.reading import PackReader, mask_secret
from nanobarter.storage.sending import Sender
from nanobarter.storage.share import HEADER_BYTES, Share, make_share
from nanobarter.storage.targets import Candidate, Picker, place_of

_LOOKS: Final = 8  # at the peers under way, in the least time that each of them gets


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
        self._limits = limits
        self._same_host_ok = same_host_ok
        self._leaving = leaving
        self._sender = Sender(store=store, leases=leases, client=reader.client, rests=reader.rests, clock=reader.clock)
        self._attempts = set[Attempt]()  # of all packs under way
        self._packs_out = Budget(limits.share_pack_bytes_max)
        self._transfers = Budget(limits.share_transfer_bytes_max)

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
        async with self._packs_out.part(pack.n * pack.share_size):
            found = await self._store.read(lambda db: rows.of_pack(db, pack.pack_id))
            held = [p for p in found if p.state == "held"]
            missing = sorted(set(range(pack.n)) - {p.index for p in held})
            row = PlacedPackRow(pack.pack_id, kind, pack.k, pack.n, pack.share_size, thin=True)
            await self._store.write(lambda db: rows.keep_pack(db, row))
            return await self._place(pack, row, missing, held)

    async def fill(self, row: PlacedPackRow, body: bytes, held: Sequence[Placement]) -> PlacedPackRow:
        """Place the shares of a pack that ``held`` does not name, for repair."""
        pack = Pack(row.pack_id, "data", body, row.share_size, row.k, row.n)
        missing = sorted(set(range(row.n)) - {p.index for p in held})
        async with self._packs_out.part(pack.n * pack.share_size):
            return await self._place(pack, row, missing, held)

    async def copy(self, row: PlacedPackRow, index: int, node: NodeId) -> str | None:
        """Put a share of a whole pack at one more peer, whoever has it already; return why that failed.

        Raises PackMissing when the pack cannot be read.
        """
        body, size = await self.get(row.pack_id), HEADER_BYTES + row.share_size
        async with self._packs_out.part(row.n * row.share_size), self._transfers.part(size):
            pieces = await trio.to_thread.run_sync(erasure.pieces, body, row.k, row.n)
            job = Outgoing(row, {index: pieces[index]}, self._picker(()), set(), self._limits.share_patience / SECOND)
            share = await trio.to_thread.run_sync(self._share, job, index)
            with trio.move_on_after(self._limits.share_copy_span / SECOND):
                return await self._sender.send(node, share)
        return "it took too long"

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
                skipped = self._reader.rests.resting(placement.node) and not resting_too
                if placement.lease_id in live and (skipped or not await self._sender.forget(placement)):
                    left.append(placement)
                elif placement.lease_id not in live:
                    await self._store.write(lambda db: rows.drop_if_leaving(db, placement))

        async with trio.open_nursery() as nursery:
            for placement in waiting:
                nursery.start_soon(forget, placement)
        return len(left)

    def rest(self, node: NodeId) -> None:
        """Ask a peer last for a while."""
        self._reader.rests.begin(node)

    def is_mute(self, node: NodeId) -> bool:
        """Tell whether a peer failed lately and gave no sign of life since."""
        return self._reader.rests.mute(node)

    def candidates(self) -> list[Candidate]:
        """Return every peer with space for this vault."""
        connected = set(self._directory.connected())
        found, leaving = list[Candidate](), self._leaving()
        for node, room in self._leases.capacity().items():
            if room > 0 and node not in leaving and node != self._client.node_id:
                resting = self._reader.rests.resting(node)
                found.append(Candidate(node, self._directory.host_of(node), room, node in connected, resting))
        return found

    # -- out

    def _share(self, job: Outgoing, index: int) -> Share:
        row = job.row
        return make_share(self._keys.vault_id, row.pack_id, index, (row.k, row.n), job.pieces[index], self._mask)

    def place_of(self, node: NodeId) -> str:
        """Return what must differ between two shares of a pack, besides the issuer (``targets``)."""
        return place_of(node, self._directory.host_of(node), same_host_ok=self._same_host_ok)

    def _picker(self, held: Sequence[Placement], last: Collection[NodeId] = ()) -> Picker:
        picker = Picker(self.candidates(), self._same_host_ok, last)
        picker.occupy((p.node, self._directory.host_of(p.node)) for p in held)
        return picker

    async def _place(
        self, pack: Pack, row: PlacedPackRow, missing: list[int], held: Sequence[Placement]
    ) -> PlacedPackRow:
        pieces = await trio.to_thread.run_sync(erasure.pieces, pack.body, pack.k, pack.n) if missing else []
        least, there = self._limits.share_patience / SECOND, {p.index for p in held}
        job = Outgoing(row, {i: pieces[i] for i in missing}, self._picker(held), there, least)
        await self._round(job)
        if len(job.placed) < row.k:  # rather a peer that failed a moment ago than no backup
            now_held = [p for p in self._store.read_now(lambda db: rows.of_pack(db, row.pack_id)) if p.state == "held"]
            job.picker, job.resting_too = self._picker(now_held, last=set(job.failed)), True
            await self._round(job)
        placed = len(job.placed)
        done = replace(row, thin=placed < row.n or recovery(row.k, placed) < RECOVERY_MARK)
        await self._store.write(lambda db: rows.note_thin(db, done))
        if placed < row.k:
            raise NotPlaced(f"{placed} of the {row.k} shares that a pack needs found a peer{job.why()}")
        return done

    async def _round(self, job: Outgoing) -> None:
        async with trio.open_nursery() as watching:
            watching.start_soon(self._watch, job)
            async with trio.open_nursery() as nursery:
                for index in sorted(set(job.pieces) - job.placed):
                    nursery.start_soon(self._place_one, job, index)
            watching.cancel_scope.cancel()

    async def _watch(self, job: Outgoing) -> None:
        """Give up the peers that are too slow for the pack, and those of other packs that turn out to hang."""
        pace, every, last = self._client.pace, job.least / _LOOKS, trio.current_time()
        while True:
            await trio.sleep(every)
            last, slept = trio.current_time(), trio.current_time() - last
            if slept > 2 * every:
                job.excuse(slept)
                continue
            for attempt in job.late(last, pace):
                attempt.give_up()
                if not pace.heard_since(attempt.node, attempt.since):
                    for other in [a for a in self._attempts if a.node == attempt.node]:
                        other.give_up()

    async def _place_one(self, job: Outgoing, index: int) -> None:
        size = HEADER_BYTES + job.row.share_size
        while (candidate := job.take(size)) is not None:
            async with self._transfers.part(size):
                share = await trio.to_thread.run_sync(self._share, job, index)  # only now: it is in memory once more
                attempt = Attempt(candidate.node, size)
                self._attempts.add(attempt)
                job.running.add(attempt)
                try:
                    with attempt.scope:
                        why_not = await self._sender.send(candidate.node, share)
                        if why_not is None:
                            job.arrived(index, trio.current_time() - attempt.since)
                            return
                        job.failed[candidate.node] = why_not
                finally:
                    job.running.discard(attempt)
                    self._attempts.discard(attempt)
            if attempt.given_up:
                heard = self._client.pace.heard_since(candidate.node, attempt.since)
                job.failed[candidate.node] = "it was slower than the others" if heard else "it does not answer"
                if not job.pieces.keys() & job.placed:  # by what is known of the line alone, which may have changed
                    self._client.pace.slower()
            self._reader.rests.begin(candidate.node)
            job.give_back(candidate)
