"""The dealers of a node: what they stand on, and within which bounds of the config they act. See ``services``."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from nanobarter.bots.dealers import Bounds, Dealers, DealPolicy, spoken_for, stock_of
from nanobarter.bots.dealing import QUOTE_SPAN, Desk
from nanobarter.bots.deals import Dealer, Deals
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.units import MIB, Quantity, show_size
from nanobarter.daemon.config import Config
from nanobarter.daemon.disk import room
from nanobarter.daemon.holdings import reserve_quantity
from nanobarter.daemon.localtime import show_time
from nanobarter.daemon.terms import issuers_of, standings_of
from nanobarter.swap.events import Amount
from nanobarter.translator.budget import Spent, own_worth, within, within_room
from nanobarter.translator.orders import Order
from nanobarter.translator.pricing import Terms

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

Rings = Mapping[BidId, Amount]
"""What rings under way may still take of own bids."""


class Thrifty:
    """The market, as the keeper finds it: it takes only what offer, disk and the month's budget still pay for."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self.unplaced, self.stopped = 0, False
        """How much more would be offered if the disk had room, MiB; whether nothing is, although it is asked for."""

    def offering(self) -> Sequence[NodeId]:
        """Return who offers notes of the folders' kind now: others could not fill an order of it.

        Where we have met any of them, only those: names cost nothing, and a few hundred of them with no node behind
        would take all places of a plan.
        """
        every = self._node.market.offering(self._node.kind)
        return [node for node in every if self._node.network.has_met(node)] or every

    def set_orders(self, orders: Sequence[Order]) -> None:
        """Replace what the keeper wants."""
        node, spent, rings = self._node, self._node.budget(), self._node.swap.promised()
        quiet = node.leaver.leaving or node.config.bots.dry_run
        standing = [] if quiet else standing_orders(node, rings)
        at_work = sum(quantity for quality, quantity in rings.values() if quality.issuer == node.me)
        pledged = at_work + node.unpromised(node.kind)
        wanted = within_room([*orders, *standing], min(pledged, room(node)), node.me)
        asked, roomy = own_space([*orders, *standing], node.me), own_space(wanted, node.me)
        self.unplaced = max(0, min(asked, pledged) - roomy)
        kept = wanted if spent is None else within(wanted, self._left(spent, wanted, rings), node.me, node.ledger.pet)
        self.stopped = asked > 0 and not own_space(kept, node.me)
        whose = {order.bid_id(node.me) for order in standing}
        node.market.set_orders([order for order in kept if order.bid_id(node.me) not in whose], "keeper")
        node.market.set_orders([order for order in kept if order.bid_id(node.me) in whose], "standing")

    @property
    def problem(self) -> str:
        """What a person must know of orders that the disk has no room for; nothing when there are none."""
        if not self.unplaced:
            return ""
        if self.stopped:
            return "the disk has no room to lend: nothing can be ordered, and your leases will end; free some space"
        size = show_size(self.unplaced * MIB)
        return f"the disk has no room to lend for {size} of what is to be ordered, which has to wait; free some space"

    def _left(self, spent: Spent, wanted: Sequence[Order], rings: Rings) -> Fraction:
        """Return what of a budget is left for these orders beside what rings of other bids may still take."""
        node, bids = self._node, {order.bid_id(self._node.me) for order in wanted}
        others = (amount for bid, amount in rings.items() if bid not in bids)
        worth = (own_worth(quantity, q.kind, node.ledger.pet) for q, quantity in others if q.issuer == node.me)
        return max(Fraction(0), spent.left - sum(worth))


def own_space(orders: Sequence[Order], me: NodeId) -> int:
    """Return how much of our own space orders would give, MiB."""
    return sum(order.quantity for order in orders if order.gives is None or order.gives.issuer == me)


def own_room(node: "Node") -> Quantity:
    """Return how much more of our own space the keeper can give: what pledge, disk and budget allow."""
    if node.leaver.leaving or node.thrifty.stopped:
        return Quantity(0)
    return Quantity(min(room(node), node.unpromised(node.kind)))


