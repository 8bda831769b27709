"""A component's tables as ordered steps, and how a database is brought up to date by them."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nanobarter.core.errors import UsageError

APPLICATION_ID: Final = 0x6E626172  # "nbar": tells our file from any other SQLite file


@dataclass(frozen=True)
class Migration:
    """One step of a component's tables. ``version`` counts from 1 without gaps.

    ``fill`` comes after the statements, for what SQL cannot read from the rows that are there.
    """

    component: str
    version: int
    sql: str
    fill: Callable[[sqlite3.Connection], None] | None = None


def migrate(writer: sqlite3.Connection, path: Path, migrations: list[Migration]) -> None:
    """Run the steps that are missing, all or none. Raises UsageError when a newer version made the file."""
    writer.execute("BEGIN IMMEDIATE")
    try:
        writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        writer.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"
        )
        have = dict(writer.execute("SELECT component, version FROM schema_versions").fetchall())
        for component in dict.fromkeys(m.component for m in migrations):  # in this order: one may build on another
            steps = sorted((m for m in migrations if m.component == component), key=lambda m: m.version)
            newest = steps[-1].version
            _refuse_newer(path, component, have.get(component, 0), newest)
            for step in steps[have.get(component, 0) :]:
                for statement in _statements(step.sql):
                    writer.execute(statement)
                if step.fill is not None:
                    step.fill(writer)
            writer.execute(
                "INSERT INTO schema_versions VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version",
                (component, newest),
            )
        writer.execute("COMMIT")
    except BaseException:
        writer.execute("ROLLBACK")
        raise


def _refuse_newer(path: Path, component: str, have: int, newest: int) -> None:
    if have > newest:
        raise UsageError(
            f"{path} was written by a newer nanobarter ({component} {have} > {newest})", hint="update nanobarter"
        )


def _statements(sql: str) -> list[str]:
    """Split a migration at the semicolons that end statements (``executescript`` would commit by itself)."""
    statements, held = list[str](), ""
    for piece in sql.split(";"):
        held += piece + ";"
        if sqlite3.complete_statement(held):
            statements.append(held)
            held = ""
    return [s for s in statements if s.strip(" \n;")]
