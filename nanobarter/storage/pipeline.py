"""From chunks to stored packs: compress, collect, seal, put, record, with a bounded number of each at once.

The walker's thread fills batches; workers compress them; full packs are sealed and given to the sink, several
at a time. A chunk is "flying" from its first sight until its pack is recorded in the catalog, so that the same
content met again meanwhile is not stored twice. After a crash nothing is flying: what was not recorded is
simply met again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from nanobarter.core.limits import Limits
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.catalog_lines import ChunkLine
from nanobarter.storage.chunks import ChunkId, ChunkIds
from nanobarter.storage.packs import (
    DATA,
    ENTRIES_MAX,
    SNAPSHOT,
    TREE,
    Piece,
    Role,
    Sealer,
    fits,
    make_piece,
    room,
    share_size_full,
)
from nanobarter.storage.ports import SHARE_SIZES, Pack, PackKind, PackSink

_WASTE_PARTS: Final = 4  # a last pack that would be more than a quarter padding is made of smaller ones


@dataclass(frozen=True)
class Code:
    """Any k of n shares give a pack back."""

    k: int
    n: int


@dataclass(frozen=True)
class _Raw:
    chunk_id: ChunkId
    role: Role
    raw: bytes


_Batch = list[_Raw]


def plan_packs(pieces: Sequence[Piece], k: int) -> list[tuple[list[Piece], int]]:
    """Return the last pieces as (pieces, share size) per pack: few packs, little padding."""
    left, plan = list(pieces), list[tuple[list[Piece], int]]()
    while left:
        size = fits(left, k)
        if size is None:
            raise ValueError("more pieces than a pack holds")
        place = SHARE_SIZES.index(size)
        smaller = SHARE_SIZES[place - 1] if place else None
        cost = sum(piece.cost for piece in left)
        taken = list[Piece]()
        if smaller is not None and cost * _WASTE_PARTS < room(k, size) * (_WASTE_PARTS - 1):
            taken = _prefix(left, room(k, smaller))
        if taken and smaller is not None:
            plan.append((taken, smaller))
            left = left[len(taken) :]
        else:
            plan.append((left, size))
            left = []
    return plan


def _prefix(pieces: list[Piece], space: int) -> list[Piece]:
    taken = list[Piece]()
    for piece in pieces:
        space -= piece.cost
        if space < 0:
            break
        taken.append(piece)
    return taken


@dataclass
class _Open:
    """The pieces collected for the next pack of a kind."""

    kind: PackKind
    geometry: Code
    pieces: list[Piece] = field(default_factory=list[Piece])
    cost: int = 0

    def is_full_with(self, piece: Piece) -> bool:
        space = room(self.geometry.k, share_size_full(self.geometry.k))
        return self.cost + piece.cost > space or len(self.pieces) >= ENTRIES_MAX

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.cost += piece.cost

    def take(self) -> list[Piece]:
        taken, self.pieces, self.cost = self.pieces, [], 0
        return taken


@dataclass
class PackCounts:
    """What went through so far."""

    new_chunks: int = 0
    new_bytes: int = 0
    packs: int = 0
    packed_bytes: int = 0


@dataclass
class Pipeline:
    """The async half; enter ``run`` in a nursery through ``start``, feed it by an ``Funnel``, end with ``finish``."""

    catalog: Catalog
    sink: PackSink
    sealer: Sealer
    data: Code
    meta: Code
    limits: Limits
    moved: Callable[[], None]
    """Called after every pack."""
    counts: PackCounts = field(default_factory=PackCounts)
    flying: set[ChunkId] = field(default_factory=set[ChunkId])

    def __post_init__(self) -> None:
        self._open: dict[PackKind, _Open] = {"data": _Open("data", self.data), "meta": _Open("meta", self.meta)}
        self._in, self._out = trio.open_memory_channel[_Batch](self.limits.storage_workers_max)
        self._slots = trio.Semaphore(self.limits.storage_uploads_max)
        self._sealing, self._adding = trio.Lock(), trio.Lock()

    async def run(self, feed: Callable[["Pipeline"], Awaitable[None]]) -> None:
        """Run ``feed`` and everything that it sends; returns when all but the open packs are stored."""
        # The inner nursery ends first: the workers are done before the last uploads are waited for.
        async with trio.open_nursery() as nursery, trio.open_nursery() as workers:
            for _ in range(self.limits.storage_workers_max):
                workers.start_soon(self._work, nursery)
            await feed(self)
            await self._in.aclose()

    async def send(self, batch: _Batch) -> None:
        """Take a batch; waits while the workers are behind."""
        await self._in.send(batch)

    async def _work(self, nursery: trio.Nursery) -> None:
        async for batch in self._out:
            pieces = await trio.to_thread.run_sync(_make_pieces, batch)
            async with self._adding:  # while one waits to ship a pack, the other does not fill a further one
                for piece in pieces:
                    self.counts.new_chunks += 1
                    self.counts.new_bytes += piece.length
                    await self._add(piece, nursery)

    async def _add(self, piece: Piece, nursery: trio.Nursery) -> None:
        target = self._open["data" if piece.role == DATA else "meta"]
        if target.is_full_with(piece):
            taken = target.take()
            target.add(piece)
            size = share_size_full(target.geometry.k)
            await self._slots.acquire()
            nursery.start_soon(self._ship, taken, target, size)
        else:
            target.add(piece)

    async def _ship(self, pieces: list[Piece], target: _Open, share_size: int) -> None:
        try:
            await self.store(pieces, target.kind, share_size)
        finally:
            self._slots.release()

    async def store(self, pieces: list[Piece], kind: PackKind, share_size: int) -> Pack:
        """Seal, put and record one pack, and empty the list. What it held is durable when this returns."""
        geometry = self._open[kind].geometry
        lines = [ChunkLine(piece.chunk_id, piece.length) for piece in pieces]

        def seal() -> Pack:
            return self.sealer.seal(pieces, kind, share_size=share_size, k=geometry.k, n=geometry.n)

        async with self._sealing:  # in memory twice only while it is sealed
            pack = await trio.to_thread.run_sync(seal)
            pieces.clear()
        await self.sink.put(pack)
        await self.catalog.record_pack(pack, lines)
        self.flying.difference_update(line.chunk_id for line in lines)
        self.counts.packs += 1
        self.counts.packed_bytes += len(pack.body)
        self.moved()
        return pack

    async def finish(self, last: Callable[[], Piece]) -> Pack:
        """Store what is open, and then, in the last metadata pack, the piece that names it all.

        ``last`` is called when everything else is durable but the pieces beside it in that pack.
        """
        await self._store_all(plan_packs(self._open["data"].take(), self.data.k), "data")
        meta = self._open["meta"]
        plan = plan_packs(meta.take(), self.meta.k)
        await self._store_all(plan[:-1], "meta")
        rest = plan[-1][0] if plan else []
        piece = last()
        size = fits([*rest, piece], self.meta.k)
        if size is None:
            await self._store_all([(rest, plan[-1][1])], "meta")
            rest, size = [], share_size_full(self.meta.k)
        return await self.store([*rest, piece], "meta", size)

    async def _store_all(self, plan: list[tuple[list[Piece], int]], kind: PackKind) -> None:
        async with trio.open_nursery() as nursery:
            for pieces, share_size in plan:
                await self._slots.acquire()
                nursery.start_soon(self._ship, pieces, self._open[kind], share_size)


def _make_pieces(batch: _Batch) -> list[Piece]:
    return [make_piece(one.chunk_id, one.role, one.raw) for one in batch]


@dataclass
class Funnel:
    """The walker's end: names chunks, drops known ones, and sends the rest in batches. An ``Intake``."""

    ids: ChunkIds
    pipeline: Pipeline
    run: int
    batch: _Batch = field(default_factory=_Batch)
    size: int = 0
    rows: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])

    def data(self, raw: bytes | memoryview) -> ChunkId:
        """Take a piece of a file."""
        chunk_id = self.ids.data(raw)
        self._offer(chunk_id, DATA, raw)
        return chunk_id

    def meta(self, raw: bytes) -> ChunkId:
        """Take a metadata chunk."""
        chunk_id = self.ids.meta(raw)
        self._offer(chunk_id, TREE, raw)
        return chunk_id

    def snapshot(self, chunk_id: ChunkId, raw: bytes) -> None:
        """Take an earlier snapshot that no stored pack holds any more."""
        self._offer(chunk_id, SNAPSHOT, raw)

    def _offer(self, chunk_id: ChunkId, role: Role, raw: bytes | memoryview) -> None:
        # Flying is asked first: a chunk leaves it only after the catalog has it, so it is never in neither.
        if chunk_id in self.pipeline.flying:
            return
        self.pipeline.flying.add(chunk_id)
        self.batch.append(_Raw(chunk_id, role, bytes(raw)))
        self.size += len(raw)
        limits = self.pipeline.limits
        if self.size >= limits.storage_batch_bytes_max or len(self.batch) >= limits.storage_batch_chunks_max:
            self.flush()

    def flush(self) -> None:
        """Send what is held and no stored pack holds already."""
        batch, self.batch, self.size = self.batch, [], 0
        known = self.pipeline.catalog.known_now([one.chunk_id for one in batch])
        if known:
            batch = [one for one in batch if one.chunk_id not in known]
            self.pipeline.flying.difference_update(known)
        if batch:
            trio.from_thread.run(self.pipeline.send, batch)

    def listing(self, directory: bytes, listing: bytes) -> None:
        """Take a directory's listing for the next run."""
        self.rows.append((directory, listing))
        if len(self.rows) >= self.pipeline.limits.storage_listings_max:
            self.flush_listings()

    def flush_listings(self) -> None:
        """Write the listings that are held."""
        rows, self.rows = self.rows, []
        if rows:
            trio.from_thread.run(self.pipeline.catalog.save_listings, self.run, rows)
