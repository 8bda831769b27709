"""Takes the rows that can still be read out of a damaged database into a fresh one.

Two ways. ``copy_whole`` takes tables that only make sense together: all rows of all of them, or none. ``copy_readable``
takes from a table what can be reached from either end of it, for rows that stand alone. What the rows say is not
judged here: SQLite keeps no checksum, so whoever keeps a row must be able to check it, or to live with a wrong one.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nanobarter.core.damage import open_to_read

Row = tuple[Any, ...]
_BATCH: Final = 1000


class Wreck:
    """A damaged database. Nothing in it is changed; where it cannot be opened at all, it has no tables."""

    def __init__(self, path: Path) -> None:
        self._db: sqlite3.Connection | None = None
        self._shapes = dict[str, str]()
        if path.exists():
            with suppress(sqlite3.Error):
                self._db = open_to_read(path)
                found = self._db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
                self._shapes = {name: _plain(sql) for name, sql in found if isinstance(sql, str)}

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()

    def has(self, table: str, shape: str) -> bool:
        """Tell whether it has this table as it is made today."""
        return self._shapes.get(table) == _plain(shape)

    def is_sound(self, table: str) -> bool:
        """Tell whether SQLite finds nothing wrong with a table and its indexes."""
        if self._db is None:
            return False
        try:
            return self._db.execute(f"PRAGMA integrity_check('{table}')").fetchone()[0] == "ok"
        except sqlite3.Error:
            return False

    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table in order. Raises sqlite3.DatabaseError at the first that cannot be read."""
        if self._db is not None:
            yield from self._db.execute(f"SELECT * FROM {table}")  # noqa: S608 - names of our own tables

    def readable(self, table: str) -> Iterator[Row]:
        """Yield the rows that can be read from the front, then those from the back; some twice."""
        if self._db is None or table not in self._shapes:
            return
        with suppress(sqlite3.Error):
            yield from self.rows(table)
            return
        with suppress(sqlite3.Error):
            keys = sorted((row[5], row[1]) for row in self._db.execute(f"PRAGMA table_info({table})") if row[5])
            order = ", ".join(f"{name} DESC" for _, name in keys) or "rowid DESC"
            yield from self._db.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608 - as above


def copy_whole(wreck: Wreck, db: sqlite3.Connection, tables: Sequence[str]) -> bool:
    """Take tables, parents first, over in full and tell whether that was possible; else they stay as they were."""
    shapes = shapes_of(db)
    if not all(wreck.has(table, shapes[table]) and wreck.is_sound(table) for table in tables):
        return False
    db.execute("SAVEPOINT whole")
    try:
        with without_triggers(db):
            for table in reversed(tables):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables; migrations leave a row
            for table in tables:
                _insert(db, "INSERT", table, wreck.rows(table))
        broken = any(db.execute(f"PRAGMA foreign_key_check({table})").fetchone() for table in tables)
    except sqlite3.Error:
        broken = True
    if broken:
        db.execute("ROLLBACK TO whole")
    db.execute("RELEASE whole")
    return not broken


def copy_readable(
    wreck: Wreck, db: sqlite3.Connection, table: str, good: Callable[[Row], bool] = lambda _row: True
) -> int:
    """Take over the rows of a table that can be read and are ``good``; return how many."""
    if not wreck.has(table, shapes_of(db)[table]):
        return 0
    before = db.total_changes
    for row in wreck.readable(table):
        if good(row):
            with suppress(sqlite3.Error):
                _insert(db, "INSERT OR IGNORE", table, iter([row]))
    return db.total_changes - before


def parents_first(db: sqlite3.Connection, tables: Sequence[str]) -> list[str]:
    """Return tables of a sound database so that each comes after those that it refers to."""
    found, left = list[str](), sorted(tables)
    while left:
        free = [t for t in left if not {row[2] for row in db.execute(f"PRAGMA foreign_key_list({t})")} & {*left} - {t}]
        found += free or left
        left = [table for table in left if free and table not in free]
    return found


def shapes_of(db: sqlite3.Connection) -> dict[str, str]:
    """Return the tables of a sound database and the statements that made them."""
    found = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: str(sql) for name, sql in found}


def _insert(db: sqlite3.Connection, how: str, table: str, rows: Iterator[Row]) -> None:
    while batch := list(islice(rows, _BATCH)):
        marks = ", ".join("?" * len(batch[0]))
        db.executemany(f"{how} INTO {table} VALUES ({marks})", batch)


class without_triggers:  # noqa: N801 - used as a function
    """Rules on how rows come about do not hold for rows that came about before."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        self._triggers = [(str(name), str(sql)) for name, sql in found]

    def __enter__(self) -> None:
        for name, _ in self._triggers:
            self._db.execute(f"DROP TRIGGER {name}")

    def __exit__(self, *_error: object) -> None:
        for _, sql in self._triggers:
            self._db.execute(sql)


def _plain(sql: str) -> str:
    return " ".join(sql.split())
