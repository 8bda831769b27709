"""The orders that a person placed by hand, kept as the bids that they make until they are filled or taken back.

What is left of an order is written after its swap has settled. A crash in between must not let it be traded again, so
a start counts anew: never more is left than was placed, less what the swaps that are remembered gave.
"""

import sqlite3
from collections.abc import Callable

from msgspec.structs import replace

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import ITEM_BODY_MAX
from nanobarter.core.store import Store
from nanobarter.core.units import Quantity
from nanobarter.matching.wire import BidBody
from nanobarter.translator.orders import Order, bid_for


class ByHand:
    """Implements ``market_ports.Drawer`` in the node's store. ``settled`` tells how much a bid gave in swaps."""

    def __init__(self, store: Store, me: NodeId, settled: Callable[[sqlite3.Connection, BidId], Quantity]) -> None:
        self._store, self._me, self._settled = store, me, settled

    def load(self) -> list[Order]:
        """Count what is left, and return it, the oldest order first. Only before the store runs."""
        return self._store.write_now(self._counted)

    def _counted(self, db: sqlite3.Connection) -> list[Order]:
        left = list[Order]()
        for key, bid, placed in db.execute("SELECT key, bid, placed FROM market_by_hand ORDER BY number").fetchall():
            order = _order(key, bid)
            quantity = min(order.quantity, placed - self._settled(db, order.bid_id(self._me)))
            if quantity <= 0:
                db.execute("DELETE FROM market_by_hand WHERE key = ?", (key,))
                continue
            order = replace(order, quantity=Quantity(quantity))
            db.execute("UPDATE market_by_hand SET bid = ? WHERE key = ?", (encode(bid_for(order, self._me)), key))
            left.append(order)
        return left

    async def keep(self, order: Order) -> None:
        """Keep an order, in place of the one with its key; durable on return."""
        row = (order.slot, encode(bid_for(order, self._me)), order.quantity)
        sql = (
            "INSERT INTO market_by_hand (key, bid, placed) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET bid = excluded.bid"
        )
        await self._store.write(lambda db: db.execute(sql, row).rowcount)

    async def drop(self, order: Order) -> None:
        """Forget an order; durable on return."""
        sql = "DELETE FROM market_by_hand WHERE key = ?"
        await self._store.write(lambda db: db.execute(sql, (order.slot,)).rowcount)


def _order(key: bytes, bid: bytes) -> Order:
    body = decode(bid, BidBody, size_max=ITEM_BODY_MAX)
    return Order(
        body.wants.kind,
        body.wants.issuer,
        body.quantity,
        key=key,
        gives=body.gives,
        type=body.type,
        omega=body.omega,
        floor=body.floor,
    )
