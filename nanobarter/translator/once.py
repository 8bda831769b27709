"""What orders that stand once have given, so that they end, whatever a crash hid and the swap has forgotten since.

The swap remembers what it settled for weeks. When the node starts, before any order goes out, each bid of such an order
gets a row here with what the swap knows of it; from then on the database itself adds what the bid gives, in the very
write that notes it for the swap. The row stays, also when the swap's tables are lost.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from nanobarter.core.ids import BidId
from nanobarter.core.store import Migration, Store
from nanobarter.core.units import Instant, Quantity

MIGRATIONS: Final = (
    Migration(
        "once",
        1,
        """
        CREATE TRIGGER market_once_gave AFTER INSERT ON swap_settled
        BEGIN UPDATE market_once SET given = given + new.quantity, at = new.at WHERE bid = new.bid; END;
        """,
    ),
)
"""To come after the tables of the swap and of the market. Bids without a row, which stand again and again, stay out."""

Settled = Callable[[sqlite3.Connection, BidId], Quantity]


class Once:
    """How much the bids of these orders have given. ``settled`` tells what a bid gave in the swaps of late."""

    def __init__(self, store: Store, settled: Settled) -> None:
        self._store, self._settled = store, settled
        self._known = dict[BidId, int]()

    def settled(self, bid: BidId) -> None:
        """Hear that a ring through a bid has settled: it is counted anew."""
        self._known.pop(bid, None)

    def given(self, bids: Sequence[BidId]) -> int:
        """Return what the bids of one order have given together. The store may be running or not."""
        return sum(self._of(bid) for bid in bids)

    def _of(self, bid: BidId) -> int:
        if bid not in self._known:
            self._known[bid] = self._store.read_now(lambda db: self._count(db, bid))
        return self._known[bid]

    def _count(self, db: sqlite3.Connection, bid: BidId) -> int:
        row = db.execute("SELECT given FROM market_once WHERE bid = ?", (bid,)).fetchone()
        return max(0 if row is None else row[0], self._settled(db, bid))

    def last(self, bids: Sequence[BidId]) -> Instant | None:
        """Return about when the bids of one order last gave something, None when it is not known."""
        sql = "SELECT max(at) FROM market_once WHERE bid = ? AND given > 0"
        found = [self._store.read_now(lambda db, bid=bid: db.execute(sql, (bid,)).fetchone()[0]) for bid in bids]
        latest = max((at for at in found if at), default=0)
        return Instant(latest) if latest else None

    async def begin(self, bids: Iterable[BidId], now: Instant) -> None:
        """Have all counted from now on that these bids give, beside what they gave; durable on return."""
        sql = (
            "INSERT INTO market_once (bid, given, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET at = CASE WHEN excluded.given > given THEN excluded.at ELSE at END, given = max(given, excluded.given)"
        )
        whole = list(bids)
        await self._store.write(
            lambda db: db.executemany(sql, [(bid, self._settled(db, bid), now) for bid in whole]).rowcount
        )
        self._known.clear()
