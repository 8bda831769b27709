"""What is lost with packs: which snapshots can still be brought back, and which files of one cannot.

A pack is *gone* when peers were caught without so many of its shares that k are not left, or their leases ended: only
storing its contents again helps. It is *away* when k shares are left, but too few of their peers proved them lately:
they may come back. Trees are read from peers as far as they can be had, and only when some pack is lacking at all.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import PackId
from nanobarter.storage.browse import join_path, walk_entry
from nanobarter.storage.chunks import ChunkId
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.health import PackHealth
from nanobarter.storage.marks import Marks, mark_entries
from nanobarter.storage.ports import PackMissing, PackSource
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import EMPTY, Content, Directory, Entry, File, Get, unfold

Fate = Literal["whole", "away", "part", "lost", "unknown"]
"""All can be had; all once silent peers are back; only a part, ever; nothing at all; not to be told just now."""

FIRST_MAX: Final = 10  # paths told of what is lacking
_TICK: Final = 64  # files or folders between two looks at cancellation


@dataclass(frozen=True)
class Lacking:
    """The packs that cannot be had now."""

    gone: frozenset[PackId] = frozenset()
    away: frozenset[PackId] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.gone or self.away)


def lacking_of(stored: Iterable[PackId], health: Iterable[PackHealth]) -> Lacking:
    """Return which of the packs that the catalog counts on cannot be had, by the health of all packs."""
    known = {one.row.pack_id: one for one in health}
    gone, away = set[PackId](), set[PackId]()
    for pack_id in stored:
        one = known.get(pack_id)
        if one is None or one.gone:
            gone.add(pack_id)
        elif one.verdict == "lost":
            away.add(pack_id)
    return Lacking(frozenset(gone), frozenset(away))


@dataclass(frozen=True)
class Present:
    """A source that does not ask for packs that are lacking."""

    source: PackSource
    lacking: Lacking

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body of a pack. Raises PackMissing."""
        if pack_id in self.lacking.gone:
            raise PackMissing(pack_id, "too few of its shares are left")
        if pack_id in self.lacking.away:
            raise PackMissing(pack_id, "too few of its peers proved their shares lately", later=True)
        return await self.source.get(pack_id)


# -- all snapshots, as far as a list needs it


class _Gone(Exception):
    pass


@dataclass
class _Watch:
    """Marks chunks, and looks where each is."""

    marks: Marks
    reader: ChunkReader
    lacking: Lacking
    away: bool = False

    def add(self, chunk_id: bytes) -> bool:
        fresh = self.marks.add(chunk_id)
        if fresh:
            pack = self.reader.catalog.pack_of_now(ChunkId(chunk_id))
            if pack is None or pack in self.lacking.gone:
                raise _Gone
            self.away = self.away or pack in self.lacking.away
        return fresh


def fates(
    snapshots: Iterable[Snapshot], reader: ChunkReader, lacking: Lacking, tick: Callable[[], None]
) -> Iterator[Fate]:
    """Yield the fate of each snapshot. Runs in a worker thread; the reader's source should be ``Present``.

    What one snapshot has whole is not looked at again in the next.
    """
    marks = Marks()
    try:
        for snapshot in snapshots:
            fate = _fate(snapshot, _Watch(marks, reader, lacking), tick)
            if fate != "whole":  # what was marked on the way to a loss says nothing of what is below
                marks.close()
                marks = Marks()
            yield fate
    finally:
        marks.close()


def _fate(snapshot: Snapshot, watch: _Watch, tick: Callable[[], None]) -> Fate:
    entries = [root.entry for root in snapshot.roots]
    if entries and all(_is_gone(entry, watch) for entry in entries):
        return "lost"
    try:
        for count, _ in enumerate(mark_entries(entries, watch, watch.reader.meta)):
            if count % _TICK == 0:
                tick()
    except _Gone:
        return "part"
    except (PackMissing, Malformed, Unreachable):
        return "away" if watch.away else "unknown"
    return "away" if watch.away else "whole"


def _is_gone(entry: Entry, watch: _Watch) -> bool:
    """Tell whether the first thing that a root needs is gone, and all below it with that."""
    if not isinstance(entry, File | Directory) or not entry.content.ids:
        return False
    packs = {watch.reader.catalog.pack_of_now(chunk) for chunk in entry.content.ids}
    return all(pack is None or pack in watch.lacking.gone for pack in packs)


# -- one snapshot, as far as a restore needs it


@dataclass
class Missing:
    """What of a snapshot cannot be had: files and their bytes, and folders that cannot be read, with all below them.

    ``first`` are paths of what is gone.
    """

    gone_files: int = 0
    gone_bytes: int = 0
    gone_folders: int = 0
    away_files: int = 0
    away_folders: int = 0
    first: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.gone_files or self.gone_folders or self.away_files or self.away_folders)

    def note(self, path: bytes) -> None:
        """Add a path to the first ones."""
        if len(self.first) < FIRST_MAX:
            self.first += (path,)


def missing_of(
    snapshot: Snapshot,
    reader: ChunkReader,
    lacking: Lacking,
    wanted: Callable[[bytes], bool],
    tick: Callable[[], None],
) -> Missing:
    """Return what cannot be had of the paths that are ``wanted``. As ``fates``, in a worker thread."""
    found, count = Missing(), 0
    for root in snapshot.roots:
        if not wanted(root.path):
            continue
        steps = walk_entry(root.entry, reader.meta, lambda parts, at=root.path: wanted(join_path(at, parts)))
        for step in steps:
            count += 1
            if count % _TICK == 0:
                tick()
            path = join_path(root.path, step.parts)
            if step.kind == "lost":
                _note_folder(found, path, step.entry, reader, lacking)
            elif step.kind == "entry" and isinstance(step.entry, File):
                _note_file(found, path, step.entry, reader, lacking)
    return found


def _note_folder(found: Missing, path: bytes, entry: Entry, reader: ChunkReader, lacking: Lacking) -> None:
    content = entry.content if isinstance(entry, Directory) else EMPTY
    if _worst(_packs(content, reader.meta, reader), lacking) == "gone":
        found.gone_folders += 1
        found.note(path)
    else:
        found.away_folders += 1


def _note_file(found: Missing, path: bytes, entry: File, reader: ChunkReader, lacking: Lacking) -> None:
    worst = _worst(_packs(entry.content, reader.meta, reader), lacking)
    if worst == "gone":
        found.gone_files += 1
        found.gone_bytes += entry.size
        found.note(path)
    elif worst == "away":
        found.away_files += 1


def _packs(content: Content, get: Get, reader: ChunkReader) -> set[PackId | None]:
    """Return the packs of all pieces; of a list of pieces that cannot be read, those of the list."""
    found = {reader.catalog.pack_of_now(chunk) for chunk in content.ids}
    if content.depth:
        with suppress(PackMissing, Malformed, Unreachable):
            found |= {reader.catalog.pack_of_now(chunk) for chunk in unfold(content, get)}
    return found


def _worst(packs: Collection[PackId | None], lacking: Lacking) -> Literal["gone", "away", "here"]:
    if any(pack is None or pack in lacking.gone for pack in packs):
        return "gone"
    return "away" if any(pack in lacking.away for pack in packs) else "here"
