"""Convictions on disk: one per node, the first that came, with the proof that anybody can check again."""

from typing import Final

from nanobarter.core.store import Migration

MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        "court",
        1,
        """
        CREATE TABLE court_convictions (
            node BLOB PRIMARY KEY CHECK (length(node) = 32),
            proof BLOB NOT NULL,
            why TEXT NOT NULL,
            at INTEGER NOT NULL -- when this node came to know, ms since 1970 UTC
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)
