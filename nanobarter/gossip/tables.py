"""Items on disk: one's own must not be forgotten once spoken, others' make a restart cheap."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.item import PROOF_ITEM_MAX, Item
from nanobarter.core.store import Migration
from nanobarter.core.units import Instant
from nanobarter.gossip.held import Entry, Slot

MIGRATIONS: Final = (
    Migration(
        "gossip",
        1,
        """
        CREATE TABLE gossip_items (
            topic TEXT NOT NULL,
            author BLOB NOT NULL,
            key BLOB NOT NULL,
            item BLOB NOT NULL,  -- canonical Item, the winning version of its slot
            sequence INTEGER NOT NULL,
            until INTEGER NOT NULL,  -- ms since 1970 UTC; its sequence is remembered so long
            PRIMARY KEY (topic, author, key)
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)


def keep_entries(db: sqlite3.Connection, entries: Iterable[Entry], dropped: Iterable[Slot]) -> None:
    """Write the winning versions and forget the dropped slots."""
    db.executemany("DELETE FROM gossip_items WHERE topic = ? AND author = ? AND key = ?", dropped)
    db.executemany(
        # One's own items are written at once and others' a little later, so an older one may come last.
        "INSERT INTO gossip_items VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET item = excluded.item, sequence = excluded.sequence, until = excluded.until"
        " WHERE excluded.sequence >= gossip_items.sequence",
        [(*entry.item.slot, encode(entry.item), entry.item.sequence, entry.until) for entry in entries],
    )


def kept_entries(db: sqlite3.Connection, now: Instant) -> list[Entry]:
    """Return what was kept and must still be remembered. A row that an older rule let pass is left out."""
    entries = list[Entry]()
    for data, until in db.execute("SELECT item, until FROM gossip_items WHERE until > ?", (now,)):
        try:
            item = decode(data, Item, size_max=PROOF_ITEM_MAX)
        except Malformed:
            continue
        entries.append(Entry(item, item.item_id, Instant(until)))
    return entries
