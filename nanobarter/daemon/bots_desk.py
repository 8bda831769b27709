"""The bots of a node as its person asks for them; implements ``facade_bots.BotsFacade``."""

from collections.abc import Sequence
from typing import Final

from nanobarter.bots.dealers import DEALERS
from nanobarter.bots.dealing import Deal
from nanobarter.bots.deals import MONTH
from nanobarter.core.ids import show_node
from nanobarter.core.units import DAY
from nanobarter.daemon.config_bots import Switch
from nanobarter.daemon.desk import show_want
from nanobarter.daemon.facade_bots import BotName, BotOrder, BotRow, Bots, BotState, DealerBounds, DealRow
from nanobarter.daemon.services import Node
from nanobarter.daemon.services_dealers import desk_of, done_once, idle_because, standing_orders
from nanobarter.translator.orders import Order, bid_for
from nanobarter.translator.pricing import GRAIN

_DOES: Final[dict[BotName, str]] = {
    "keeper": "orders the space that the folders need, lengthens leases, replaces what failed",
    "pinger": "asks peers four times an hour whether they are there",
    "auditor": "has peers prove what they store",
    "trader": "sells notes of unreliable peers, buys those of reliable ones",
    "arbitrageur": "takes what others quote above its value",
}
_ORDERING: Final = frozenset({"keeper", *DEALERS})


class BotsDesk:
    """Answers about the bots."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def bots(self) -> Bots:
        """Tell what each bot does or would do."""
        node, dealers = self._node, self._node.dealers
        switches = node.config.bots
        states: dict[BotName, Switch] = {name: getattr(switches, name) for name in _DOES}
        running = tuple(_deal(agreed.dealer, agreed.deal) for agreed in dealers.deals.known.values() if not agreed.done)
        declined = tuple(_deal(each.dealer, each.deal, each.why) for each in dealers.declined)
        return Bots(
            symbol=node.ledger.pet.symbol,
            bots=tuple(self._row(name, state) for name, state in states.items()),
            bounds=self._bounds(),
            running=running,
            declined=declined,
            idle=idle_because(node),
            over=tuple(done_once(node)),
        )

    def _row(self, name: BotName, switch: Switch) -> BotRow:
        state: BotState = "dry" if switch == "on" and name in _ORDERING and self._node.config.bots.dry_run else switch
        orders = () if switch == "off" else tuple(self._order(order) for order in self._wanted(name))
        short = self._node.thrifty.problem if name == "keeper" else ""
        return BotRow(name=name, state=state, does=_DOES[name], orders=orders, short=short)

    def _wanted(self, name: BotName) -> Sequence[Order]:
        if name == "keeper" and not self._node.config.bots.dry_run:
            return [*self._node.market.orders_of("keeper"), *self._node.market.orders_of("standing")]
        if name == "keeper":
            return [*self._node.keeper.wants, *standing_orders(self._node, self._node.swap.promised())]
        return self._node.dealers.would.get(name, ()) if name in DEALERS else ()

    def _order(self, order: Order) -> BotOrder:
        body = bid_for(order, self._node.me)
        return BotOrder(
            gives=str(body.gives),
            wants=show_want(body.wants),
            quantity_mib=order.quantity,
            omega=f"{order.omega[0]}/{order.omega[1]}",
            waits=order.patient,
        )

    def _bounds(self) -> DealerBounds:
        dealers, desk, now = self._node.dealers, desk_of(self._node), self._node.clock.now()
        bounds, pet = dealers.policy.bounds, self._node.ledger.pet

        def worth(thousandths: int) -> str:
            return pet.number(thousandths * pet.unit / GRAIN)

        return DealerBounds(
            issuer_max_mib=bounds.issuer,
            issuer_mib=max((desk.surplus(node) for node in desk.held), default=0),
            total_max_mib=bounds.total,
            total_mib=desk.stock,
            loss_day=worth(dealers.deals.lost(now, DAY)),
            loss_day_max=worth(bounds.loss_day),
            loss_month=worth(dealers.deals.lost(now, MONTH)),
            loss_month_max=worth(bounds.loss_month),
        )


def _deal(dealer: str, deal: Deal, why: str = "") -> DealRow:
    return DealRow(
        dealer=dealer,
        gives=show_node(deal.gives),
        gives_mib=deal.given,
        gets=show_node(deal.gets),
        gets_mib=deal.gotten,
        at=deal.heard,
        why=why,
    )
