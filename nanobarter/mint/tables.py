"""The mint's tables, and the law as the database holds it.

The law: outstanding + locked + leased + reserved never exceeds what is pledged, per kind. It is a CHECK on one
row of running totals, which moves in the transaction that moves the things themselves; ``audit`` counts them
anew. ``spent <= issued`` holds per denomination key in the same way. Private keys lie here unencrypted, since
the daemon must sign without a person; that only the daemon may read the file (mode 0600) is the home's concern.

A ``seal`` is a short checksum over the rest of its row. It is no defence against the owner, who could make it
anew; it lets an audit name a row that a bad disk or a stray statement has changed.

Spent and issued rows are clustered by keyset, so that one retired keyset is one range to reclaim. They refer to
their request by number without a foreign key, whose check would make each deletion of a request a scan.

Notes come in random order, which leaves the pages of the spent set about two thirds full; so it holds only what a
look-up needs, and the witnesses, which are needed once a note is spent again, lie in the order of their requests.
"""

from typing import Final

from nanobarter.core.store import Migration
from nanobarter.mint.heads.tables import MIGRATIONS as HEAD_TABLES

MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        "mint",
        1,
        """
        CREATE TABLE mint_totals (
            kind TEXT PRIMARY KEY,
            pledged INTEGER NOT NULL CHECK (pledged >= 0),
            outstanding INTEGER NOT NULL DEFAULT 0 CHECK (outstanding >= 0),
            locked INTEGER NOT NULL DEFAULT 0 CHECK (locked >= 0),
            leased INTEGER NOT NULL DEFAULT 0 CHECK (leased >= 0),
            reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
            CHECK (outstanding + locked + leased + reserved <= pledged)
        ) STRICT;

        CREATE TABLE mint_keysets (
            number INTEGER PRIMARY KEY,
            keyset_id BLOB NOT NULL UNIQUE CHECK (length(keyset_id) = 16),
            kind TEXT NOT NULL REFERENCES mint_totals (kind),
            generation INTEGER NOT NULL,
            issue_from INTEGER NOT NULL,
            redeem_until INTEGER NOT NULL CHECK (redeem_until > issue_from),
            purge_at INTEGER NOT NULL CHECK (purge_at > redeem_until),
            signed BLOB NOT NULL,
            closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1, 2)), -- 1: past redeem_until, 2: being purged
            UNIQUE (kind, issue_from, generation)
        ) STRICT;

        CREATE TABLE mint_keys (
            keyset INTEGER NOT NULL REFERENCES mint_keysets (number),
            quantity INTEGER NOT NULL CHECK (quantity > 0),
            private BLOB NOT NULL,
            issued INTEGER NOT NULL DEFAULT 0,
            spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
            PRIMARY KEY (keyset, quantity),
            CHECK (spent <= issued)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE mint_requests (
            number INTEGER PRIMARY KEY,
            request_id BLOB NOT NULL UNIQUE CHECK (length(request_id) = 32),
            committed_at INTEGER NOT NULL,
            keep_until INTEGER NOT NULL,
            result BLOB,
            seal BLOB NOT NULL
        ) STRICT;
        CREATE INDEX mint_requests_old ON mint_requests (keep_until);

        CREATE TABLE mint_issued (
            keyset INTEGER NOT NULL,
            output BLOB NOT NULL CHECK (length(output) = 32),
            quantity INTEGER NOT NULL,
            request INTEGER NOT NULL,
            seal BLOB NOT NULL,
            PRIMARY KEY (keyset, output)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE mint_spent (
            keyset INTEGER NOT NULL,
            note BLOB NOT NULL CHECK (length(note) = 32),
            quantity INTEGER NOT NULL,
            request INTEGER NOT NULL,
            witness BLOB NOT NULL CHECK (length(witness) = 64),
            seal BLOB NOT NULL,
            PRIMARY KEY (keyset, note)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE mint_locks (
            lock_id BLOB PRIMARY KEY CHECK (length(lock_id) = 32),
            kind TEXT NOT NULL REFERENCES mint_totals (kind),
            quantity INTEGER NOT NULL CHECK (quantity > 0),
            terms BLOB NOT NULL,
            fresh INTEGER NOT NULL CHECK (fresh IN (0, 1)),
            request INTEGER NOT NULL,
            locked_at INTEGER NOT NULL,
            take_until INTEGER NOT NULL,
            outcome TEXT NOT NULL DEFAULT '' CHECK (outcome IN ('', 'opened', 'returned')),
            outcome_at INTEGER NOT NULL DEFAULT 0,
            how TEXT NOT NULL DEFAULT '' CHECK (how IN ('', 'refund', 'release')),
            preimages BLOB NOT NULL DEFAULT x'',
            ended TEXT NOT NULL DEFAULT '' CHECK (ended IN ('', 'taken', 'lapsed', 'freed')),
            ended_at INTEGER NOT NULL DEFAULT 0,
            seal BLOB NOT NULL DEFAULT x'',
            CHECK ((how <> '') = (outcome = 'returned')),
            CHECK ((length(preimages) > 0) = (outcome = 'opened')),
            CHECK (ended <> 'taken' OR outcome <> ''),
            CHECK (ended <> 'freed' OR (fresh = 1 AND outcome = 'returned'))
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX mint_locks_live ON mint_locks (take_until) WHERE ended = '';

        CREATE TABLE mint_leases (
            lease_id BLOB PRIMARY KEY CHECK (length(lease_id) = 32),
            kind TEXT NOT NULL REFERENCES mint_totals (kind),
            quantity INTEGER NOT NULL CHECK (quantity > 0),
            ends INTEGER NOT NULL,
            contract BLOB NOT NULL,
            request INTEGER NOT NULL,
            ended INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1)),
            seal BLOB NOT NULL DEFAULT x''
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX mint_leases_live ON mint_leases (ends) WHERE ended = 0;

        CREATE TABLE mint_reservations (
            purpose BLOB PRIMARY KEY CHECK (length(purpose) BETWEEN 1 AND 64),
            kind TEXT NOT NULL REFERENCES mint_totals (kind),
            quantity INTEGER NOT NULL CHECK (quantity > 0),
            until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE mint_outages (
            began INTEGER PRIMARY KEY,
            ended INTEGER NOT NULL CHECK (ended > began)
        ) STRICT;

        CREATE TABLE mint_marks (
            name TEXT PRIMARY KEY CHECK (name IN ('now', 'alive')),
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "mint",
        2,
        """
        CREATE TABLE mint_witnesses (
            number INTEGER PRIMARY KEY, -- 64 * number of the request + place among the notes it took
            witness BLOB NOT NULL CHECK (length(witness) = 64)
        ) STRICT;

        CREATE TABLE mint_spent_by_place (
            keyset INTEGER NOT NULL,
            note BLOB NOT NULL CHECK (length(note) = 32),
            quantity INTEGER NOT NULL,
            request INTEGER NOT NULL,
            place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 63),
            seal BLOB NOT NULL, -- covers the witness in the place of the place
            PRIMARY KEY (keyset, note)
        ) STRICT, WITHOUT ROWID;

        INSERT INTO mint_spent_by_place
            SELECT keyset, note, quantity, request,
                row_number() OVER (PARTITION BY request ORDER BY keyset, note) - 1, seal
            FROM mint_spent;
        INSERT INTO mint_witnesses
            SELECT 64 * p.request + p.place, s.witness
            FROM mint_spent_by_place AS p JOIN mint_spent AS s USING (keyset, note);
        DROP TABLE mint_spent;
        ALTER TABLE mint_spent_by_place RENAME TO mint_spent;
        """,
    ),
    Migration(
        "mint",
        3,
        """
        CREATE TABLE mint_lock_senders ( -- of the locks made of notes that have no outcome
            lock_id BLOB PRIMARY KEY CHECK (length(lock_id) = 32),
            sender BLOB NOT NULL CHECK (length(sender) = 32)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX mint_lock_senders_of ON mint_lock_senders (sender);
        """,
    ),
    *HEAD_TABLES,
    Migration(
        "mint_restoration",
        1,
        """
        CREATE TABLE mint_generations (
            generation INTEGER PRIMARY KEY CHECK (generation > 0),
            since INTEGER NOT NULL,
            notice BLOB NOT NULL
        ) STRICT;
        CREATE TABLE mint_memory (one INTEGER PRIMARY KEY CHECK (one = 1), counter INTEGER NOT NULL) STRICT;
        """,
    ),
)
