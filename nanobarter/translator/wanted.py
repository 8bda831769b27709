"""What a node wants: the orders of its person, of its keeper and of its dealers, as many as may stand at once.

Those by hand come first, then the keeper's, since the folders must not wait for a bot that trades for gain. Each bot
replaces its own orders and no others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from msgspec.structs import replace

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import Item
from nanobarter.core.units import Quantity
from nanobarter.translator.market_ports import ANYBODY, Drawer, Issuers
from nanobarter.translator.orders import BY_HAND_MAX, ORDERS_MAX, Order, crumb

Who = Literal["hand", "keeper", "standing", "trader", "arbitrageur"]
_RANK: Final[tuple[Who, ...]] = ("hand", "keeper", "standing", "trader", "arbitrageur")


@dataclass(frozen=True)
class Posted:
    """One own bid: the order behind it, what was said of it, and who wants it."""

    order: Order
    item: Item
    who: Who | None


class Wanted:
    """The orders by who wants them. Those by hand are kept by ``drawer`` and outlive a restart."""

    def __init__(self, me: NodeId, drawer: Drawer, lock_min: int, issuers: Issuers = ANYBODY) -> None:
        self._me, self._drawer, self._lock_min, self.issuers = me, drawer, lock_min, issuers
        self._orders: dict[Who, dict[BidId, Order]] = {who: {} for who in _RANK}
        self._orders["hand"] = self._by_id(drawer.load())
        self._unkept = dict[BidId, Order]()

    def _by_id(self, orders: Iterable[Order]) -> dict[BidId, Order]:
        return {order.bid_id(self._me): order for order in orders}

    def all(self) -> dict[BidId, Order]:
        """Return the orders that may stand, the most urgent first."""
        found = dict[BidId, Order]()
        for who in _RANK:
            for bid, order in self._orders[who].items():
                if len(found) < ORDERS_MAX and self.issuers.takes(order.issuer):
                    found.setdefault(bid, order)
        return found

    def of(self, who: Who) -> list[Order]:
        """Return the orders of one who wants."""
        return list(self._orders[who].values())

    def whose(self, bid: BidId) -> Who | None:
        """Return who wants what a bid says."""
        return next((who for who in _RANK if bid in self._orders[who]), None)

    def by_hand(self, bid: BidId) -> Order | None:
        """Return what a person wants by a bid."""
        return self._orders["hand"].get(bid)

    def set(self, orders: Sequence[Order], who: Who) -> None:
        """Replace what a bot wants."""
        self._orders[who] = self._by_id(orders)

    def objection(self, order: Order) -> Refused | None:
        """Return why an order cannot stand by hand, or None."""
        if order.quantity <= crumb(order, self._me, self._lock_min):
            return Refused(Reason.WRONG_TERMS, f"issuers lock {self._lock_min} MiB of their notes or more")
        if len(self._orders["hand"]) >= BY_HAND_MAX:
            return Refused(Reason.TOO_MANY, f"{BY_HAND_MAX} bids stand by hand already")
        return None

    async def place(self, order: Order) -> None:
        """Want what a person orders; durable on return."""
        bid = order.bid_id(self._me)
        self._orders["hand"][bid] = self._unkept[bid] = order
        await self._drawer.keep(order)

    async def take_back(self, bid: BidId) -> Order | None:
        """End an order by hand and return it, or None when there is none; durable on return."""
        order = self._orders["hand"].pop(bid, None)
        if order is not None:
            self._unkept[bid] = order
            await self._drawer.drop(order)
        return order

    def executed(self, bid: BidId, quantity: Quantity) -> None:
        """Take what a ring gave, or owes, off an order; what is too little to move goes with it."""
        who = self.whose(bid)
        if who is None:
            return
        order = self._orders[who][bid]
        if who == "hand":
            self._unkept[bid] = order
        if order.quantity > quantity + crumb(order, self._me, self._lock_min):
            self._orders[who][bid] = replace(order, quantity=Quantity(order.quantity - quantity))
        else:
            del self._orders[who][bid]

    async def keep(self) -> None:
        """Write down what is left of the orders by hand, before it is said."""
        unkept, self._unkept = self._unkept, {}
        for bid, before in unkept.items():
            order = self.by_hand(bid)
            await (self._drawer.drop(before) if order is None else self._drawer.keep(order))
