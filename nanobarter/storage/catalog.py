"""The catalog: which pack holds a chunk, which snapshots exist, which files are known. One per vault and home.

It can be lost: packs name their own chunks, and an exported copy travels with the backup (``export``). It is
never ahead of the truth: a pack is recorded only after the sink said that it is durable.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from nanobarter.core.ids import Hash, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.store import Store
from nanobarter.storage.catalog_lines import (
    ChunkLine,
    PackLine,
    SnapshotLine,
    export_lines,
    parse_export,
    snapshot_lines,
)
from nanobarter.storage.chunks import ChunkId
from nanobarter.storage.listings import guarded, unguarded
from nanobarter.storage.ports import Pack, PackKind

_ASKED_MAX: Final = 512  # SQLite's oldest bound on the question marks of a statement is 999


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

    def known_now(self, chunk_ids: Sequence[ChunkId]) -> set[ChunkId]:
        """Return those of the chunks that a stored pack holds which is not lost. Blocks for a look-up in the index.

        Many at once, since a question to the database costs as much as ten of its look-ups.
        """
        found = set[ChunkId]()
        for start in range(0, len(chunk_ids), _ASKED_MAX):
            asked = chunk_ids[start : start + _ASKED_MAX]
            question = (
                "SELECT chunk_id, pack_id FROM storage_chunks JOIN storage_packs USING (pack) "  # noqa: S608 - question marks
                f"WHERE chunk_id IN ({','.join('?' * len(asked))})"
            )
            rows = self.store.read_now(lambda db, q=question, a=asked: db.execute(q, a).fetchall())
            found.update(chunk_id for chunk_id, pack_id in rows if pack_id not in self.lost)
        return found

    def pack_of_now(self, chunk_id: ChunkId) -> PackId | None:
        """Return the pack that holds this chunk. Blocks for a look-up in the index."""
        question = "SELECT pack_id FROM storage_chunks JOIN storage_packs USING (pack) WHERE chunk_id = ?"
        row = self.store.read_now(lambda db: db.execute(question, (chunk_id,)).fetchone())
        return None if row is None else PackId(row[0])

    def length_now(self, chunk_id: ChunkId) -> int | None:
        """Return the length of a stored chunk before compression. Blocks for a look-up in the index."""
        question = "SELECT length FROM storage_chunks WHERE chunk_id = ?"
        row = self.store.read_now(lambda db: db.execute(question, (chunk_id,)).fetchone())
        return None if row is None else int(row[0])

    async def record_pack(self, pack: Pack, lines: Iterable[ChunkLine]) -> None:
        """Record a pack that the sink made durable. Chunks that an older one holds too are found here from now on."""
        line = PackLine(pack.pack_id, pack.kind, pack.share_size, pack.k, pack.n, tuple(lines))

        def change(db: sqlite3.Connection) -> None:
            _insert_pack(db, line)
            question = "UPDATE storage_chunks SET pack = (SELECT pack FROM storage_packs WHERE pack_id = ?) "
            db.executemany(question + "WHERE chunk_id = ?", [(line.pack_id, chunk.chunk_id) for chunk in line.chunks])

        await self.store.write(change)

    async def mend(self, pack_id: PackId, held: Mapping[ChunkId, int]) -> tuple[int, list[ChunkId]]:
        """Make the rows of a pack what its own index says, as (chunk, length).

        Returns how many were wrong or missing, and the chunks of it for which the catalog names another pack: that is
        right unless that one turns out not to have them, so give these to ``add_missing`` when all packs were read.
        """

        def change(db: sqlite3.Connection) -> tuple[int, list[ChunkId]]:
            row = db.execute("SELECT pack FROM storage_packs WHERE pack_id = ?", (pack_id,)).fetchone()
            if row is None:
                return 0, []
            known = dict(db.execute("SELECT chunk_id, length FROM storage_chunks WHERE pack = ?", row))
            wrong = [chunk_id for chunk_id, length in known.items() if held.get(chunk_id) != length]
            db.executemany("DELETE FROM storage_chunks WHERE chunk_id = ?", [(chunk_id,) for chunk_id in wrong])
            added, elsewhere = set[ChunkId](), list[ChunkId]()
            for chunk_id in held.keys() - (known.keys() - set(wrong)):
                insert = "INSERT INTO storage_chunks VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
                if db.execute(insert, (chunk_id, row[0], held[chunk_id])).rowcount:
                    added.add(chunk_id)
                else:
                    elsewhere.append(chunk_id)
            return len(added.union(wrong)), elsewhere

        return await self.store.write(change)

    async def add_missing(self, pack_id: PackId, held: Mapping[ChunkId, int]) -> None:
        """Note for chunks that no row is left of that this pack has them."""
        insert = (
            "INSERT INTO storage_chunks SELECT ?, pack, ? FROM storage_packs WHERE pack_id = ? ON CONFLICT DO NOTHING"
        )
        rows = [(chunk_id, length, pack_id) for chunk_id, length in held.items()]
        await self.store.write(lambda db: db.executemany(insert, rows).rowcount)

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

        A snapshot's own chunk keeps its pack as any other does: who has but the packs finds the snapshot by it.
        """

        def change(db: sqlite3.Connection) -> list[PackId]:
            question = (
                "DELETE FROM storage_packs WHERE pack_id = ? AND NOT EXISTS (SELECT 1 FROM storage_chunks "
                "WHERE storage_chunks.pack = storage_packs.pack)"
            )
            db.executemany(question, [(pack_id,) for pack_id in self.lost])
            point_snapshots(db)
            return self._replaced(db)

        return await self.store.write(change)

    async def replaced(self) -> list[PackId]:
        """Return the lost packs that are forgotten: a head that names them would only mislead who reads it."""
        return await self.store.read(self._replaced) if self.lost else []

    def _replaced(self, db: sqlite3.Connection) -> list[PackId]:
        known = {pack_id for (pack_id,) in db.execute("SELECT pack_id FROM storage_packs")}
        return sorted(self.lost - known)

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
        return await self.store.read(lambda db: list(snapshot_lines(db)))

    async def unstored_snapshots(self) -> list[SnapshotLine]:
        """Return the snapshots whose own chunk is in no pack, or in a lost one: no folder holds it to be met again."""

        def question(db: sqlite3.Connection) -> list[SnapshotLine]:
            rows = db.execute(
                "SELECT snapshot_id, storage_packs.pack_id FROM storage_snapshots "
                "LEFT JOIN storage_chunks USING (chunk_id) LEFT JOIN storage_packs USING (pack)"
            )
            wanted = {snapshot_id for snapshot_id, pack_id in rows if pack_id is None or pack_id in self.lost}
            return [line for line in snapshot_lines(db) if line.snapshot_id in wanted] if wanted else []

        return await self.store.read(question)

    async def forget_snapshots(self, snapshots: Sequence[Hash]) -> None:
        """Forget snapshots, all at once; their packs stay until they are pruned."""
        question = "DELETE FROM storage_snapshots WHERE snapshot_id = ?"
        rows = [(snapshot_id,) for snapshot_id in snapshots]
        await self.store.write(lambda db: db.executemany(question, rows).rowcount)

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
        values = [(path, run, guarded(path, listing)) for path, listing in rows]
        await self.store.write(lambda db: db.executemany(question, values).rowcount)

    def listing_now(self, directory: bytes) -> bytes:
        """Return what a directory held at the last finished run, or nothing. Blocks for a look-up."""
        question = (
            "SELECT listing FROM storage_files WHERE directory = ? AND run <= (SELECT finished FROM storage_runs)"
        )
        row = self.store.read_now(lambda db: db.execute(question, (directory,)).fetchone())
        return b"" if row is None else unguarded(directory, row[0])

    async def export(self) -> bytes:
        """Return packs, chunks and snapshots as compressed canonical records, the same for the same catalog.

        About 40 bytes per chunk, in memory. Known files are left out: they belong to this machine.
        """
        return await self.store.read(export_lines)

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


def point_snapshots(db: sqlite3.Connection) -> None:
    """Let every snapshot name the pack that holds its chunk now; called wherever packs are taken out."""
    db.execute(
        "UPDATE storage_snapshots SET pack_id = coalesce((SELECT storage_packs.pack_id FROM storage_chunks "
        "JOIN storage_packs USING (pack) WHERE storage_chunks.chunk_id = storage_snapshots.chunk_id), pack_id)"
    )


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
