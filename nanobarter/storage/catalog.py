"""The catalog: which pack holds a chunk, which snapshots exist, which files are known. One per vault and home.

It can be lost: packs name their own chunks, and an exported copy travels with the backup (``export``). It is
never ahead of the truth: a pack is recorded only after the sink said that it is durable.
"""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, cast

import trio
import zstandard
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.storage.chunks import CHUNK_MAX, ChunkId
from nanobarter.storage.packs import ENTRIES_MAX
from nanobarter.storage.ports import Pack, PackKind
from nanobarter.storage.snapshot import SNAPSHOT_MAX
from nanobarter.storage.tree import Size

_LENGTH_BYTES: Final = 4
_RECORD_MAX: Final = 4 * 1024 * 1024  # a full pack's line: 32 Ki chunks of 39 bytes
_EXPORT_STEP: Final = 1024 * 1024


class ChunkLine(Record, frozen=True):
    """A chunk and its length before compression."""

    chunk_id: ChunkId
    length: Annotated[int, Meta(ge=0, le=CHUNK_MAX)]


class PackLine(Record, frozen=True, tag="pack"):
    """A stored pack with its chunks, as exported."""

    pack_id: PackId
    kind: PackKind
    share_size: Annotated[int, Meta(ge=1, le=2**31)]
    k: Annotated[int, Meta(ge=1, le=255)]
    n: Annotated[int, Meta(ge=1, le=255)]
    chunks: Annotated[tuple[ChunkLine, ...], Meta(max_length=ENTRIES_MAX)]


class SnapshotLine(Record, frozen=True, tag="snapshot"):
    """A snapshot, as exported: the pack and chunk that hold it, and the signed record itself."""

    snapshot_id: Hash
    started: Instant
    pack_id: PackId
    chunk_id: ChunkId
    body: Annotated[bytes, Meta(max_length=SNAPSHOT_MAX)]


class Head(Record, frozen=True, tag="catalog"):
    """The first record of an export."""

    version: Literal[1]
    packs: Size
    snapshots: Size


_Line = Head | PackLine | SnapshotLine


@dataclass(frozen=True)
class StoredPack:
    """A pack that was durably stored."""

    pack_id: PackId
    kind: PackKind
    share_size: int
    k: int
    n: int


