"""The cache of known peers on disk, so that a node finds its way back without its bootstrap addresses."""

import sqlite3
from typing import Final

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, PublicKey
from nanobarter.core.item import ITEM_MAX, Item
from nanobarter.core.store import Migration
from nanobarter.core.units import Instant
from nanobarter.net.address import Address
from nanobarter.net.peers import Attempts, Peer

MIGRATIONS: Final = (
    Migration(
        "net",
        1,
        """
        CREATE TABLE net_peers (
            node BLOB PRIMARY KEY CHECK (length(node) = 32),
            key BLOB,
            record BLOB,  -- canonical Item of topic node; our own one keeps our sequence
            last_seen INTEGER  -- ms since 1970 UTC
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE net_addresses (
            node BLOB NOT NULL REFERENCES net_peers ON DELETE CASCADE,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            PRIMARY KEY (node, host, port)
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "net",
        2,
        """
        CREATE TABLE net_friends (
            node BLOB PRIMARY KEY CHECK (length(node) = 32),
            since INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE net_invitations (  -- made here and not used yet
            digest BLOB PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256 of the secret
            expires INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE net_joined (  -- taken here; the secret is shown to the inviter
            node BLOB PRIMARY KEY CHECK (length(node) = 32),
            secret BLOB NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)


def keep_peer(db: sqlite3.Connection, node: NodeId, peer: Peer) -> None:
    """Write what is known of a node."""
    record = None if peer.record is None else encode(peer.record)
    db.execute(
        "INSERT INTO net_peers VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET key = excluded.key, record = excluded.record, last_seen = excluded.last_seen",
        (node, peer.key, record, peer.last_seen),
    )
    db.execute("DELETE FROM net_addresses WHERE node = ?", (node,))
    rows = [(node, address.host, address.port) for address in peer.addresses]
    db.executemany("INSERT INTO net_addresses VALUES (?, ?, ?)", rows)


def trim_peers(db: sqlite3.Connection, keep: int) -> None:
    """Forget all but so many nodes, those seen last."""
    db.execute(
        "DELETE FROM net_peers WHERE node IN (SELECT node FROM net_peers ORDER BY last_seen DESC LIMIT -1 OFFSET ?)",
        (keep,),
    )


def kept_peers(db: sqlite3.Connection, limit: int) -> list[tuple[NodeId, Peer]]:
    """Return the nodes on disk, those seen last first."""
    peers = list[tuple[NodeId, Peer]]()
    rows = db.execute("SELECT node, key, record, last_seen FROM net_peers ORDER BY last_seen DESC LIMIT ?", (limit,))
    for node, key, record, last_seen in rows.fetchall():
        peer = Peer(
            key=None if key is None else PublicKey(key),
            record=None if record is None else _record(record),
            last_seen=None if last_seen is None else Instant(last_seen),
        )
        for host, port in db.execute("SELECT host, port FROM net_addresses WHERE node = ?", (node,)):
            peer.addresses[Address(host, port)] = Attempts()
        peers.append((NodeId(node), peer))
    return peers


def _record(data: bytes) -> Item | None:
    try:
        return decode(data, Item, size_max=ITEM_MAX)
    except Malformed:  # written under another rule; the node will tell again
        return None
