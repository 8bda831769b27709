"""What the dealers remember: each deal that they agreed to, so that no restart widens their limits."""

from typing import Final

from nanobarter.core.store import Migration

MIGRATIONS: Final = (
    Migration(
        "bots",
        1,
        """
        CREATE TABLE bots_deals (
            draft BLOB PRIMARY KEY, bot TEXT NOT NULL, at INTEGER NOT NULL,
            gives BLOB NOT NULL, given INTEGER NOT NULL CHECK (given > 0),
            gets BLOB NOT NULL, gotten INTEGER NOT NULL CHECK (gotten > 0),
            lost INTEGER NOT NULL CHECK (lost >= 0), done INTEGER NOT NULL CHECK (done IN (0, 1))
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX bots_deals_by_time ON bots_deals (at);
        """,
    ),
)