def standing_orders(node: "Node", rings: Rings) -> list[Order]:
    """Return what the orders of the config want now, beside what ``rings`` that have not ended may bring."""
    in_hand = {holding.quality: int(holding.quantity) for holding in node.wallet.holdings()}
    promised = {bid: int(quantity) for bid, (_, quantity) in rings.items()}
    found = list[Order]()
    for wanted in standings_of(node.config):
        found += wanted.orders(in_hand, node.given_once(wanted) if wanted.once else 0, node.me, promised)
    return found


def dealers_of(node: "Node") -> Dealers:
    """Return the dealers of a node, wired to its market and its swap."""
    dealers = Dealers(
        floor=node.market,
        deals=Deals(node.store),
        desk=lambda: None if idle_because(node) else desk_of(node),
        policy=policy_of(node.config),
        drafts=lambda: node.swap.drafts().keys(),
        clock=node.clock,
        me=node.me,
    )
    node.look.ask_dealers(dealers.last_look)
    node.swap.observe(dealers.heard)
    return dealers


def policy_of(config: Config) -> DealPolicy:
    """Return what the person allows the dealers."""
    bots, reserve = config.bots, config.market.reserve_bytes(config.offer.space_bytes)
    switches: tuple[tuple[Dealer, str], ...] = (("trader", bots.trader), ("arbitrageur", bots.arbitrageur))
    bounds = Bounds.of(
        Quantity(config.offer.space_bytes // MIB), reserve_quantity(reserve), bots.issuer_part, *bots.loss_parts
    )
    return DealPolicy(bounds, frozenset(dealer for dealer, switch in switches if switch == "on"), bots.dry_run)


def idle_because(node: "Node") -> str:
    """Return why nothing can be dealt in now, or nothing."""
    if node.leaver.leaving:
        return "this node leaves"
    if node.memory.quarantined():
        return "this node was restored from a copy"
    if node.config.backup.folders and node.keeper.plan is None:
        return "the keeper has no plan yet, so nobody knows which notes the folders need"
    return ""


def own_note(terms: Terms) -> float:
    """Return what one of our own notes counts as for dealers: never less than the person's highest price has it.

    What others can see of us is a guess; a dealer that believed too low a one would give space away by the tenfold.
    """
    return max(terms.own / terms.markup, terms.most[1] / terms.most[0])


def desk_of(node: "Node") -> Desk:
    """Return what the dealers stand on: notes beyond the plan, own space beyond what the keeper has bids for."""
    plan, held = node.keeper.plan, node.held()
    stock = stock_of(node.owed(), held, node.network.connected())
    trust = node.trust(node.market.offering(), 0 if plan is None else plan.geometry.n)
    takes = issuers_of(node.config).takes
    avoided = {*node.avoided(), *(issuer for issuer in trust.vetted | trust.judged if not takes(issuer))}
    free = min(room(node), node.unpromised(node.kind))
    ordered = sum(own_space(node.market.orders_of(who), node.me) for who in ("hand", "keeper", "standing"))
    spent = node.budget()
    if spent is not None:  # what the keeper has ordered comes first
        free = min(free, int(spent.left / own_worth(1, node.kind, node.ledger.pet)))
    scores = {issuer: r for issuer in stock if (r := node.watch.reliability(issuer)) is not None}
    return Desk(
        node.me,
        node.kind,
        stock,
        spoken_for(plan, held, trust),
        {**trust.reliability, **scores},
        trust.vetted - avoided,
        max(0, free - ordered),
        own=own_note(node.keeper.terms),
        judged=trust.judged - {node.me, *avoided},
        turn=node.clock.now() // QUOTE_SPAN,
    )


def bids_once(node: "Node") -> list[BidId]:
    """Return the bids of the orders that stand once: what they gave is remembered for ever."""
    return [bid for order in standings_of(node.config) if order.once for bid in order.bids_ever(node.me)]


def done_once(node: "Node") -> list[str]:
    """Return what to tell of the orders that stand once and are over, so that nobody waits for them."""
    found = list[str]()
    for number, (row, wanted) in enumerate(zip(node.config.order, standings_of(node.config), strict=True), 1):
        if not wanted.once or node.given_once(wanted) < wanted.give:
            continue
        at = node.once.last(wanted.bids_ever(node.me))
        when = "" if at is None else f" on {show_time(at)[:10]}"
        found.append(
            f"order {number} ({row.get} once) was carried out{when} and is over; "
            'to have it again, change it or give it another name = "..."'
        )
    return found
