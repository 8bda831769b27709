"""The ledger counted anew: every entry by itself, and what it says is held against the wallet's and the mint's rows.

The database refuses an entry that is not even when it is written; what a disk or a hand changed later is found here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from nanobarter.core.ids import NodeId, short_node

REMEDY: Final = (
    "nbctl down, then nbctl rebuild books anew what it can, then nbctl up; nothing that you hold depends on it"
)
_BAD = """
    SELECT entry, key, text FROM ledger_entries AS e
    WHERE closed = 0 OR NOT EXISTS (SELECT 1 FROM ledger_postings AS p WHERE p.entry = e.entry)
       OR EXISTS (SELECT 1 FROM ledger_postings AS p WHERE p.entry = e.entry
                  GROUP BY issuer, kind HAVING sum(amount) <> 0)
    ORDER BY entry
"""
_STRAY = "SELECT DISTINCT entry FROM ledger_postings WHERE entry NOT IN (SELECT entry FROM ledger_entries)"
_NOTES = """
    SELECT issuer, kind, sum(said), sum(held) FROM (
        SELECT issuer, kind, amount AS said, 0 AS held FROM ledger_postings WHERE account GLOB 'assets:notes:*'
        UNION ALL SELECT issuer, kind, 0, quantity FROM wallet_notes WHERE state IN ('free', 'held'))
    GROUP BY issuer, kind HAVING sum(said) <> sum(held) ORDER BY issuer, kind
"""
_LEASES = """
    SELECT kind, sum(said), sum(held) FROM (
        SELECT kind, -amount AS said, 0 AS held FROM ledger_postings WHERE account = 'liabilities:leases'
        UNION ALL SELECT kind, 0, quantity FROM mint_leases WHERE ended = 0)
    GROUP BY kind HAVING sum(said) <> sum(held) ORDER BY kind
"""
_BEHIND = """
    SELECT coalesce((SELECT max(sequence) FROM wallet_events), 0)
         > coalesce((SELECT value FROM ledger_marks WHERE name = 'wallet'), 0)
"""


@dataclass(frozen=True)
class Bad:
    """An entry that cannot be right: it has no postings, or does not sum to zero in some commodity."""

    entry: int
    key: bytes
    text: str

    @property
    def told(self) -> str:
        """What is wrong, for a person."""
        return f"entry {self.entry} ({self.text or 'of which only postings are left'}) does not sum to zero"


def audit(db: Connection) -> list[Bad]:
    """Return the entries that cannot be right. Reads the whole ledger once."""
    found = [Bad(entry, key, text) for entry, key, text in db.execute(_BAD)]
    return [*found, *(Bad(entry, b"", "") for (entry,) in db.execute(_STRAY))]


def differences(db: Connection) -> list[str]:
    """Return in words where the ledger differs from what it tells of: notes in the wallet, leases at the own mint.

    What has happened since it was last brought up to date differs too, so look twice.
    """
    if db.execute(_BEHIND).fetchone()[0]:
        return []
    notes = [
        f"by the ledger you hold {said} MiB of {kind} notes of {short_node(NodeId(issuer))}, by the wallet {held}"
        for issuer, kind, said, held in db.execute(_NOTES)
    ]
    leases = [
        f"by the ledger {said} MiB of {kind} leases run here, by the mint {held}"
        for kind, said, held in db.execute(_LEASES)
    ]
    return [*notes, *leases]


def forget(db: Connection, bad: Iterable[Bad]) -> None:
    """Take entries out, so that they are booked again from what wallet and swap remember. Triggers must be off.

    One of a lease that runs here is not: what the book knew of the lease then is gone. ``differences`` tells of it.
    """
    for each in bad:
        db.execute("DELETE FROM ledger_postings WHERE entry = ?", (each.entry,))
        db.execute("DELETE FROM ledger_entries WHERE entry = ?", (each.entry,))
        db.execute("DELETE FROM ledger_seen WHERE key = ?", (each.key,))
        db.execute("DELETE FROM ledger_marks")
