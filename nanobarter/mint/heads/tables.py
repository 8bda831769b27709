"""Heads on disk: one's own with the entries of their trees, and those that other mints were seen to sign."""

from typing import Final

from nanobarter.core.store import Migration

MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        "heads",
        1,
        """
        CREATE TABLE heads_memory ( -- one row: how often this mint was restored, and when last
            one INTEGER PRIMARY KEY CHECK (one = 1),
            generation INTEGER NOT NULL CHECK (generation >= 0),
            since INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO heads_memory VALUES (1, 0, 0);

        CREATE TABLE heads_own (
            epoch INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            signed BLOB NOT NULL,
            PRIMARY KEY (epoch, generation)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE heads_entries (
            epoch INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            tree INTEGER NOT NULL CHECK (tree BETWEEN 1 AND 4),
            entries BLOB NOT NULL, -- key and value of each, 64 bytes, sorted
            PRIMARY KEY (epoch, generation, tree)
        ) STRICT;

        CREATE TABLE heads_seen (
            node BLOB NOT NULL CHECK (length(node) = 32),
            epoch INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            signed BLOB NOT NULL,
            PRIMARY KEY (node, epoch, generation)
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)
