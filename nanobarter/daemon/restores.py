"""Restores, remembered: how old a version a person asked for, so that a policy that forgets such versions is noticed.

Drills are not among them. Only as much is kept as a plan looks at.
"""

from collections.abc import Sequence
from typing import Final

from nanobarter.core.ports import Clock
from nanobarter.core.store import Migration, Store
from nanobarter.core.units import DAY, Instant, Span
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.snapshot import Snapshot, open_snapshot
from nanobarter.translator.behaviour import Restore

MIGRATIONS: Final = (
    Migration(
        "restores",
        1,
        """
        CREATE TABLE daemon_restores (
            number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, made INTEGER NOT NULL,
            newest INTEGER NOT NULL CHECK (newest IN (0, 1)), bytes INTEGER NOT NULL
        ) STRICT;
        """,
    ),
    Migration("restores", 2, "ALTER TABLE daemon_restores DROP COLUMN bytes;"),
)
KEPT_MAX: Final = 200
YEAR: Final = Span(365 * DAY)  # who restored an old version once is not warned for ever


class Restores:
    """The restores of one node."""

    def __init__(self, store: Store, clock: Clock, kept_max: int = KEPT_MAX) -> None:
        self._store, self._clock, self._kept_max = store, clock, kept_max

    async def note(self, made: Instant, *, newest: bool) -> None:
        """Remember that something of a snapshot was given back; ``newest``: no later one has its folders."""
        row = (self._clock.now(), made, int(newest))
        kept = "DELETE FROM daemon_restores WHERE number <= (SELECT max(number) FROM daemon_restores) - ?"
        await self._store.write(
            lambda db: (
                db.execute("INSERT INTO daemon_restores (at, made, newest) VALUES (?, ?, ?)", row),
                db.execute(kept, (self._kept_max,)),
            )
        )

    async def known(self) -> list[Restore]:
        """Return what is remembered of the last year, oldest first."""
        question = "SELECT at, made, newest FROM daemon_restores WHERE at > ? ORDER BY number"
        since = self._clock.now() - YEAR
        rows = await self._store.read(lambda db: db.execute(question, (since,)).fetchall())
        return [Restore(Instant(at), Instant(made), bool(newest)) for at, made, newest in rows]


def is_newest(line: SnapshotLine, snapshot: Snapshot, lines: Sequence[SnapshotLine], keys: VaultKeys) -> bool:
    """Tell whether there is no later snapshot of a folder of this one."""
    folders = {root.path for root in snapshot.roots}
    later = (open_snapshot(other.body, keys) for other in lines if other.started > line.started)
    return not any(root.path in folders for other in later for root in other.roots)
