"""Backup: folders in, stored packs and a signed snapshot out. Start here to read the engine.

``walk`` reads the disk and makes trees, ``pipeline`` makes packs of what is new, the sink stores them, the
catalog remembers. A snapshot exists once everything that it names is durable; a run that was killed is repeated
and stores only what is still missing.
"""

import os
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import Hash, PackId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import Instant
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.chunks import Chunker, ChunkIds
from nanobarter.storage.concurrent import one_error
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.packs import SNAPSHOT, Piece, Sealer, make_piece
from nanobarter.storage.pipeline import Code, Funnel, Pipeline
from nanobarter.storage.ports import PackSink
from nanobarter.storage.snapshot import ROOTS_MAX, Root, Snapshot, Stats, seal_snapshot, snapshot_id_of
from nanobarter.storage.walk import Counts, Walker

_TICK_FILES = 64  # files between two looks at cancellation
_TELL_SECONDS = 0.1  # between two tellings of progress; each costs a visit to the event loop


@dataclass(frozen=True)
class Progress:
    """How far a backup is. Totals are not known before its end."""

    files: int = 0
    directories: int = 0
    seen_bytes: int = 0
    new_bytes: int = 0
    packs: int = 0
    packed_bytes: int = 0
    skipped: int = 0
    path: bytes = b""


@dataclass(frozen=True)
class Summary:
    """What a backup made: the snapshot, the pack that holds it, and what was done."""

    snapshot_id: Hash
    snapshot: Snapshot
    pack_id: PackId
    progress: Progress

    @property
    def complete(self) -> bool:
        """Whether everything but sockets and FIFOs is in it."""
        return self.snapshot.complete


@dataclass
class _Backup:
    keys: VaultKeys
    catalog: Catalog
    sink: PackSink
    data: Code
    meta: Code
    clock: Clock
    entropy: Entropy
    host: str
    excludes: Excludes
    limits: Limits
    report: Callable[[Progress], None]
    progress: Progress = field(default_factory=Progress)
    ticks: int = 0
    told_at: float = 0.0

    async def run(self, paths: Sequence[bytes]) -> Summary:
        started, run = self.clock.now(), await self.catalog.begin_run()
        sealer = Sealer(self.keys.hpke_public, self.keys.vault_id, self.entropy)
        pipeline = Pipeline(self.catalog, self.sink, sealer, self.data, self.meta, self.limits, self._moved)
        self.pipeline = pipeline
        funnel = Funnel(ChunkIds(self.keys), pipeline, run)
        chunker = Chunker.of(self.keys)
        walker = Walker(self.catalog, chunker, funnel, self.excludes, self.clock, self.limits, self._tick)
        roots, unstored = list[Root](), await self.catalog.unstored_snapshots()

        def walk() -> None:
            roots.extend(walker.root(path) for path in paths)
            for line in unstored:
                funnel.snapshot(line.chunk_id, line.body)
            funnel.flush()
            funnel.flush_listings()

        async def feed(_pipeline: Pipeline) -> None:
            await trio.to_thread.run_sync(walk)

        await pipeline.run(feed)
        signed = list[Signed]()
        snapshots = list[Snapshot]()

        def last() -> Piece:
            snapshots.append(self._snapshot(walker, tuple(roots), started))
            signed.append(seal_snapshot(self.keys, snapshots[0]))
            body = encode(signed[0])
            return make_piece(ChunkIds(self.keys).meta(body), SNAPSHOT, body)

        pack = await pipeline.finish(last)
        self._count(walker.counts)
        body = encode(signed[0])
        snapshot_id = snapshot_id_of(signed[0])
        line = SnapshotLine(snapshot_id, started, pack.pack_id, ChunkIds(self.keys).meta(body), body)
        await self.catalog.add_snapshot(line)
        await self.catalog.finish_run(run)
        self.report(self.progress)
        return Summary(snapshot_id, snapshots[0], pack.pack_id, self.progress)

    def _snapshot(self, walker: Walker, roots: tuple[Root, ...], started: Instant) -> Snapshot:
        done, packed = walker.counts, self.pipeline.counts
        stats = Stats(done.files, done.directories, done.seen_bytes, packed.new_bytes, packed.packed_bytes)
        return Snapshot(
            version=1,
            vault=self.keys.vault_id,
            host=self.host,
            started=started,
            ended=self.clock.now(),
            roots=roots,
            complete=walker.complete,
            problems=tuple(walker.problems),
            problem_count=walker.problem_count,
            stats=stats,
            k=self.data.k,
            n=self.data.n,
        )

    def _tick(self, counts: Counts) -> None:
        """Look, from the walker's thread, whether to stop, and tell how far it is."""
        self.ticks += 1
        if self.ticks % _TICK_FILES == 0:
            trio.from_thread.check_cancelled()
            if (now := time.monotonic()) >= self.told_at + _TELL_SECONDS:
                self.told_at = now
                trio.from_thread.run_sync(self._tell, counts)

    def _tell(self, counts: Counts) -> None:
        self._count(counts)
        self.report(self.progress)

    def _count(self, counts: Counts) -> None:
        self.progress = replace(
            self.progress,
            files=counts.files,
            directories=counts.directories,
            seen_bytes=counts.seen_bytes,
            skipped=counts.skipped,
            path=counts.path,
        )
        self._take_pack_counts()

    def _moved(self) -> None:
        self._take_pack_counts()
        self.report(self.progress)

    def _take_pack_counts(self) -> None:
        packed = self.pipeline.counts
        self.progress = replace(
            self.progress, new_bytes=packed.new_bytes, packs=packed.packs, packed_bytes=packed.packed_bytes
        )


