"""Why one path is kept or not: the rule that leaves it out, and where a snapshot has it. For ``nbctl explain``.

The rules are asked in the order in which the walk asks them (``walk``), from the folder that is backed up down to the
path, so that what is told here is what a backup does.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import PackId
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.looking import entries_of
from nanobarter.storage.ports import PackMissing, may_come
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import Directory, Entry, File, unfold

RuleKind = Literal["pattern", "never", "marker"]


@dataclass(frozen=True)
class LeftOut:
    """What leaves a path out. ``at`` is the path itself or the folder above it that the rule met.

    ``pattern`` counts the exclude patterns from 0; ``marker`` names the file that says a folder is not worth keeping.
    """

    kind: RuleKind
    at: bytes
    pattern: int = -1
    marker: bytes = b""


def why_left_out(
    excludes: Excludes,
    folder: bytes,
    path: bytes,
    *,
    is_directory: Callable[[bytes], bool],
    names_in: Callable[[bytes], set[bytes]],
    read_start: Callable[[bytes], bytes],
) -> LeftOut | None:
    """Return the first rule that a walk over ``folder`` meets on its way to ``path``, or None when it is kept.

    ``is_directory``, ``names_in`` (of a folder; empty when it cannot be read) and ``read_start`` look at the disk.
    """
    above = folder
    for step in _steps(folder, path):
        marker = excludes.only_marker(names_in(above), lambda name, at=above: read_start(os.path.join(at, name)))  # noqa: PTH118 - paths of bytes
        if marker is not None and os.path.basename(step) != marker:  # noqa: PTH119 - as above
            return LeftOut("marker", above, marker=marker)
        if excludes.is_never_entered(step):
            return LeftOut("never", step)
        relative = step[len(folder.rstrip(b"/")) + 1 :]
        pattern = excludes.pattern_for(relative, directory=is_directory(step))
        if pattern is not None:
            return LeftOut("pattern", step, pattern=pattern)
        above = step
    return None


def _steps(folder: bytes, path: bytes) -> Iterator[bytes]:
    """Return the paths below the folder on the way to the path, the path itself last."""
    top = folder.rstrip(b"/")
    parts = path[len(top) + 1 :].split(b"/") if path != folder else []
    for end in range(1, len(parts) + 1):
        yield b"/".join([top, *parts[:end]])


def is_below(folder: bytes, path: bytes) -> bool:
    """Tell whether a path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


@dataclass(frozen=True)
class Place:
    """One path in one snapshot. No ``entry``: it is not there, or ``lost`` says what cannot be read.

    ``away``: it may be read when peers are back.

    ``packs`` counts the pieces of its content by pack, None being those that no known pack has; of a folder it is the
    listing that counts. ``trouble`` is what the snapshot itself notes about the path.
    """

    entry: Entry | None = None
    lost: str = ""
    trouble: str = ""
    packs: tuple[tuple[PackId | None, int], ...] = ()
    away: bool = False


def place_in(snapshot: Snapshot, path: bytes, reader: ChunkReader) -> Place:
    """Return where a path is in a snapshot; only the folders on the way to it are read. Runs in a worker thread."""
    trouble = next((f"{p.trouble} {p.detail}".strip() for p in snapshot.problems if p.path == path), "")
    for kind, line in entries_of(snapshot, reader.meta, lambda here: is_below(here, path)):
        if kind == "lost":
            return Place(lost=os.fsdecode(line.path), trouble=trouble, away=line.away)
        if line.path == path:
            try:
                return Place(line.entry, trouble=trouble, packs=_packs(line.entry, reader))
            except (Malformed, PackMissing, Unreachable) as error:  # the list of pieces of a large file is a pack too
                return Place(line.entry, lost=str(error), trouble=trouble, away=may_come(error))
    return Place(trouble=trouble)


def _packs(entry: Entry, reader: ChunkReader) -> tuple[tuple[PackId | None, int], ...]:
    if not isinstance(entry, File | Directory):
        return ()
    chunks = dict.fromkeys(unfold(entry.content, reader.meta))
    found = Counter(reader.catalog.pack_of_now(chunk) for chunk in chunks)
    return tuple(found.most_common())
