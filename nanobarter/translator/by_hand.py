"""The orders that a person placed by hand, kept as the bids that they make until they are filled or taken back."""

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import NodeId
from nanobarter.core.item import ITEM_BODY_MAX
from nanobarter.core.store import Store
from nanobarter.matching.wire import BidBody
from nanobarter.translator.orders import Order, bid_for


class ByHand:
    """Implements ``market_ports.Drawer`` in the node's store."""

    def __init__(self, store: Store, me: NodeId) -> None:
        self._store, self._me = store, me

    def load(self) -> list[Order]:
        """Return what is kept, the oldest first."""
        sql = "SELECT key, bid FROM market_by_hand ORDER BY placed"
        return [_order(key, bid) for key, bid in self._store.read_now(lambda db: db.execute(sql).fetchall())]

    async def keep(self, order: Order) -> None:
        """Keep an order, in place of the one with its key; durable on return."""
        row = (order.slot, encode(bid_for(order, self._me)))
        sql = "INSERT INTO market_by_hand (key, bid) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET bid = excluded.bid"
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
