"""What a rebuilt home still has to get from its peers: remembered until it is there, over every restart."""

import sqlite3
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.store import Migration
from nanobarter.core.units import Instant

MIGRATIONS: Final = (
    Migration(
        "rebuild",
        1,
        """
        CREATE TABLE daemon_rebuild (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            at INTEGER NOT NULL,
            why TEXT NOT NULL,
            index_is TEXT NOT NULL CHECK (index_is IN ('missing', 'unsure', 'here')),
            notes_are TEXT NOT NULL CHECK (notes_are IN ('missing', 'here'))
        ) STRICT;
        """,
    ),
)

Db = sqlite3.Connection

IndexIs = Literal["missing", "unsure", "here"]
"""The index of the own backups: to be fetched; taken over and to be compared with what peers have; complete."""
NotesAre = Literal["missing", "here"]
"""The own notes: to be asked for at their issuers by the phrase; or complete."""


@dataclass(frozen=True)
class Rebuilt:
    """When and why the database was made anew, and what is still to come."""

    at: Instant
    why: str
    index: IndexIs
    notes: NotesAre


def rebuilt(db: sqlite3.Connection) -> Rebuilt | None:
    """Return the last rebuild, if there was any."""
    row = db.execute("SELECT at, why, index_is, notes_are FROM daemon_rebuild").fetchone()
    return None if row is None else Rebuilt(Instant(row[0]), *row[1:])


def keep(db: sqlite3.Connection, state: Rebuilt) -> None:
    """Write how a rebuild stands."""
    values = (1, state.at, state.why[:500], state.index, state.notes)
    db.execute("INSERT OR REPLACE INTO daemon_rebuild VALUES (?, ?, ?, ?, ?)", values)
