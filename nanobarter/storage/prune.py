"""Prune: give back the space of what no snapshot needs any more, without ever touching what one needs.

Mark the chunks of all snapshots; take unused packs out of the catalog; store what is needed of wasteful ones again
and take these out too. Only then, when the catalog that no longer names them was published, are packs removed at
the peers. So each step can be the last one: what was not finished is met again by the next prune. A pack that is
stored but not in the catalog, the trace of any crash, is removed as well.

It holds the turn of backups all the while: a backup between the storing and the recording of a pack, or one that
counts on a chunk that is about to go, would otherwise be harmed.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Entropy
from nanobarter.storage.browse import with_reader
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.chunks import ChunkIds
from nanobarter.storage.fetch import ChunkReader, fetch_pack
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.marks import Marks, mark_all
from nanobarter.storage.packs import Piece, Sealer, piece_of, room, share_size_full
from nanobarter.storage.pipeline import Code, Pipeline, plan_packs
from nanobarter.storage.ports import PackKind, PackMissing, PackSink, PackSource
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.sweep import PackUse, Sweep, by_kind, live_chunks, measure, plan_sweep, stale_listings, take_out


class PackStock(PackSink, PackSource, Protocol):
    """Keeps packs, names them, and removes them."""

    async def stocked(self) -> Collection[PackId]:
        """Return every data and metadata pack that is kept, those of cut off uploads too."""
        ...

    async def remove(self, pack_id: PackId) -> None:
        """Give up a pack. Repeatable; returns once it is durably on its way out."""
        ...


@dataclass(frozen=True)
class Step:
    """How far a prune is. ``total`` 0 means not known."""

    phase: str
    done: int = 0
    total: int = 0
    unit: str = ""


@dataclass(frozen=True)
class Pruned:
    """What a prune did or, in a dry run, would do. Bytes are those at peers, all shares counted.

    ``unread`` could not be emptied, and ``short`` says why needed chunks could not be stored again.
    """

    packs: int
    unused: int
    emptied: int
    stray: int
    new_packs: int
    freed_bytes: int
    missing_chunks: int
    unread: tuple[tuple[PackId, str], ...] = ()
    short: str = ""
    published: bool = True


@dataclass
class _Prune:
    keys: VaultKeys
    catalog: Catalog
    stock: PackStock
    code: Code
    limits: Limits
    entropy: Entropy
    publish: Callable[[], Awaitable[None]]
    say: Callable[[Step], None]
    unread: list[tuple[PackId, str]] = field(default_factory=list[tuple[PackId, str]])
    removed: set[PackId] = field(default_factory=set[PackId])
    new_packs: int = 0
    new_bytes: int = 0
    short: str = ""

    async def run(self, marks: Marks, *, dry: bool) -> Pruned:
        await self._mark(marks)
        uses, missing = await self.catalog.store.read(lambda db: measure(db, marks))
        sweep = plan_sweep(uses, missing, self.limits)
        stray = await self._stray()
        told = _told(sweep, stray)
        if dry or not (sweep.unused or sweep.emptied or stray):
            return told
        published = await self._free([use.pack.pack_id for use in sweep.unused], marks)
        if sweep.emptied and published:
            gone = await self._empty(sweep.emptied, marks)
            published = await self._free(gone, marks)
        emptied = [use for use in sweep.emptied if use.pack.pack_id in self.removed]
        freed = sum(use.placed_bytes for use in (*sweep.unused, *emptied) if use.pack.pack_id in self.removed)
        return replace(
            told,
            emptied=len(emptied),
            new_packs=self.new_packs,
            freed_bytes=freed - self.new_bytes,
            unread=tuple(self.unread),
            short=self.short,
            published=published,
        )

    async def _mark(self, marks: Marks) -> None:
        lines = await self.catalog.snapshots()
        snapshots = [(line, open_snapshot(line.body, self.keys)) for line in lines]

        def tick(done: int, _directories: int) -> None:
            trio.from_thread.check_cancelled()
            trio.from_thread.run_sync(self.say, Step("reading snapshots", done, len(snapshots), "snapshots"))

        def work(reader: ChunkReader) -> None:
            mark_all(snapshots, marks, reader.meta, tick)

        await with_reader(self.keys, self.catalog, self.stock, self.limits, work)

    async def _stray(self) -> list[PackId]:
        known = {pack.pack_id for pack in await self.catalog.packs()}
        return sorted(set(await self.stock.stocked()) - known)

    async def _free(self, packs: Sequence[PackId], marks: Marks) -> bool:
        """Take packs out of the catalog, publish that, and remove what is stored beside it; tell if it came so far."""
        listings = await self.catalog.store.read(lambda db: stale_listings(db, marks))
        await self.catalog.store.write(lambda db: take_out(db, packs, listings, marks))
        self.say(Step("publishing the catalog"))
        try:
            await self.publish()
        except Unreachable as error:
            self.short = f"the catalog could not be published ({error}); run it again to free the space"
            return False
        stray = await self._stray()
        for number, pack_id in enumerate(stray):
            self.say(Step("freeing space", number, len(stray), "packs"))
            await self.stock.remove(pack_id)
            self.removed.add(pack_id)
        return True

    async def _empty(self, uses: Sequence[PackUse], marks: Marks) -> list[PackId]:
        """Store again what is needed of these packs; return those of which all is stored."""
        sealer = Sealer(self.keys.hpke_public, self.keys.vault_id, self.entropy)
        pipeline = Pipeline(self.catalog, self.stock, sealer, self.code, self.code, self.limits, lambda: None)
        done, total, gone = 0, sum(use.live_bytes for use in uses), list[PackId]()
        for kind, same in by_kind(uses):
            box = _Box(kind, pipeline)
            waiting = list[PackId]()
            try:
                for use in same:
                    self.say(Step("packing anew", done, total, "bytes"))
                    pieces = await self._pieces(use.pack.pack_id, marks)
                    if pieces is not None:
                        waiting.append(use.pack.pack_id)
                        await box.add(pieces)
                    done += use.live_bytes
                await box.close()
            except Unreachable as error:  # what was stored is recorded, and is used by the next prune
                self.short = f"there is no room to pack anew just now ({error})"
            gone += waiting  # one with chunks left is kept by take_out
        self.new_packs = pipeline.counts.packs
        self.new_bytes = pipeline.counts.packed_bytes * self.code.n // self.code.k
        return gone

    async def _pieces(self, pack_id: PackId, marks: Marks) -> list[Piece] | None:
        """Return what is needed of a pack, every chunk checked; None when it cannot be read."""
        try:
            pack = await fetch_pack(self.stock, pack_id, self.keys)
            wanted = await self.catalog.store.read(lambda db: live_chunks(db, pack_id, marks))
            ids = ChunkIds(self.keys)
            return await trio.to_thread.run_sync(lambda: [piece_of(pack, chunk_id, ids) for chunk_id in wanted])
        except (PackMissing, Malformed, Unreachable) as error:
            self.unread.append((pack_id, str(error)))
            return None


@dataclass
class _Box:
    """Collects pieces of one kind, and stores each pack as it is full."""

    kind: PackKind
    pipeline: Pipeline
    pieces: list[Piece] = field(default_factory=list[Piece])

    async def add(self, pieces: list[Piece]) -> None:
        self.pieces += pieces
        k = self.pipeline.data.k
        while sum(piece.cost for piece in self.pieces) > room(k, share_size_full(k)):
            await self._store(*plan_packs_full(self.pieces, k))

    async def _store(self, full: list[Piece], rest: list[Piece]) -> None:
        await self.pipeline.store(full, self.kind, share_size_full(self.pipeline.data.k))
        self.pieces = rest

    async def close(self) -> None:
        for pieces, share_size in plan_packs(self.pieces, self.pipeline.data.k):
            await self.pipeline.store(pieces, self.kind, share_size)
        self.pieces = []


def plan_packs_full(pieces: list[Piece], k: int) -> tuple[list[Piece], list[Piece]]:
    """Return as many of the pieces as fill one pack, and the rest."""
    space, count = room(k, share_size_full(k)), 0
    for piece in pieces:
        space -= piece.cost
        if space < 0:
            break
        count += 1
    return pieces[:count], pieces[count:]


def _told(sweep: Sweep, stray: Sequence[PackId]) -> Pruned:
    freed = sum(use.placed_bytes for use in sweep.unused)
    freed += sum(use.placed_bytes * use.dead_bytes // (use.dead_bytes + use.live_bytes) for use in sweep.emptied)
    return Pruned(
        packs=len(sweep.uses),
        unused=len(sweep.unused),
        emptied=len(sweep.emptied),
        stray=len(stray),
        new_packs=0,
        freed_bytes=freed,
        missing_chunks=sweep.missing,
    )


async def prune(  # noqa: PLR0913 - the ports, by name
    *,
    keys: VaultKeys,
    catalog: Catalog,
    stock: PackStock,
    geometry: tuple[int, int],
    entropy: Entropy,
    publish: Callable[[], Awaitable[None]],
    limits: Limits = LIMITS,
    progress: Callable[[Step], None] | None = None,
    dry: bool = False,
) -> Pruned:
    """Free what no snapshot of the catalog needs. Waits for its turn while a backup runs.

    ``publish`` makes the catalog known to whoever may have to restore from it; packs are removed only after it.
    Raises NotMarked, with nothing changed, when a snapshot cannot be read wholly. May be killed at any time and
    run again.
    """
    work = _Prune(keys, catalog, stock, Code(*geometry), limits, entropy, publish, progress or (lambda _step: None))
    async with catalog.turn:
        with Marks() as marks:
            return await work.run(marks, dry=dry)
