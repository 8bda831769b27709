"""What a prune frees and what it packs anew: decided from the marks, and taken out of the catalog in one transaction.

A pack with nothing that is needed goes. One that is mostly waste, or mostly air, is emptied: what is needed of it is
stored again in full packs, after which it goes too.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import PackId
from nanobarter.core.limits import Limits
from nanobarter.storage.catalog import StoredPack, point_snapshots
from nanobarter.storage.chunks import ChunkId
from nanobarter.storage.listings import decode_listing, unguarded
from nanobarter.storage.marks import Marks
from nanobarter.storage.ports import PackKind
from nanobarter.storage.tree import File, decode_entry

_AIR_PARTS: Final = 4  # a pack whose needed chunks are less than a quarter of its body is mostly air


@dataclass(frozen=True)
class PackUse:
    """One pack: the lengths of its chunks that are needed and of those that are not, before compression."""

    pack: StoredPack
    live_bytes: int = 0
    dead_bytes: int = 0
    live_chunks: int = 0

    @property
    def body_bytes(self) -> int:
        """The length of the body."""
        return self.pack.k * self.pack.share_size

    @property
    def placed_bytes(self) -> int:
        """What its shares take at peers."""
        return self.pack.n * self.pack.share_size


@dataclass(frozen=True)
class Sweep:
    """What to do. ``missing`` counts needed chunks that no pack is known to hold."""

    uses: tuple[PackUse, ...]
    unused: tuple[PackUse, ...]
    emptied: tuple[PackUse, ...]
    missing: int


def measure(db: sqlite3.Connection, marks: Marks) -> tuple[list[PackUse], int]:
    """Return how each pack is used, and how many marked chunks are in none. Both sides are read once, in order."""
    packs = dict[int, StoredPack]()
    for number, *columns in db.execute("SELECT pack, pack_id, kind, share_size, k, n FROM storage_packs"):
        packs[number] = StoredPack(*columns)
    sums = {number: [0, 0, 0] for number in packs}
    missing, marked_ids = 0, marks.ordered()
    marked = next(marked_ids, None)
    for chunk_id, number, length in db.execute("SELECT chunk_id, pack, length FROM storage_chunks ORDER BY chunk_id"):
        while marked is not None and marked < chunk_id:
            missing, marked = missing + 1, next(marked_ids, None)
        live = marked == chunk_id
        sums[number][0 if live else 1] += length
        sums[number][2] += live
        marked = next(marked_ids, None) if live else marked
    while marked is not None:
        missing, marked = missing + 1, next(marked_ids, None)
    return [PackUse(packs[number], *sums[number]) for number in packs], missing


def plan_sweep(uses: Sequence[PackUse], missing: int, limits: Limits) -> Sweep:
    """Return which packs go, and which are emptied first."""
    unused = [use for use in uses if not use.live_chunks]
    kept = [use for use in uses if use.live_chunks]
    emptied = [use for use in kept if _is_mostly_waste(use, limits)]
    for kind in ("data", "meta"):
        airy = [use for use in kept if use not in emptied and use.pack.kind == kind and _is_mostly_air(use)]
        if len(airy) >= limits.storage_airy_packs_min:  # one by one they would be packed anew at every prune
            emptied += airy
    return Sweep(tuple(uses), tuple(unused), tuple(emptied), missing)


def _is_mostly_waste(use: PackUse, limits: Limits) -> bool:
    return use.dead_bytes * 100 > (use.dead_bytes + use.live_bytes) * limits.storage_waste_percent


def _is_mostly_air(use: PackUse) -> bool:
    return use.live_bytes * _AIR_PARTS < use.body_bytes


def live_chunks(db: sqlite3.Connection, pack_id: PackId, marks: Marks) -> list[ChunkId]:
    """Return the needed chunks of a pack."""
    question = "SELECT chunk_id FROM storage_chunks JOIN storage_packs USING (pack) WHERE pack_id = ? ORDER BY chunk_id"
    return [ChunkId(chunk_id) for (chunk_id,) in db.execute(question, (pack_id,)) if chunk_id in marks]


def stale_listings(db: sqlite3.Connection, marks: Marks) -> list[bytes]:
    """Return the directories whose remembered files name chunks that are not needed.

    A backup takes over remembered entries without reading the files, so none may name what is about to go.
    """
    rows = db.execute("SELECT directory, listing FROM storage_files")
    return [directory for directory, kept in rows if not _is_needed(unguarded(directory, kept), marks)]


def _is_needed(listing: bytes, marks: Marks) -> bool:
    try:
        entries = [decode_entry(known.entry) for known in decode_listing(listing)]
    except Malformed:
        return False
    # The id of a fold stands for all below it: both are marked, or neither.
    return all(chunk_id in marks for entry in entries if isinstance(entry, File) for chunk_id in entry.content.ids)


def take_out(
    db: sqlite3.Connection, packs: Iterable[PackId], listings: Collection[bytes], marks: Marks
) -> list[PackId]:
    """Take packs out of the catalog and return them; one that still has a needed chunk stays, whatever was planned."""
    db.executemany("DELETE FROM storage_files WHERE directory = ?", [(directory,) for directory in listings])
    gone = [pack_id for pack_id in packs if not live_chunks(db, pack_id, marks)]
    db.executemany("DELETE FROM storage_packs WHERE pack_id = ?", [(pack_id,) for pack_id in gone])
    point_snapshots(db)
    return gone


def by_kind(uses: Iterable[PackUse]) -> Iterator[tuple[PackKind, list[PackUse]]]:
    """Return the packs of each kind, which are never mixed."""
    found = list(uses)
    kinds: tuple[PackKind, ...] = ("data", "meta")
    for kind in kinds:
        if same := [use for use in found if use.pack.kind == kind]:
            yield kind, same