async def backup(  # noqa: PLR0913 - the ports, by name
    *,
    roots: Sequence[Path],
    keys: VaultKeys,
    catalog: Catalog,
    sink: PackSink,
    geometry: tuple[int, int],
    clock: Clock,
    entropy: Entropy,
    host: str,
    meta_geometry: tuple[int, int] | None = None,
    excludes: Excludes | None = None,
    lost: Callable[[], Awaitable[Collection[PackId]]] | None = None,
    limits: Limits = LIMITS,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Store the present state of some folders and files as one snapshot, and return it.

    ``geometry`` is (k, n) for file contents, ``meta_geometry`` for metadata (the same unless given). ``progress``
    is called in the event loop's thread and must not wait. What the packs that ``lost`` names hold is stored again;
    it is asked while no other backup runs. The catalog's Store must be running. Unreadable files are in the
    snapshot's problems. Raises UsageError for roots that are not there, and whatever the sink raises; what was
    stored until then is used by the next run.
    """
    paths = _paths_of(roots)
    rules = excludes or Excludes()
    rules.check()
    work = _Backup(
        keys,
        catalog,
        sink,
        Code(*geometry),
        Code(*(meta_geometry or geometry)),
        clock,
        entropy,
        host[:255],
        rules,
        limits,
        progress or (lambda _progress: None),
    )
    async with catalog.turn:
        await catalog.mark_lost(await lost() if lost else ())
        with one_error():
            return await work.run(paths)


def _paths_of(roots: Sequence[Path]) -> list[bytes]:
    paths = sorted({os.fsencode(root.absolute()) for root in roots})
    if not 1 <= len(paths) <= ROOTS_MAX:
        raise UsageError(f"{len(paths)} folders were given where 1 to {ROOTS_MAX} can be one snapshot")
    for one in paths:
        inside = [other for other in paths if other != one and one.startswith(other.rstrip(b"/") + b"/")]
        if inside:
            raise UsageError(
                f"{os.fsdecode(one)!r} is inside {os.fsdecode(inside[0])!r}", hint="name only the outer one"
            )
    return paths
