"""The ledger's tables, and the orders placed by hand.

The database itself holds the ledger's law: a closed entry sums to zero in every commodity, for ever.
"""

from nanobarter.core.store import Migration

MIGRATIONS = (
    Migration(
        "ledger",
        1,
        """
        CREATE TABLE ledger_entries (
            entry INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, at INTEGER NOT NULL,
            text TEXT NOT NULL, closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1))
        ) STRICT;
        CREATE TABLE ledger_postings (
            entry INTEGER NOT NULL REFERENCES ledger_entries (entry), line INTEGER NOT NULL,
            account TEXT NOT NULL, issuer BLOB NOT NULL, kind TEXT NOT NULL,
            amount INTEGER NOT NULL CHECK (amount <> 0), PRIMARY KEY (entry, line)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX ledger_postings_by_account ON ledger_postings (account, issuer, kind, amount);
        CREATE INDEX ledger_entries_by_time ON ledger_entries (at, entry);
        CREATE TABLE ledger_seen (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
        CREATE TABLE ledger_marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE ledger_leases (
            lease BLOB PRIMARY KEY, issuer BLOB NOT NULL, kind TEXT NOT NULL, quantity INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE ledger_deals (
            key BLOB PRIMARY KEY, at INTEGER NOT NULL,
            gave_issuer BLOB NOT NULL, gave_kind TEXT NOT NULL, gave INTEGER NOT NULL CHECK (gave > 0),
            got_issuer BLOB NOT NULL, got_kind TEXT NOT NULL, got INTEGER NOT NULL CHECK (got > 0)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX ledger_deals_by_time ON ledger_deals (at);

        CREATE TRIGGER ledger_close BEFORE UPDATE OF closed ON ledger_entries WHEN new.closed = 1
        BEGIN
            SELECT raise(ABORT, 'an entry must have postings')
            WHERE NOT EXISTS (SELECT 1 FROM ledger_postings WHERE entry = new.entry);
            SELECT raise(ABORT, 'an entry must sum to zero in every commodity')
            WHERE EXISTS (SELECT 1 FROM ledger_postings WHERE entry = new.entry
                          GROUP BY issuer, kind HAVING sum(amount) <> 0);
        END;
        CREATE TRIGGER ledger_entry_open BEFORE INSERT ON ledger_entries WHEN new.closed = 1
        BEGIN SELECT raise(ABORT, 'an entry is closed only once its postings are there'); END;
        CREATE TRIGGER ledger_entry_kept BEFORE UPDATE ON ledger_entries WHEN old.closed = 1
        BEGIN SELECT raise(ABORT, 'a closed entry never changes'); END;
        CREATE TRIGGER ledger_entry_stays BEFORE DELETE ON ledger_entries
        BEGIN SELECT raise(ABORT, 'an entry is never removed'); END;
        CREATE TRIGGER ledger_posting_late BEFORE INSERT ON ledger_postings
        WHEN (SELECT closed FROM ledger_entries WHERE entry = new.entry) = 1
        BEGIN SELECT raise(ABORT, 'a closed entry takes no more postings'); END;
        CREATE TRIGGER ledger_posting_kept BEFORE UPDATE ON ledger_postings
        BEGIN SELECT raise(ABORT, 'a posting never changes'); END;
        CREATE TRIGGER ledger_posting_stays BEFORE DELETE ON ledger_postings
        BEGIN SELECT raise(ABORT, 'a posting is never removed'); END;
        """,
    ),
    Migration(
        "market",
        1,
        """
        CREATE TABLE market_by_hand (
            number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, bid BLOB NOT NULL,
            placed INTEGER NOT NULL
        ) STRICT;
        """,
    ),
    Migration(
        "market",
        2,
        """
        CREATE TABLE market_once (bid BLOB PRIMARY KEY, given INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration("market", 3, "ALTER TABLE market_once ADD COLUMN at INTEGER NOT NULL DEFAULT 0;"),
    Migration(
        "reliability",
        1,
        """
        CREATE TABLE reliability_peers (
            node BLOB PRIMARY KEY, first INTEGER NOT NULL, heard INTEGER NOT NULL,
            reach_good REAL NOT NULL, reach_bad REAL NOT NULL, data_good REAL NOT NULL, data_bad REAL NOT NULL,
            windows INTEGER NOT NULL, audits INTEGER NOT NULL, faults INTEGER NOT NULL, gone INTEGER,
            window_start INTEGER NOT NULL, asked INTEGER NOT NULL, answered INTEGER NOT NULL,
            proven INTEGER NOT NULL, wrong INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration("reliability", 2, "ALTER TABLE reliability_peers ADD COLUMN mute INTEGER NOT NULL DEFAULT 0;"),
    Migration(
        "reliability",
        3,
        """
        ALTER TABLE reliability_peers ADD COLUMN lately_good REAL NOT NULL DEFAULT 2.0;
        ALTER TABLE reliability_peers ADD COLUMN lately_bad REAL NOT NULL DEFAULT 1.0;
        UPDATE reliability_peers SET lately_good = reach_good / 5, lately_bad = reach_bad / 5;
        """,
    ),
    Migration(
        "reliability",
        4,
        """
        ALTER TABLE reliability_peers ADD COLUMN clean INTEGER NOT NULL DEFAULT 0;
        UPDATE reliability_peers SET clean = min(windows, audits) WHERE faults = 0;
        """,
    ),
)
