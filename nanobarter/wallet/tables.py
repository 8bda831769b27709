"""The wallet's tables. A note is *free*, *held* by a written body, or *sent* as text; spent ones are deleted."""

from nanobarter.core.store import Migration

MIGRATIONS = (
    Migration(
        "wallet",
        1,
        """
        CREATE TABLE wallet_keysets (
            keyset BLOB PRIMARY KEY, issuer BLOB NOT NULL, signed BLOB NOT NULL, purge_at INTEGER NOT NULL,
            fault TEXT NOT NULL DEFAULT ''
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wallet_counters (
            keyset BLOB NOT NULL, quantity INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (keyset, quantity)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wallet_notes (
            note BLOB PRIMARY KEY, issuer BLOB NOT NULL, kind TEXT NOT NULL, terms_hash BLOB NOT NULL,
            redeem_until INTEGER NOT NULL, quantity INTEGER NOT NULL CHECK (quantity > 0),
            coin BLOB NOT NULL UNIQUE, body BLOB NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('free', 'held', 'sent')), held_by BLOB,
            CHECK ((state = 'held') = (held_by IS NOT NULL))
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX wallet_notes_by_quality ON wallet_notes (issuer, kind, state);
        CREATE INDEX wallet_notes_by_holder ON wallet_notes (held_by) WHERE held_by IS NOT NULL;
        CREATE TABLE wallet_journal (
            request BLOB PRIMARY KEY, subject BLOB NOT NULL UNIQUE, mint BLOB NOT NULL,
            message BLOB NOT NULL, valid_until INTEGER NOT NULL, coins BLOB NOT NULL, context BLOB NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'done', 'cheated')), at INTEGER NOT NULL,
            answer BLOB NOT NULL DEFAULT x''
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX wallet_journal_open ON wallet_journal (at) WHERE state = 'open';
        CREATE TABLE wallet_reservations (
            purpose BLOB NOT NULL, issuer BLOB NOT NULL, kind TEXT NOT NULL,
            quantity INTEGER NOT NULL CHECK (quantity > 0), until INTEGER NOT NULL,
            PRIMARY KEY (purpose, issuer, kind)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wallet_lock_keys (
            public BLOB PRIMARY KEY, draft BLOB NOT NULL, party INTEGER NOT NULL, role TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wallet_leases (
            lease BLOB PRIMARY KEY, version INTEGER NOT NULL, ends INTEGER NOT NULL, signed BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wallet_tokens (
            digest BLOB PRIMARY KEY, token TEXT NOT NULL, issuer BLOB NOT NULL, kind TEXT NOT NULL,
            quantity INTEGER NOT NULL, at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wallet_events (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL
        ) STRICT;
        """,
    ),
    Migration(
        "wallet_incoming",
        1,
        """
        CREATE TABLE wallet_incoming (
            digest BLOB PRIMARY KEY, token TEXT NOT NULL, issuer BLOB NOT NULL, quantity INTEGER NOT NULL,
            at INTEGER NOT NULL, problem TEXT NOT NULL DEFAULT ''
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "wallet_restorations",
        1,
        """
        CREATE TABLE wallet_restorations (
            issuer BLOB NOT NULL, generation INTEGER NOT NULL, since INTEGER NOT NULL, notice BLOB NOT NULL,
            PRIMARY KEY (issuer, generation)
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "wallet_copies",
        1,
        """
        CREATE TABLE wallet_copies (
            issuer BLOB PRIMARY KEY, at INTEGER NOT NULL, spent INTEGER NOT NULL DEFAULT 0,
            collided INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "wallet_restorations",
        2,
        "ALTER TABLE wallet_restorations ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;",  # MiB of notes held here
    ),
)
