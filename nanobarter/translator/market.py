"""The market loop of one node: its orders out as bids, others' bids into a book, cycles out as drafts.

Only cycles through an own bid are proposed, one draft per bid at a time. Which one and when is decided in ``choosing``.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import trio
from msgspec.structs import replace as replace_fields

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import SECOND, Quantity, Span, after
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, bid_from_item, quality_of
from nanobarter.matching.wire import bid_id_of
from nanobarter.translator.choosing import Chooser
from nanobarter.translator.market_ports import Board, Drawer, Pace, Proposer
from nanobarter.translator.orders import BY_HAND_MAX, ORDERS_MAX, Order, bid_for, crumb


@dataclass(frozen=True)
class _Standing:
    """One own bid: the order behind it, and what was said of it."""

    order: Order
    item: Item


class Market:
    """Keeps the book and the own bids; ``set_orders`` says what is wanted, the rest happens in ``run``.

    Beside the orders that are set stand those placed by hand, until they are filled or taken back.
    """

    def __init__(
        self,
        *,
        board: Board,
        proposer: Proposer,
        drawer: Drawer,
        key: SigningKey,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        pace: Pace,
    ) -> None:
        self._board, self._proposer, self._drawer, self._key = board, proposer, drawer, key
        self._clock, self._entropy, self._limits, self._pace = clock, entropy, limits, pace
        self.me: NodeId = key.node_id
        self.book = Book()
        self._items = dict[BidId, Item]()
        self._by_hand = {order.bid_id(self.me): order for order in drawer.load()}
        self._unkept = dict[BidId, Order]()
        self._wanted = dict(self._by_hand)
        self._own = dict[BidId, _Standing]()
        self._chooser = Chooser(pace, limits, entropy.token)
        self._news = trio.Event()
        self._proposing = set[BidId]()
        self._looked_at = float("-inf")
        board.subscribe("bid", self._take)
        for item in board.items("bid"):
            self._take(item)

    # -- what others may ask

    def bids(self) -> list[Item]:
        """Return the live bids of the book."""
        return list(self._items.values())

    def own_bids(self) -> list[Order]:
        """Return the orders that stand in public."""
        return [standing.order for standing in self._own.values()]

    def offering(self) -> list[NodeId]:
        """Return the issuers whose own notes are offered by live bids, oldest bid first."""
        ranked = sorted((item.sequence, bid_id) for bid_id, item in self._items.items() if item.node != self.me)
        bids = [bid for _, bid_id in ranked if (bid := self.book.get(bid_id)) is not None]
        return list(dict.fromkeys(node for bid in bids if (node := quality_of(bid.gives).issuer) == bid.owner))

    @contextmanager
    def others_book(self) -> Generator[Book]:
        """Yield the book without what has expired and without the own bids. Await nothing inside.

        Somebody who asks for a price must not be told that he could trade with himself.
        """
        self._expire()
        own = [bid for bid_id in self._items if (bid := self.book.get(bid_id)) is not None and bid.owner == self.me]
        for bid in own:
            self.book.withdraw(bid.id)
        try:
            yield self.book
        finally:
            for bid in own:
                self.book.insert(bid)

    @property
    def partners_max(self) -> int:
        """The most bids of a ring that this node proposes."""
        return self._pace.partners_max

    def item_of(self, bid: BidId) -> Item | None:
        """Return the live item of a bid."""
        return self._items.get(bid)

    def is_current(self, bid: BidId, item: Item) -> bool:
        """Tell whether this very version of an own bid stands now."""
        standing = self._own.get(bid)
        return standing is not None and standing.item == item

    def set_orders(self, orders: Sequence[Order]) -> None:
        """Replace what is wanted. Bids at work in a draft are adjusted when it ends."""
        room = ORDERS_MAX - len(self._by_hand)
        self._wanted = {order.bid_id(self.me): order for order in orders[:room]} | self._by_hand
        self._wake()

    def is_by_hand(self, bid: BidId) -> bool:
        """Tell whether an own bid was placed by hand."""
        return bid in self._by_hand

    async def place(self, order: Order) -> Refused | None:
        """Let an order by hand stand until it is filled or taken back; posted and durable on return."""
        if order.quantity <= crumb(order, self.me, self._limits.mint_lock_min):
            return Refused(Reason.WRONG_TERMS, f"issuers lock {self._limits.mint_lock_min} MiB of their notes or more")
        if len(self._by_hand) >= BY_HAND_MAX:
            return Refused(Reason.TOO_MANY, f"{BY_HAND_MAX} bids stand by hand already")
        bid_id = order.bid_id(self.me)
        while len(self._wanted) >= ORDERS_MAX:  # the last of the keeper's orders are its least urgent ones
            del self._wanted[next(bid for bid in reversed(self._wanted) if bid not in self._by_hand)]
        self._by_hand[bid_id] = self._wanted[bid_id] = self._unkept[bid_id] = order
        self._wake()
        await self._drawer.keep(order)
        if bid_id in self._own or self._by_hand.get(bid_id) != order:
            return None
        refused = await self._publish(bid_id, order, 0)
        if refused is not None:
            self._own.pop(bid_id, None)
            await self.take_back(bid_id)
        return refused

    async def take_back(self, bid: BidId) -> bool:
        """End an order by hand; tell whether there was one. A draft at work on its bid is not undone."""
        order = self._by_hand.pop(bid, None)
        if order is None:
            return False
        self._wanted.pop(bid, None)
        self._unkept[bid] = order
        self._wake()
        await self._drawer.drop(order)
        standing = self._own.get(bid)
        if standing is not None and self._is_idle(bid):
            await self._withdraw(bid, standing)
        return True

    def executed(self, bid: BidId, quantity: Quantity) -> None:
        """Take what a ring has settled off the order at once, before the keeper counts anew and sets its orders.

        Otherwise the same order would be traded again in the meantime.
        """
        order = self._wanted.get(bid)
        if order is not None and order.quantity > quantity + crumb(order, self.me, self._limits.mint_lock_min):
            self._wanted[bid] = replace(order, quantity=Quantity(order.quantity - quantity))
        else:
            self._wanted.pop(bid, None)
        if bid in self._by_hand:
            self._unkept[bid] = self._by_hand.pop(bid)
            if bid in self._wanted:
                self._by_hand[bid] = self._wanted[bid]
        self._wake()

    def asked_in_vain(self, bid: BidId, reason: Reason) -> None:
        """Take up a bid again whose question to persons ended without a ring."""
        self._chooser.asked_in_vain(bid, reason, self._clock.now())
        self._wake()

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Post, match and propose until cancelled."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            await self._withdraw_old()
            while True:
                self._news = trio.Event()
                self._expire()
                await self._keep()
                await self._post()
                pause = self._looked_at + self._pace.gather / SECOND - trio.current_time()
                if pause <= 0:
                    self._looked_at = trio.current_time()
                    self._try_all(nursery)
                    pause = self._pace.retry / SECOND
                with trio.move_on_after(pause):
                    await self._news.wait()

    def _expire(self) -> None:
        for gone in self.book.expire(self._clock.now()):
            self._items.pop(cast("BidId", gone), None)

    def _wake(self) -> None:
        self._news.set()

    def _take(self, item: Item) -> None:
        bid_id = bid_id_of(item)
        bid = bid_from_item(item)
        if bid is None:
            self.book.withdraw(bid_id)
            self._items.pop(bid_id, None)
        else:
            if bid_id in self._items:
                self.book.withdraw(bid_id)
            self.book.insert(bid)
            self._items[bid_id] = item
        self._wake()

    async def _post(self) -> None:
        """Bring the public bids in line with the orders, but not under a draft's feet."""
        now = self._clock.now()
        renew_before = after(now, Span(self._pace.bid_span // 2))
        for bid_id, standing in list(self._own.items()):
            wanted = self._wanted.get(bid_id)
            if not self._is_idle(bid_id) or self._own.get(bid_id) is not standing:
                continue
            if wanted is None:
                await self._withdraw(bid_id, standing)
            elif wanted != standing.order or standing.item.expires < renew_before:
                await self._publish(bid_id, wanted, standing.item.sequence)
        for bid_id, order in list(self._wanted.items()):
            if bid_id not in self._own:
                await self._publish(bid_id, order, 0)

    def _is_idle(self, bid_id: BidId) -> bool:
        return bid_id not in self._proposing and not self._proposer.busy(bid_id)

    async def _keep(self) -> None:
        """Write down what is left of the orders by hand, before it is said."""
        unkept, self._unkept = self._unkept, {}
        for bid_id, before in unkept.items():
            order = self._by_hand.get(bid_id)
            await (self._drawer.drop(before) if order is None else self._drawer.keep(order))

    def _body(self, order: Order) -> bytes:
        return encode(replace_fields(bid_for(order, self.me), asks=self._pace.asks))

    async def _publish(self, bid_id: BidId, order: Order, sequence: int) -> Refused | None:
        item = self._version(order.slot, sequence, self._body(order))
        self._own[bid_id] = _Standing(order, item)
        self._chooser.begin(bid_id)
        return await self._board.publish(item)

    async def _withdraw(self, bid_id: BidId, standing: _Standing) -> None:
        del self._own[bid_id]
        self._chooser.forget(bid_id)
        await self._board.publish(self._version(standing.order.slot, standing.item.sequence, b""))

    def _version(self, slot: bytes, after_sequence: int, body: bytes) -> Item:
        now = self._clock.now()
        return make_item(
            self._key,
            "bid",
            slot,
            sequence=max(now, after_sequence + 1),
            expires=after(now, self._pace.bid_span),
            body=body,
        )

    async def _withdraw_old(self) -> None:
        """Take back what was said before a restart: the orders behind it are made anew. Orders by hand still stand."""
        old = [i for i in self._board.items("bid") if i.node == self.me and bid_id_of(i) not in self._own]
        for item in old:
            order = self._by_hand.get(bid_id_of(item))
            if order is None:
                await self._board.publish(self._version(item.key, item.sequence, b""))
                continue
            said = item.body == self._body(order)  # else a restart came between keeping and saying
            self._own[bid_id_of(item)] = _Standing(order if said else replace(order, quantity=Quantity(0)), item)

    def _try_all(self, nursery: trio.Nursery) -> None:
        now = self._clock.now()
        for bid_id, standing in self._own.items():
            if standing.order.patient or not self._is_idle(bid_id):
                continue
            match = self._chooser.next(self.book, bid_id, now)
            if isinstance(match, Match):
                self._proposing.add(bid_id)
                proposed = {arc.bid: self._items[arc.bid] for arc in match.arcs}  # some may be gone when it begins
                nursery.start_soon(self._propose, match, proposed)

    async def _propose(self, match: Match, proposed: Mapping[BidId, Item]) -> None:
        bid_id = match.arcs[0].bid
        try:
            outcome = await self._proposer.propose(match, list(proposed.values()))
        except Malformed:  # no ring can be made of it: a node stands in it twice
            outcome = None
        finally:
            self._proposing.discard(bid_id)
        versions = {bid: item.sequence for bid, item in proposed.items()}
        self._chooser.ended(match, outcome, versions, self._clock.now())
        self._wake()
