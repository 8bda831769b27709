"""The tables of the catalog: what is in which pack, which snapshots there are, which files need no reading."""

from typing import Final

from nanobarter.core.store import Migration

CATALOG_MIGRATIONS: Final = (
    Migration(
        "storage_catalog",
        1,
        """
        CREATE TABLE storage_packs (
            pack INTEGER PRIMARY KEY,
            pack_id BLOB NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            share_size INTEGER NOT NULL,
            k INTEGER NOT NULL,
            n INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE storage_chunks (
            chunk_id BLOB PRIMARY KEY,
            pack INTEGER NOT NULL REFERENCES storage_packs (pack) ON DELETE CASCADE,
            length INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX storage_chunks_pack ON storage_chunks (pack);
        CREATE TABLE storage_snapshots (
            snapshot_id BLOB PRIMARY KEY,
            started INTEGER NOT NULL,
            pack_id BLOB NOT NULL,
            chunk_id BLOB NOT NULL,
            body BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        -- One row per directory: its files as they were when last read, so that unchanged ones are not read again.
        -- A row counts once its run is finished, since only then are all its chunks in stored packs.
        CREATE TABLE storage_files (
            directory BLOB PRIMARY KEY,
            run INTEGER NOT NULL,
            listing BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE storage_runs (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            finished INTEGER NOT NULL
        ) STRICT;
        INSERT INTO storage_runs VALUES (1, 0);
        """,
    ),
)
