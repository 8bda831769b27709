"""The tables of the network half of storage: shares kept for others, leases held, where one's own shares are."""

from typing import Final

from nanobarter.core.store import Migration

NETWORK_MIGRATIONS: Final = (
    Migration(
        "storage_network",
        1,
        """
        -- For others. used_bytes is the sum of the shares and heads under the lease, kept in the same transaction.
        CREATE TABLE storage_vault_leases (
            lease_id BLOB PRIMARY KEY,
            holder BLOB NOT NULL,
            quota_bytes INTEGER NOT NULL,
            used_bytes INTEGER NOT NULL CHECK (used_bytes >= 0),
            ends_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE storage_vault_shares (
            lease_id BLOB NOT NULL REFERENCES storage_vault_leases,
            share_id BLOB NOT NULL,
            size INTEGER NOT NULL,
            committed INTEGER NOT NULL CHECK (committed IN (0, 1)),
            allocated_at INTEGER NOT NULL,
            PRIMARY KEY (lease_id, share_id)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE storage_vault_heads (
            head_id BLOB NOT NULL,
            lease_id BLOB NOT NULL REFERENCES storage_vault_leases,
            sequence INTEGER NOT NULL,
            body BLOB NOT NULL,
            PRIMARY KEY (head_id, lease_id)
        ) STRICT;
        -- Of one's own.
        CREATE TABLE storage_leases (
            lease_id BLOB PRIMARY KEY,
            issuer BLOB NOT NULL,
            quota_bytes INTEGER NOT NULL,
            starts_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            contract BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE storage_placed_packs (
            pack_id BLOB PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('data', 'meta', 'catalog')),
            k INTEGER NOT NULL,
            n INTEGER NOT NULL,
            share_size INTEGER NOT NULL,
            thin INTEGER NOT NULL CHECK (thin IN (0, 1)),
            given_up INTEGER NOT NULL DEFAULT 0 CHECK (given_up IN (0, 1))
        ) STRICT, WITHOUT ROWID;
        -- 'placing' is written before the first byte leaves: after a crash the peer may or may not have it.
        CREATE TABLE storage_placements (
            pack_id BLOB NOT NULL REFERENCES storage_placed_packs,
            share_index INTEGER NOT NULL,
            node BLOB NOT NULL,
            lease_id BLOB NOT NULL,
            root BLOB NOT NULL,
            size INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('placing', 'held', 'bad', 'leaving')),
            last_proof_at INTEGER NOT NULL,
            silent_since INTEGER,
            PRIMARY KEY (pack_id, share_index, node)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX storage_placements_by_lease ON storage_placements (lease_id, size);
        CREATE INDEX storage_placements_by_proof ON storage_placements (state, last_proof_at);
        CREATE TABLE storage_evidence (
            evidence_id INTEGER PRIMARY KEY,
            node BLOB NOT NULL,
            root BLOB NOT NULL,
            at INTEGER NOT NULL,
            problem TEXT NOT NULL,
            answer BLOB NOT NULL
        ) STRICT;
        -- The last heads, with the ids of all packs that each needs: those of the last two are kept.
        CREATE TABLE storage_heads_published (
            sequence INTEGER PRIMARY KEY,
            head BLOB NOT NULL,
            packs BLOB NOT NULL
        ) STRICT;
        """,
    ),
    Migration(
        "storage_network",
        2,
        "CREATE INDEX storage_vault_leases_by_holder ON storage_vault_leases (holder, lease_id);",
    ),
    Migration(
        "storage_network",
        3,
        """
        -- The bytes of all placements under a lease: summing them up for each share that is placed was quadratic.
        -- Triggers keep it in the transaction of what it counts. Rows of placements are updated, never replaced, since
        -- SQLite's REPLACE fires no trigger for the row that goes.
        CREATE TABLE storage_lease_use (
            lease_id BLOB PRIMARY KEY,
            used_bytes INTEGER NOT NULL CHECK (used_bytes >= 0)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO storage_lease_use SELECT lease_id, sum(size) FROM storage_placements GROUP BY lease_id;
        CREATE TRIGGER storage_placements_added AFTER INSERT ON storage_placements BEGIN
            INSERT INTO storage_lease_use VALUES (new.lease_id, new.size)
                ON CONFLICT DO UPDATE SET used_bytes = used_bytes + new.size;
        END;
        CREATE TRIGGER storage_placements_gone AFTER DELETE ON storage_placements BEGIN
            UPDATE storage_lease_use SET used_bytes = used_bytes - old.size WHERE lease_id = old.lease_id;
        END;
        CREATE TRIGGER storage_placements_moved AFTER UPDATE OF lease_id, size ON storage_placements
        WHEN new.lease_id <> old.lease_id OR new.size <> old.size BEGIN
            UPDATE storage_lease_use SET used_bytes = used_bytes - old.size WHERE lease_id = old.lease_id;
            INSERT INTO storage_lease_use VALUES (new.lease_id, new.size)
                ON CONFLICT DO UPDATE SET used_bytes = used_bytes + new.size;
        END;
        -- The receipt by which a peer said that it holds a share: with a false block of it, proof of a broken promise.
        ALTER TABLE storage_placements ADD COLUMN held BLOB;
        """,
    ),
    Migration(
        "storage_network",
        4,
        """
        -- In how many parts of the grace a share was not shown although others of the same peer were, and when last.
        ALTER TABLE storage_placements ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE storage_placements ADD COLUMN withheld_at INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    Migration(
        "storage_orphans",
        1,
        """
        -- Folders of the vault of which a rebuilt database does not know the lease: kept until its holder shows it.
        CREATE TABLE storage_vault_orphans (
            lease_id BLOB PRIMARY KEY,
            until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)