@dataclass
class Catalog:
    """The catalog in a Store. The store must be running for the methods that write."""

    store: Store
    limits: Limits = LIMITS
    turn: trio.Lock = field(default_factory=trio.Lock)
    """Held by a backup: two at once would write each other's runs."""

    lost: frozenset[PackId] = frozenset()
    """Packs that cannot be had any more: what they hold counts as not stored. See ``mark_lost``."""

    def has_now(self, chunk_id: ChunkId) -> bool:
        """Tell whether a stored pack that is not lost holds this chunk. Blocks for a look-up in the index."""
        pack_id = self.pack_of_now(chunk_id)
        return pack_id is not None and pack_id not in self.lost

    def pack_of_now(self, chunk_id: ChunkId) -> PackId | None:
        """Return the pack that holds this chunk. Blocks for a look-up in the index."""
        question = "SELECT pack_id FROM storage_chunks JOIN storage_packs USING (pack) WHERE chunk_id = ?"
        row = self.store.read_now(lambda db: db.execute(question, (chunk_id,)).fetchone())
        return None if row is None else PackId(row[0])

    async def record_pack(self, pack: Pack, lines: Iterable[ChunkLine]) -> None:
        """Record a pack that the sink made durable. Chunks that an older one holds too are found here from now on."""
        line = PackLine(pack.pack_id, pack.kind, pack.share_size, pack.k, pack.n, tuple(lines))

        def change(db: sqlite3.Connection) -> None:
            _insert_pack(db, line)
            question = "UPDATE storage_chunks SET pack = (SELECT pack FROM storage_packs WHERE pack_id = ?) "
            db.executemany(question + "WHERE chunk_id = ?", [(line.pack_id, chunk.chunk_id) for chunk in line.chunks])

        await self.store.write(change)

    async def mark_lost(self, packs: Collection[PackId]) -> None:
        """Count these packs, and no others, as lost, so that the next backup stores again what it meets of them.

        They stay recorded: should their peers come back, what no folder holds any more can still be restored.
        """
        fresh, self.lost = set(packs) - self.lost, frozenset(packs)
        if fresh:  # known files may name their chunks; reading all again is the price of certainty
            await self.store.write(lambda db: db.execute("DELETE FROM storage_files").rowcount)

    async def drop_replaced(self) -> list[PackId]:
        """Forget the lost packs of which every chunk is in another pack by now, and return their ids.

        Ids that are not recorded are among them, so that whoever died after the forgetting can finish.

        The chunk of a snapshot does not keep its pack: the catalog has the snapshot itself.
        """

        def change(db: sqlite3.Connection) -> list[PackId]:
            question = (
                "DELETE FROM storage_packs WHERE pack_id = ? AND NOT EXISTS (SELECT 1 FROM storage_chunks "
                "WHERE storage_chunks.pack = storage_packs.pack "
                "AND chunk_id NOT IN (SELECT chunk_id FROM storage_snapshots))"
            )
            db.executemany(question, [(pack_id,) for pack_id in self.lost])
            known = {pack_id for (pack_id,) in db.execute("SELECT pack_id FROM storage_packs")}
            return sorted(self.lost - known)

        return await self.store.write(change)

    async def forget_pack(self, pack_id: PackId) -> None:
        """Forget a pack that is gone or deleted; the next backup stores its chunks again if it meets them."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM storage_packs WHERE pack_id = ?", (pack_id,))
            # Known files may name its chunks; reading them again is the price of certainty.
            db.execute("DELETE FROM storage_files")

        await self.store.write(change)

    async def packs(self) -> list[StoredPack]:
        """Return all stored packs, oldest first."""
        question = "SELECT pack_id, kind, share_size, k, n FROM storage_packs ORDER BY pack"
        return await self.store.read(lambda db: [StoredPack(*row) for row in db.execute(question)])

    async def add_snapshot(self, line: SnapshotLine) -> None:
        """Record a snapshot whose packs are all durable."""
        await self.store.write(lambda db: _insert_snapshot(db, line))

    async def snapshots(self) -> list[SnapshotLine]:
        """Return all snapshots, oldest first."""
        return await self.store.read(lambda db: list(_snapshots(db)))

    async def forget_snapshot(self, snapshot_id: Hash) -> None:
        """Forget a snapshot; its packs stay until they are pruned."""
        question = "DELETE FROM storage_snapshots WHERE snapshot_id = ?"
        await self.store.write(lambda db: db.execute(question, (snapshot_id,)).rowcount)

    async def begin_run(self) -> int:
        """Return the number of a new run, after the traces of unfinished ones were wiped."""

        def change(db: sqlite3.Connection) -> int:
            (finished,) = db.execute("SELECT finished FROM storage_runs").fetchone()
            db.execute("DELETE FROM storage_files WHERE run > ?", (finished,))
            return int(finished) + 1

        return await self.store.write(change)

    async def finish_run(self, run: int) -> None:
        """Make the listings of a run count: all of its chunks are durable."""
        await self.store.write(lambda db: db.execute("UPDATE storage_runs SET finished = ?", (run,)).rowcount)

    async def save_listings(self, run: int, rows: list[tuple[bytes, bytes]]) -> None:
        """Keep what directories held, as (path, listing) pairs."""
        question = "INSERT OR REPLACE INTO storage_files VALUES (?, ?, ?)"
        values = [(path, run, listing) for path, listing in rows]
        await self.store.write(lambda db: db.executemany(question, values).rowcount)

    def listing_now(self, directory: bytes) -> bytes:
        """Return what a directory held at the last finished run, or nothing. Blocks for a look-up."""
        question = (
            "SELECT listing FROM storage_files WHERE directory = ? AND run <= (SELECT finished FROM storage_runs)"
        )
        row = self.store.read_now(lambda db: db.execute(question, (directory,)).fetchone())
        return b"" if row is None else bytes(row[0])

    async def export(self) -> bytes:
        """Return packs, chunks and snapshots as compressed canonical records, the same for the same catalog.

        About 40 bytes per chunk, in memory. Known files are left out: they belong to this machine.
        """
        return await self.store.read(_export)

    async def import_(self, data: bytes) -> None:
        """Add what an export holds. Raises Malformed, with nothing changed, for anything else.

        The bytes are trusted as far as their seal is: authenticate them before (packs.open_pack).
        """
        lines = await trio.to_thread.run_sync(parse_export, data, self.limits.storage_catalog_bytes_max)

        def change(db: sqlite3.Connection) -> None:
            for line in lines:
                if isinstance(line, PackLine):
                    _insert_pack(db, line)
                elif isinstance(line, SnapshotLine):
                    _insert_snapshot(db, line)

        await self.store.write(change)


def _insert_pack(db: sqlite3.Connection, line: PackLine) -> None:
    values = (line.pack_id, line.kind, line.share_size, line.k, line.n)
    db.execute(
        "INSERT INTO storage_packs (pack_id, kind, share_size, k, n) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        values,
    )
    (pack,) = db.execute("SELECT pack FROM storage_packs WHERE pack_id = ?", (line.pack_id,)).fetchone()
    rows = [(chunk.chunk_id, pack, chunk.length) for chunk in line.chunks]
    db.executemany("INSERT INTO storage_chunks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)


def _insert_snapshot(db: sqlite3.Connection, line: SnapshotLine) -> None:
    values = (line.snapshot_id, line.started, line.pack_id, line.chunk_id, line.body)
    db.execute("INSERT INTO storage_snapshots VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)


def _snapshots(db: sqlite3.Connection) -> Iterable[SnapshotLine]:
    question = (
        "SELECT snapshot_id, started, pack_id, chunk_id, body FROM storage_snapshots ORDER BY started, snapshot_id"
    )
    return (SnapshotLine(*row) for row in db.execute(question))


def _lines(db: sqlite3.Connection) -> Iterable[_Line]:
    counts = db.execute("SELECT (SELECT count(*) FROM storage_packs), (SELECT count(*) FROM storage_snapshots)")
    yield Head(1, *counts.fetchone())
    # By pack id, not in the order of arrival: an imported catalog exports the same bytes.
    packs = db.execute("SELECT pack, pack_id, kind, share_size, k, n FROM storage_packs ORDER BY pack_id").fetchall()
    for pack, *columns in packs:
        chunks = db.execute("SELECT chunk_id, length FROM storage_chunks WHERE pack = ? ORDER BY chunk_id", (pack,))
        pack_id, kind, share_size, k, n = columns
        yield PackLine(pack_id, kind, share_size, k, n, tuple(ChunkLine(*row) for row in chunks))
    yield from _snapshots(db)


def _export(db: sqlite3.Connection) -> bytes:
    db.execute("BEGIN")  # one state of the catalog, though others write meanwhile
    try:
        packer = zstandard.ZstdCompressor(level=3).compressobj()
        parts = list[bytes]()
        for line in _lines(db):
            data = encode(line)
            parts.append(packer.compress(len(data).to_bytes(_LENGTH_BYTES, "big") + data))
        return b"".join([*parts, packer.flush()])
    finally:
        db.execute("ROLLBACK")


def parse_export(data: bytes, size_max: int) -> list[_Line]:
    """Return the records of an export of at most ``size_max`` bytes when unpacked, or raise Malformed."""
    plain = _inflate(data, size_max)
    lines, at = list[_Line](), 0
    while at < len(plain):
        end = at + _LENGTH_BYTES + int.from_bytes(plain[at : at + _LENGTH_BYTES], "big")
        if end > len(plain):
            raise Malformed("the catalog ends inside a record")
        lines.append(cast("_Line", decode(plain[at + _LENGTH_BYTES : end], cast("Any", _Line), size_max=_RECORD_MAX)))
        at = end
    _check_lines(lines)
    return lines


def _inflate(data: bytes, size_max: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    parts, size = list[bytes](), 0
    try:
        for start in range(0, len(data), _EXPORT_STEP):
            parts.append(unpacker.decompress(data[start : start + _EXPORT_STEP]))
            size += len(parts[-1])
            if size > size_max:
                raise Malformed(f"the catalog exceeds {size_max} bytes")
    except zstandard.ZstdError as error:
        raise Malformed(f"the catalog does not decompress: {error}") from None
    return b"".join(parts)


def _check_lines(lines: list[_Line]) -> None:
    head = lines[0] if lines else None
    packs = sum(isinstance(line, PackLine) for line in lines)
    snapshots = [line for line in lines if isinstance(line, SnapshotLine)]
    if not isinstance(head, Head) or (head.packs, head.snapshots) != (packs, len(snapshots)):
        raise Malformed("the catalog is cut short, or is none")
    if packs + len(snapshots) + 1 != len(lines):
        raise Malformed("the catalog has two heads")
