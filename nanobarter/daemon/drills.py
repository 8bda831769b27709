"""Drills, remembered: when a sample was last really restored, and whether it came back.

One that failed is told by the status until one that did not.
"""

from typing import Final

import msgspec

from nanobarter.core.ports import Clock
from nanobarter.core.store import Migration, Store
from nanobarter.core.units import DAY, Instant, Span, before
from nanobarter.daemon.facade_node import DrillRow

MIGRATIONS: Final = (
    Migration(
        "drills", 1, "CREATE TABLE daemon_drills (at INTEGER PRIMARY KEY, told TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    ),
)
FILES: Final = 20
KEPT_MAX: Final = 100
AGAIN: Final = Span(DAY)  # after one that failed: long enough for a repair, soon enough for an alarm to be taken back
_PROBLEMS_MAX: Final = 10


class Drills:
    """The drills of one node."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def note(
        self, snapshot_id: str, files: int, compared: int, problem_count: int, problems: tuple[str, ...]
    ) -> None:
        """Remember how a drill ended."""
        row = DrillRow(
            at=self._clock.now(),
            snapshot_id=snapshot_id,
            files=files,
            compared=compared,
            problem_count=problem_count,
            problems=problems[:_PROBLEMS_MAX],
        )
        told = msgspec.json.encode(row).decode()
        kept = "DELETE FROM daemon_drills WHERE at NOT IN (SELECT at FROM daemon_drills ORDER BY at DESC LIMIT ?)"
        await self._store.write(
            lambda db: (
                db.execute("INSERT OR REPLACE INTO daemon_drills VALUES (?, ?)", (row.at, told)),
                db.execute(kept, (KEPT_MAX,)),
            )
        )

    async def last(self) -> DrillRow | None:
        """Return the last drill, but none of a time that is to come: the clock was ahead then."""
        now, question = self._clock.now(), "SELECT told FROM daemon_drills WHERE at <= ? ORDER BY at DESC LIMIT 1"
        found = await self._store.read(lambda db: db.execute(question, (now,)).fetchone())
        return None if found is None else msgspec.json.decode(found[0], type=DrillRow)

    async def counted_from(self, every: Span, first_snapshot: Instant | None) -> Instant:
        """Return from when the span to the next drill counts: a failed one is repeated soon.

        Without any drill it is the first snapshot, and without a snapshot there is nothing to restore yet.
        """
        last = await self.last()
        if last is None:
            return first_snapshot if first_snapshot is not None else self._clock.now()
        return Instant(last.at) if not last.problem_count else before(Instant(last.at), Span(max(every - AGAIN, 0)))
