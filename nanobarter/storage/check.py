"""Checking what is stored: every snapshot's trees, every needed chunk, and, when asked, every byte of every pack."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import Hash, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.storage.browse import with_reader
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.chunks import ChunkId, ChunkIds
from nanobarter.storage.fetch import ChunkReader, fetch_pack
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.marks import Marks, NotMarked, mark_all
from nanobarter.storage.packs import OpenPack, piece_of
from nanobarter.storage.ports import PackMissing, PackSource
from nanobarter.storage.prune import Step
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.sweep import PackUse, measure


@dataclass(frozen=True)
class Checked:
    """What was found.

    ``unreadable`` snapshots have a tree that cannot be had; ``missing`` counts needed chunks that no pack is known to
    hold; ``damaged`` packs cannot be had or are not what they should be. ``mended`` rows of the catalog were not what
    the packs' own indexes say, and are now.
    """

    snapshots: int
    packs: int
    read_packs: int
    unreadable: tuple[tuple[Hash, str], ...]
    damaged: tuple[tuple[PackId, str], ...]
    missing: int
    mended: int = 0


async def check(
    *,
    keys: VaultKeys,
    catalog: Catalog,
    source: PackSource,
    read_data: bool,
    limits: Limits = LIMITS,
    progress: Callable[[Step], None],
) -> Checked:
    """Check all snapshots against the catalog and, with ``read_data``, fetch every pack and check every chunk."""
    lines = await catalog.snapshots()
    snapshots = [(line, open_snapshot(line.body, keys)) for line in lines]
    unreadable = list[tuple[Hash, str]]()
    with ExitStack() as scratch:
        marks = scratch.enter_context(Marks())

        def work(reader: ChunkReader) -> None:
            read = marks
            for done, named in enumerate(snapshots):
                trio.from_thread.run_sync(progress, Step("reading snapshots", done, len(snapshots), "snapshots"))
                try:
                    mark_all([named], _Both(read, marks), reader.meta, _tick)
                except NotMarked as error:
                    unreadable.append((error.snapshot_id, str(error)))
                    if read is not marks:
                        read.close()
                    read = scratch.enter_context(Marks())  # what was marked on the way may not be read below

        await with_reader(keys, catalog, source, limits, work)
        uses, missing = await catalog.store.read(lambda db: measure(db, marks))
        found = await _read_packs(uses if read_data else [], keys, catalog, source, progress)
        if found.mended:
            uses, missing = await catalog.store.read(lambda db: measure(db, marks))
    read = len(uses) if read_data else 0
    return Checked(len(snapshots), len(uses), read, tuple(unreadable), tuple(found.damaged), missing, found.mended)


def _tick(_done: int, _all: int) -> None:
    trio.from_thread.check_cancelled()


@dataclass(frozen=True)
class _Both:
    """Marks what was read wholly below, which tells what to read, and all that is needed."""

    read: Marks
    needed: Marks

    def add(self, chunk_id: bytes) -> bool:
        if self.read is not self.needed:
            self.needed.add(chunk_id)
        return self.read.add(chunk_id)


@dataclass
class _Found:
    damaged: list[tuple[PackId, str]] = field(default_factory=list[tuple[PackId, str]])
    mended: int = 0


async def _read_packs(
    uses: Sequence[PackUse], keys: VaultKeys, catalog: Catalog, source: PackSource, progress: Callable[[Step], None]
) -> _Found:
    """Fetch packs and check every chunk; where the catalog is at odds with a pack that is whole, the pack is right."""
    found, elsewhere = _Found(), dict[PackId, dict[ChunkId, int]]()
    for done, use in enumerate(uses):
        progress(Step("reading packs", done, len(uses), "packs"))
        try:
            pack = await fetch_pack(source, use.pack.pack_id, keys)
            await trio.to_thread.run_sync(_check_pack, pack, ChunkIds(keys))
        except (PackMissing, Malformed, Unreachable) as error:
            found.damaged.append((use.pack.pack_id, str(error)))
        else:
            held = {entry.chunk_id: entry.length for entry in pack.index.entries}
            wrong, others = await catalog.mend(use.pack.pack_id, held)
            found.mended += wrong
            elsewhere[use.pack.pack_id] = {chunk_id: held[chunk_id] for chunk_id in others}
    if found.mended:
        for pack_id, held in elsewhere.items():
            await catalog.add_missing(pack_id, held)
    return found


def _check_pack(pack: OpenPack, ids: ChunkIds) -> None:
    for entry in pack.index.entries:
        piece_of(pack, entry.chunk_id, ids)
