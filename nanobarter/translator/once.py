"""What orders that stand once have given, so that they end, whatever a crash hid and the swap has forgotten since.

The swap remembers what it settled for weeks. Whenever a bid of such an order settles, and when the node starts, what
the swap knows is written down here, where it stays.
"""

import sqlite3
from collections.abc import Callable, Sequence

from nanobarter.core.ids import BidId
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, Quantity

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

    async def keep(self, now: Instant) -> None:
        """Write down what is known, and since when; durable on return."""
        rows = [(bid, given, now) for bid, given in self._known.items()]
        sql = (
            "INSERT INTO market_once (bid, given, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET at = CASE WHEN excluded.given > given THEN excluded.at ELSE at END, given = max(given, excluded.given)"
        )
        await self._store.write(lambda db: db.executemany(sql, rows).rowcount)
