"""Looking into snapshots: one folder, what matches a pattern, what differs between two, a random sample of files."""

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from nanobarter.storage.browse import Listed, join_path, walk_entry
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import Entry, File, Get


@dataclass
class Found:
    """What was found: at most so many rows, whether there are ``more``, and folders that cannot be read."""

    rows_max: int
    rows: list[Listed] = field(default_factory=list[Listed])
    lost: list[Listed] = field(default_factory=list[Listed])
    more: bool = False

    def add(self, line: Listed) -> None:
        """Take a row, or only note that there is one more."""
        if len(self.rows) < self.rows_max:
            self.rows.append(line)
        else:
            self.more = True


def entries_of(
    snapshot: Snapshot, get: Get, keep: Callable[[bytes], bool] = lambda _path: True
) -> Iterator[tuple[Literal["entry", "lost"], Listed]]:
    """Return all entries in order with their absolute paths; what ``keep`` denies is not entered."""
    for root in snapshot.roots:
        for step in walk_entry(root.entry, get, lambda parts, top=root.path: keep(join_path(top, parts))):
            if step.kind != "leave":
                yield step.kind, Listed(join_path(root.path, step.parts), step.entry, step.away)


def list_folder(snapshot: Snapshot, path: bytes, reader: ChunkReader, rows_max: int) -> Found:
    """Return what a folder holds, or the roots when ``path`` is empty; a file stands for itself."""
    found = Found(rows_max)

    def keep(here: bytes) -> bool:
        return bool(path) and ((path + b"/").startswith(here.rstrip(b"/") + b"/") or here.rpartition(b"/")[0] == path)

    for kind, line in entries_of(snapshot, reader.meta, keep):
        if kind == "lost":
            if line.path == path:
                found.lost.append(line)
        elif not path or line.path.rpartition(b"/")[0] == path or (line.path == path and isinstance(line.entry, File)):
            found.add(line)
    return found


def find_names(snapshot: Snapshot, pattern: bytes, reader: ChunkReader, rows_max: int) -> Found:
    """Return what a shell pattern matches: names or, when it holds a slash, whole paths."""
    found = Found(rows_max)
    for kind, line in entries_of(snapshot, reader.meta):
        told = line.path if b"/" in pattern else line.path.rpartition(b"/")[2]
        if kind == "lost":
            found.lost.append(line)
        elif fnmatch.fnmatchcase(told, pattern):
            found.add(line)
    return found


@dataclass(frozen=True)
class Change:
    """One path that differs between two snapshots."""

    kind: Literal["added", "removed", "changed", "attributes"]
    path: bytes


def compare(one: Snapshot, other: Snapshot, reader: ChunkReader) -> Iterator[Change]:
    """Return what differs, in order. Both are walked side by side, so nothing is held."""
    left, right = _sorted_entries(one, reader), _sorted_entries(other, reader)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if a is not None and (b is None or a[0] < b[0]):
            yield Change("removed", a[1].path)
            a = next(left, None)
        elif b is not None and (a is None or b[0] < a[0]):
            yield Change("added", b[1].path)
            b = next(right, None)
        elif a is not None and b is not None:
            change = _changed(a[1].entry, b[1].entry)
            if change is not None:
                yield Change(change, b[1].path)
            a, b = next(left, None), next(right, None)


def _sorted_entries(snapshot: Snapshot, reader: ChunkReader) -> Iterator[tuple[tuple[bytes, ...], Listed]]:
    for kind, line in entries_of(snapshot, reader.meta):
        if kind == "entry":
            yield tuple(line.path.split(b"/")), line


def _changed(one: Entry, other: Entry) -> Literal["changed", "attributes"] | None:
    if type(one) is not type(other):
        return "changed"
    if isinstance(one, File) and isinstance(other, File) and (one.size, one.content) != (other.size, other.content):
        return "changed"
    if one.attributes == other.attributes:
        return None
    return "attributes"


def sample_files(snapshot: Snapshot, count: int, dice: Callable[[int], int], reader: ChunkReader) -> list[Listed]:
    """Return so many files of a snapshot, each as likely as any other. ``dice`` gives a number below its argument."""
    chosen, seen = list[Listed](), 0
    for kind, line in entries_of(snapshot, reader.meta):
        if kind == "entry" and isinstance(line.entry, File):
            seen += 1
            if len(chosen) < count:
                chosen.append(line)
            elif (place := dice(seen)) < count:
                chosen[place] = line
    return chosen
