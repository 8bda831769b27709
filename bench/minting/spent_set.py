"""The spent set of one keyset at its largest: what a row takes, a look-up costs, and a retirement blocks.

The rows are made by statements, not by swaps: ten million of those would take hours. They come in random order, a
part at a time, so that pages are filled as they would be in life.
"""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from nanobarter.core.ids import NoteId
from nanobarter.core.keys import SigningKey
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SystemEntropy
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.mint import rows, sweep
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS

KIND = LeaseKind("30d")
_START = Instant(1_700_000_000_000)
_PART = 250_000
_LOOKUPS = 5_000
_STEPS = 20
_ROWS_MAX = 10_000


@dataclass(frozen=True)
class SpentSet:
    """Bytes per row on disk, in the spent set and with the witness; microseconds; seconds."""

    row_bytes: float
    witness_bytes: float
    fresh_us: list[float]
    spent_us: list[float]
    retire_s: float
    step_s: float


def measure(folder: Path, count: int) -> SpentSet:
    """Fill the spent set of a keyset with ``count`` notes, look some up, and retire the keyset."""
    path = folder / "store"
    trio.run(_make_mint, path)
    present = _fill(path, count)
    store = Store.open(path, MIGRATIONS)
    size, witnesses = (_bytes_of(store, name) / count for name in ("mint_spent", "mint_witnesses"))
    fresh = _lookups(store, [NoteId(os.urandom(32)) for _ in range(_LOOKUPS)], expected=False)
    spent = _lookups(store, present, expected=True)
    retire, step = _retire(store)
    store.close()
    return SpentSet(size, witnesses, fresh, spent, retire, step)


async def _make_mint(path: Path) -> None:
    store = Store.open(path, MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        clock, entropy, key = ManualClock(_START), SystemEntropy(), SigningKey(os.urandom(32))
        pledged = {KIND: Quantity(1)}
        mint = Mint(store=store, key=key, clock=clock, entropy=entropy, pledged=pledged, service_terms=b"bench")
        await mint.start()
        nursery.cancel_scope.cancel()
    store.close()


def _fill(path: Path, count: int) -> list[NoteId]:
    """Write the rows, without the journal that a crash would need, and return some of the notes."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000"):
        db.execute(f"PRAGMA {pragma}")
    kept = list[NoteId]()
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO mint_requests VALUES (?, randomblob(32), ?, ?, NULL, x'0000000000000000')",
        ((n, _START, _START + 100 * DAY) for n in range(1, count // 2 + 2)),
    )
    for first in range(0, count, _PART):
        places = range(first, min(first + _PART, count))
        notes = [os.urandom(32) for _ in places]
        kept += [NoteId(note) for note in notes[:: max(1, count // _LOOKUPS)]]
        spent = zip(notes, (n // 2 + 1 for n in places), (n % 2 for n in places), strict=True)
        db.executemany("INSERT INTO mint_spent VALUES (1, ?, 1, ?, ?, randomblob(8))", sorted(spent))
        db.executemany(
            "INSERT INTO mint_witnesses VALUES (?, randomblob(64))",
            ((rows.witness_number(n // 2 + 1, n % 2),) for n in places),
        )
    db.execute("UPDATE mint_keys SET issued = ?, spent = ? WHERE keyset = 1 AND quantity = 1", (count, count))
    db.execute("COMMIT")
    db.close()
    return kept


def _bytes_of(store: Store, table: str) -> int:
    return store.read_now(lambda db: db.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ?", (table,)).fetchone())[
        0
    ]


def _lookups(store: Store, notes: list[NoteId], *, expected: bool) -> list[float]:
    """Return the wall-clock microseconds of each look-up, sorted."""
    found = list[float]()
    for note in notes:
        started = time.perf_counter()
        spent = store.read_now(lambda db, note=note: rows.find_spent(db, 1, note))
        found.append((time.perf_counter() - started) * 1e6)
        if (spent is not None) != expected:
            raise RuntimeError("the spent set gave a wrong answer")
    return sorted(found)


def _retire(store: Store) -> tuple[float, float]:
    """Return how long the writer is held when the keyset ends and when it is purged, and by a later step at most."""
    closing, purging = (
        store.read_now(lambda db, name=name: db.execute(f"SELECT {name} FROM mint_keysets").fetchone()[0])  # noqa: S608 - two names
        for name in ("redeem_until", "purge_at")
    )
    retire = max(_sweep(store, Instant(closing), 0), _sweep(store, Instant(purging), 0))
    return retire, max(_sweep(store, Instant(purging), _ROWS_MAX) for _ in range(_STEPS))


def _sweep(store: Store, now: Instant, rows_max: int) -> float:
    started = time.perf_counter()
    store.write_now(lambda db: sweep.sweep(db, now, rows_max))
    return time.perf_counter() - started
