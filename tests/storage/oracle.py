"""A folder, its vault at peers that come and go, and an oracle of which snapshots must still come back.

The oracle knows the content of every snapshot, which of them somebody asked to forget, and which disaster took more
from a snapshot than redundancy promises. Everything else must come back, whatever died in between.
"""

import random
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import Hash, NodeId, PackId
from nanobarter.core.keys import Signed
from nanobarter.core.system import SystemClock
from nanobarter.core.units import DAY, HOUR, MINUTE, Span
from nanobarter.storage import placements as rows
from nanobarter.storage.backup import backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.marks import NotMarked
from nanobarter.storage.placements import Placement
from nanobarter.storage.prune import prune
from nanobarter.storage.restore import restore
from nanobarter.storage.snapshot import open_snapshot
from tests.storage.mortal import Died, Life
from tests.storage.vaults import TINY, Peer, Town

Tree = dict[str, bytes]
TERM_DAYS = 51  # a term, the third of one before it, and the grace
LIMITS = replace(TINY, storage_racy=Span(0), storage_airy_packs_min=3)


def read_tree(folder: Path) -> Tree:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class World:
    """One vault of 2-of-5 over five peers in memory with real SQLite files. Run its methods in one trio run."""

    folder: Path
    nursery: trio.Nursery
    draw: random.Random
    contents: dict[Hash, Tree] = field(default_factory=dict[Hash, Tree])
    asked_away: set[Hash] = field(default_factory=set[Hash])
    doomed: set[Hash] = field(default_factory=set[Hash])
    life: Life | None = None
    lives: int = 0
    restores: int = 0
    harmed: set[tuple[NodeId, Hash]] = field(default_factory=set[tuple[NodeId, Hash]])
    gone: set[NodeId] = field(default_factory=set[NodeId])

    async def start(self) -> None:
        self.source = self.folder / "source"
        self.source.mkdir()
        self.town = Town(self.folder, 5, notes=2000, limits=LIMITS)
        self._remember_leases()
        for peer in self.town.peers:
            await self.nursery.start(peer.store.run)
        await self._come_alive()

    def _remember_leases(self) -> None:
        """Let the wallet remember the leases that it bought, as the real one does."""
        wallet, redeem = self.town.wallet, self.town.wallet.redeem

        async def remembering(*asked: object) -> object:
            made = await redeem(*asked)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            if isinstance(made, Signed):
                wallet.received.append(made)
            return made

        wallet.redeem = remembering  # type: ignore[method-assign]  # pyright: ignore[reportAttributeAccessIssue]

    async def _come_alive(self) -> None:
        self.running = trio.CancelScope()

        self.stopped = trio.Event()

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            with self.running:
                await self.town.store.run(task_status=task_status)
            self.stopped.set()

        await self.nursery.start(run)
        self.catalog = Catalog(self.town.store, LIMITS)
        await self.town.placer.start()
        await self.town.leases.adopt()

    async def close(self) -> None:
        await self._stop()
        for store in self.town.stores:
            store.close()

    async def _stop(self) -> None:
        self.running.cancel()
        await self.stopped.wait()

    # -- what happens

    def edit(self, name: int, size: int) -> None:
        """Write a file, or remove it when ``size`` is 0."""
        path = self.source / f"d{name % 3}" / f"f{name}"
        path.parent.mkdir(exist_ok=True)
        if size:
            path.write_bytes(self.draw.randbytes(size))
        else:
            path.unlink(missing_ok=True)

    async def back_up(self) -> None:
        async def lost() -> list[PackId]:
            return [
                h.row.pack_id for h in self.town.auditor.health() if h.verdict == "lost" and h.row.kind != "catalog"
            ]

        async def work() -> None:
            geometry = self.town.placer.geometry()
            await backup(
                roots=[self.source],
                keys=self.town.keys,
                catalog=self.catalog,
                sink=self.town.placer,
                geometry=(geometry.k, geometry.n),
                clock=SystemClock(),
                entropy=self.town.entropy,
                host="here",
                lost=lost,
                limits=LIMITS,
            )
            for pack_id in await self.catalog.drop_replaced():
                await self.town.placer.remove(pack_id)
            await self.publish()

        await self._mortal(work)
        await self._learn()

    async def forget(self, number: int) -> None:
        lines = await self.catalog.snapshots()
        if lines:
            chosen = lines[number % len(lines)].snapshot_id
            self.asked_away.add(chosen)
            await self._mortal(lambda: self.catalog.forget_snapshots([chosen]))

    async def prune(self) -> None:
        async def work() -> None:
            try:
                done = await prune(
                    keys=self.town.keys,
                    catalog=self.catalog,
                    stock=self.town.placer,
                    geometry=(2, 5),
                    entropy=self.town.entropy,
                    publish=self.publish,
                    limits=LIMITS,
                )
            except NotMarked as error:
                unread = error.snapshot_id
            else:
                assert done.published
                if not done.unread:
                    packs = {pack.pack_id for pack in await self.catalog.packs()}
                    assert await self.town.placer.stocked() == packs  # neither waste nor want
                return
            assert unread in self.doomed

        await self._mortal(work)

    async def repair(self) -> None:
        async def work() -> None:
            self.town.reader.forgive()
            self.town.clock.advance(Span(6 * MINUTE))
            await self.town.auditor.round_now(everything=True)
            await self.town.repairer.round_now()

        await self._mortal(work)

    async def pass_days(self, days: int) -> None:
        """Let time go by under the node's care: leases are extended, peers sweep."""
        for _ in range(days // 3):
            self.town.clock.advance(Span(3 * DAY))
            await self.town.auditor.round_now(everything=True)
            await self.town.repairer.round_now()
            for peer in self.town.peers:
                await peer.vault.sweep()

    async def sleep_through(self) -> None:
        """The owner is away until every lease has ended and every peer has deleted what was under it."""
        self.doomed |= set(self.contents)
        self.town.clock.advance(Span(60 * DAY))
        for peer in self.town.peers:
            await peer.vault.sweep()
        await self.town.auditor.round_now(everything=True)
        if await self.catalog.packs():
            assert self.town.auditor.status().verdict in ("lost", "empty")

    async def let_lease_end(self, number: int) -> None:
        """No notes of one peer can be had until its lease and the grace are over; the others take its part."""
        alive = [peer for peer in self.town.peers if peer.node_id not in self.gone]
        peer = alive[number % len(alive)]
        if await self._spare(without=peer) >= 0:
            notes, kept = self.town.wallet.notes, self.town.wallet.notes[peer.node_id]
            notes[peer.node_id] = 0
            await self.pass_days(TERM_DAYS)
            notes[peer.node_id] = kept

    async def run_out_of_notes(self) -> None:
        """The owner can lengthen no lease: all end before her eyes, and she is told so."""
        notes, kept = self.town.wallet.notes, dict(self.town.wallet.notes)
        notes.update(dict.fromkeys(kept, 0))
        self.doomed |= set(self.contents)
        await self.pass_days(TERM_DAYS)
        notes.update(kept)
        await self.town.auditor.round_now(everything=True)
        assert not self.town.leases.live()
        if await self.catalog.packs():
            assert self.town.auditor.status().verdict in ("lost", "empty")
        for peer in self.town.peers:
            assert peer.node_id in self.gone or peer.files() == []

    async def lose_peer(self, number: int) -> None:
        """One peer goes for good and a new one comes, if redundancy can bear it."""
        alive = [peer for peer in self.town.peers if peer.node_id not in self.gone]
        peer = alive[number % len(alive)]
        if await self._spare(without=peer) < 1:
            return
        self.gone.add(peer.node_id)
        self.town.hub.disconnect(peer.node_id)
        await self.town.new_peer(self.nursery)
        self.town.wallet.notes[self.town.peers[-1].node_id] = 2000
        await self.town.auditor.round_now(everything=True)
        self.town.clock.advance(Span(73 * HOUR))
        await self.town.auditor.round_now(everything=True)

    async def flip_bit(self, number: int) -> None:
        """A peer's disk alters a share, if redundancy can bear it."""
        held = [p for p in await self._held() if self._is_good(p)]
        if held:
            placement = held[number % len(held)]
            peer = self._peer(placement.node)
            assert peer is not None
            if await self._spare(but=placement) >= 0:
                path = peer.home / "vault" / placement.lease_id.hex() / placement.root.hex()
                data = bytearray(path.read_bytes())
                data[number % len(data)] ^= 1
                path.write_bytes(bytes(data))
                self.harmed.add((placement.node, placement.root))

    # -- what must hold

    async def check(self) -> None:
        """Restore every snapshot that must come back, and compare."""
        lines = {line.snapshot_id: line for line in await self.catalog.snapshots()}
        must = set(self.contents) - self.asked_away - self.doomed
        assert must <= set(lines)
        self.town.reader.forgive()
        for snapshot_id in must:
            self.restores += 1
            target = self.folder / f"back{self.restores}"
            done = await restore(
                open_snapshot(lines[snapshot_id].body, self.town.keys),
                target,
                keys=self.town.keys,
                catalog=self.catalog,
                source=self.town.placer,
                limits=LIMITS,
            )
            assert done.lost == ()
            assert read_tree(target) == self.contents[snapshot_id]
            shutil.rmtree(target)

    # -- how

    async def publish(self) -> None:
        await self.town.publisher.publish(await self.catalog.export())

    async def _mortal(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work; when the machine dies in it, start it again. Too few peers is nobody's fault."""
        if self.life is not None:
            self.life.rule(self.town.store)
        try:
            await work()
        except* Died:
            pass
        except* Unreachable:
            pass
        if self.life is not None:
            self.life = None
            await self._restart()

    async def _restart(self) -> None:
        self.lives += 1
        await self._stop()
        self.town.store.close()
        self.town.clock.advance(Span(MINUTE))
        self.town.restart_client(self.lives)
        await self._come_alive()
        await self._learn()

    async def _learn(self) -> None:
        for line in await self.catalog.snapshots():
            self.contents.setdefault(line.snapshot_id, read_tree(self.source))

    async def _held(self) -> list[Placement]:
        return await self.town.store.read(lambda db: rows.in_state(db, "held"))

    def _peer(self, node: NodeId) -> Peer | None:
        return next((peer for peer in self.town.peers if peer.node_id == node and node not in self.gone), None)

    def _is_good(self, placement: Placement) -> bool:
        peer = self._peer(placement.node)
        if peer is None or (placement.node, placement.root) in self.harmed:
            return False
        return (peer.home / "vault" / placement.lease_id.hex() / placement.root.hex()).exists()

    async def _spare(self, *, without: Peer | None = None, but: Placement | None = None) -> int:
        """Return by how many good shares the worst pack is above what it needs, without a peer or a share."""
        count = {pack.pack_id: -pack.k for pack in await self.catalog.packs()}
        for placement in await self._held():
            away = placement == but or (without is not None and placement.node == without.node_id)
            if placement.pack_id in count and self._is_good(placement) and not away:
                count[placement.pack_id] += 1
        return min(count.values(), default=0)
