"""Which chunks some snapshots need: the mark of mark and sweep, in little memory however large the vault is.

A tree names its chunks by their hashes, so what was marked once has everything below it marked too: a second
snapshot of the same folder costs only what differs.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol, Self

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed, NanobarterError, Unreachable
from nanobarter.core.ids import Hash
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.chunks import CHUNK_MAX, ChunkId
from nanobarter.storage.ports import PackMissing, may_come
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import Content, Directory, Entry, File, Fold, Get, decode_node

_TICK: Final = 64  # directories between two looks at cancellation and progress


class NotMarked(NanobarterError):
    """A snapshot's trees cannot be read wholly, so nobody knows what it needs; ``later``: perhaps they can."""

    def __init__(self, snapshot_id: Hash, why: str, *, later: bool = False) -> None:
        super().__init__(f"snapshot {snapshot_id.hex()[:12]} cannot be read wholly ({why})")
        self.snapshot_id = snapshot_id
        self.later = later


class Marking(Protocol):
    """What chunks are marked in."""

    def add(self, chunk_id: bytes) -> bool:
        """Mark a chunk; tell whether it was not marked before."""
        ...


class Marks:
    """A set of chunk ids in a private temporary database, which SQLite spills to disk."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE marks (chunk_id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")
        self._db.execute("BEGIN")  # for good: one transaction per mark would cost ten times as much

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget all."""
        self._db.close()

    def add(self, chunk_id: bytes) -> bool:
        """Mark a chunk; tell whether it was not marked before."""
        return self._db.execute("INSERT OR IGNORE INTO marks VALUES (?)", (chunk_id,)).rowcount == 1

    def __contains__(self, chunk_id: bytes) -> bool:
        return self._db.execute("SELECT 1 FROM marks WHERE chunk_id = ?", (chunk_id,)).fetchone() is not None

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM marks").fetchone()[0])

    def ordered(self) -> Iterator[bytes]:
        """Return the marked ids in the order of their bytes."""
        return (row[0] for row in self._db.execute("SELECT chunk_id FROM marks ORDER BY chunk_id"))


def mark_all(
    snapshots: Sequence[tuple[SnapshotLine, Snapshot]], marks: Marking, get: Get, tick: Callable[[int, int], None]
) -> None:
    """Mark every chunk of these snapshots. ``tick`` gets (snapshots done, directories read).

    Raises NotMarked when a tree cannot be read, and the marks are then worth nothing.
    """
    directories = 0
    for done, (line, snapshot) in enumerate(snapshots):
        marks.add(line.chunk_id)
        try:
            for _ in mark_entries((root.entry for root in snapshot.roots), marks, get):
                directories += 1
                if directories % _TICK == 0:
                    tick(done, directories)
        except (PackMissing, Malformed, Unreachable) as error:
            raise NotMarked(line.snapshot_id, str(error), later=may_come(error)) from None
        tick(done + 1, directories)


def mark_entries(entries: Iterable[Entry], marks: Marking, get: Get) -> Iterator[None]:
    """Mark all below these entries; yields at every node that is read. Iterative: trees may be deep."""
    stack = list(entries)
    while stack:
        entry = stack.pop()
        if isinstance(entry, File):
            for _ in _fresh_leaves(entry.content, marks, get):
                pass
        elif isinstance(entry, Directory):
            for chunk_id in _fresh_leaves(entry.content, marks, get):
                stack += decode_node(get(chunk_id)).entries
                yield


def _fresh_leaves(content: Content, marks: Marking, get: Get) -> Iterator[ChunkId]:
    """Mark the chunks of a content, and return those at depth 0 that were not marked before."""
    waiting = [(content.depth, chunk_id) for chunk_id in reversed(content.ids)]
    while waiting:
        depth, chunk_id = waiting.pop()
        if not marks.add(chunk_id):
            continue
        if depth == 0:
            yield chunk_id
        else:
            run = decode(get(chunk_id), Fold, size_max=CHUNK_MAX).ids
            waiting += [(depth - 1, below) for below in reversed(run)]
