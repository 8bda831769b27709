"""Signs of another copy of this wallet: notes that it spent, and coins that it named before us.

Both copies hold the same keys, so nothing tells them apart but what mints have seen. A note of ours that is spent by a
request that is not ours was spent by a copy. A fresh output that its mint signed before was named by a copy, which is
ahead in its counters: then the mint is asked for all that the phrase had there, and our counters go on behind it.
"""

from collections.abc import Iterable
from sqlite3 import Connection
from typing import Final

from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.units import Instant
from nanobarter.mint.answer_messages import Refusal
from nanobarter.wallet.events import NotesSpent, WalletEvent

SIGNED_BEFORE: Final = "an output was signed before"


def collides(refusal: Refusal) -> bool:
    """Tell whether a mint refused an output since it had signed it before."""
    return refusal.reason == Reason.CONFLICT and refusal.detail.startswith(SIGNED_BEFORE)


def note_spent(db: Connection, events: Iterable[WalletEvent], now: Instant) -> None:
    """Remember at whose mint another copy spent notes of ours."""
    for event in events:
        if isinstance(event, NotesSpent) and event.how == "elsewhere":
            row = (event.quality.issuer, now, now)
            sql = "INSERT INTO wallet_copies (issuer, at, spent) VALUES (?, ?, 1) "
            db.execute(sql + "ON CONFLICT DO UPDATE SET at = ?, spent = 1", row)


def note_collision(db: Connection, issuer: NodeId, now: Instant) -> None:
    """Remember at whose mint our counters are behind."""
    sql = "INSERT INTO wallet_copies (issuer, at, collided) VALUES (?, ?, 1) "
    db.execute(sql + "ON CONFLICT DO UPDATE SET at = ?, collided = 1", (issuer, now, now))


def collided(db: Connection) -> list[NodeId]:
    """Return the mints that are to be asked for what the phrase has there."""
    return [NodeId(row[0]) for row in db.execute("SELECT issuer FROM wallet_copies WHERE collided = 1")]


def caught_up(db: Connection, issuer: NodeId) -> None:
    """Note that our counters at a mint are ahead again."""
    db.execute("UPDATE wallet_copies SET collided = 2 WHERE issuer = ? AND collided = 1", (issuer,))


def seen(db: Connection) -> int:
    """Return at how many mints another copy of this wallet was seen."""
    return db.execute("SELECT count(*) FROM wallet_copies").fetchone()[0]
