"""Who brought the locks of notes that are neither opened nor returned, so that no node fills the mint with them."""

import sqlite3

from nanobarter.core.ids import LockId, NodeId

Db = sqlite3.Connection


def add(db: Db, lock_id: LockId, sender: NodeId) -> None:
    """Remember who brought a lock."""
    db.execute("INSERT INTO mint_lock_senders VALUES (?, ?)", (lock_id, sender))


def count(db: Db, sender: NodeId) -> int:
    """Return how many locks that a node brought have no outcome."""
    (found,) = db.execute("SELECT count(*) FROM mint_lock_senders WHERE sender = ?", (sender,)).fetchone()
    return found


def drop(db: Db, lock_id: LockId) -> None:
    """Count a lock no longer: it has an outcome, or has lapsed without one."""
    db.execute("DELETE FROM mint_lock_senders WHERE lock_id = ?", (lock_id,))
