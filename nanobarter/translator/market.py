"""The market loop of one node: its orders out as bids, others' bids into a book, cycles out as drafts.

Only cycles through an own bid are proposed, one draft per bid at a time. Which one and when is decided in ``choosing``.
"""

import logging
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import trio
from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason, Refused, is_ours
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.rest import WORK_MAX, rest_after
from nanobarter.core.units import SECOND, Instant, LeaseKind, Quantity, Span, after
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, bid_from_item, quality_of
from nanobarter.matching.wire import bid_id_of
from nanobarter.translator.choosing import Chooser
from nanobarter.translator.market_ports import Board, Drawer, Pace, Proposer
from nanobarter.translator.orders import Order, bid_for, hardly_differs
from nanobarter.translator.wanted import Posted, Wanted, Who

_log = logging.getLogger(__name__)


class Market:
    """Keeps the book and the own bids; ``set_orders`` says what is wanted, the rest happens in ``run``.

    Whose orders stand is decided in ``wanted``.
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
        self._board, self._proposer, self._key = board, proposer, key
        self._clock, self._entropy, self._limits, self._pace = clock, entropy, limits, pace
        self.me: NodeId = key.node_id
        self.book = Book()
        self._items = dict[BidId, Item]()
        self._wanted = Wanted(self.me, drawer, limits.mint_lock_min, pace.issuers)
        self._own = dict[BidId, Posted]()
        self._chooser = Chooser(pace, limits, entropy.token)
        self._news = trio.Event()
        self._proposing = set[BidId]()
        self._looked_at, self._due = float("-inf"), deque[BidId]()
        board.subscribe("bid", self._take)

    # -- what others may ask

    def bids(self) -> list[Item]:
        """Return the live bids of the book."""
        return list(self._items.values())

    def own_bids(self) -> list[Order]:
        """Return the orders that stand in public."""
        return [standing.order for standing in self._own.values()]

    def offering(self, kind: LeaseKind | None = None) -> list[NodeId]:
        """Return whose own notes live bids offer, of a kind (None: of any), oldest bid first."""
        ranked = sorted((item.sequence, bid_id) for bid_id, item in self._items.items() if item.node != self.me)
        bids = [bid for _, bid_id in ranked if (bid := self.book.get(bid_id)) is not None]
        given = [quality for bid in bids if (quality := quality_of(bid.gives)).issuer == bid.owner]
        return list(dict.fromkeys(quality.issuer for quality in given if kind in (None, quality.kind)))

    @contextmanager
    def others_book(self) -> Generator[Book]:
        """Yield the book without expired and own bids: nobody trades with himself. Await nothing inside."""
        self._expire()
        with self.book.without(*[bid_id for bid_id, item in self._items.items() if item.node == self.me]):
            yield self.book

    @property
    def partners_max(self) -> int:
        """The most bids of a ring that this node proposes."""
        return self._pace.partners_max

    def item_of(self, bid: BidId) -> Item | None:
        """Return the live item of a bid."""
        return self._items.get(bid)

    def stock_of(self, bid: BidId) -> Quantity:
        """Return what the order behind an own bid still gives: all that has settled is off it already."""
        order = self._wanted.all().get(bid)
        return Quantity(0) if order is None else order.quantity

    def is_current(self, bid: BidId, item: Item) -> bool:
        """Tell whether this very version of an own bid stands now."""
        standing = self._own.get(bid)
        return standing is not None and standing.item == item

    def set_orders(self, orders: Sequence[Order], who: Who = "keeper") -> None:
        """Replace what a bot wants. Bids at work in a draft are adjusted when it ends."""
        self._wanted.set(orders, who)
        self._wake()

    def orders_of(self, who: Who) -> list[Order]:
        """Return what somebody wants, as far as it is not filled."""
        return self._wanted.of(who)

    def whose(self, bid: BidId) -> Who | None:
        """Return who made an own bid."""
        standing = self._own.get(bid)
        return self._wanted.whose(bid) or (standing.who if standing is not None else None)

    def is_by_hand(self, bid: BidId) -> bool:
        """Tell whether an own bid was placed by hand."""
        return self._wanted.by_hand(bid) is not None

    async def place(self, order: Order) -> Refused | None:
        """Let an order by hand stand until it is filled or taken back; posted and durable on return."""
        if (objection := self._wanted.objection(order)) is not None:
            return objection
        bid_id = order.bid_id(self.me)
        self._wake()
        await self._wanted.place(order)
        if bid_id in self._own or self._wanted.by_hand(bid_id) != order:
            return None
        refused = await self._publish(bid_id, order)
        if refused is not None:
            self._own.pop(bid_id, None)
            await self.take_back(bid_id)
        return refused

    async def take_back(self, bid: BidId) -> bool:
        """End an order by hand; tell whether there was one. A draft at work on its bid is not undone."""
        if await self._wanted.take_back(bid) is None:
            return False
        self._wake()
        standing = self._own.get(bid)
        if standing is not None and self._is_idle(bid):
            await self._withdraw(bid, standing)
        return True

    def executed(self, bid: BidId, quantity: Quantity) -> None:
        """Take what a ring gave, or owes, off the order at once, before a bot counts anew and sets its orders.

        Otherwise the same order would be traded again in the meantime.
        """
        self._wanted.executed(bid, quantity)
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
                await self._wanted.keep()
                await self._post()
                pause = self._looked_at + self._pace.gather / SECOND - trio.current_time()
                if self._due or pause <= 0:
                    await trio.sleep(rest_after(self._try_some(nursery)))
                    pause = 0 if self._due else self._pace.retry / SECOND
                with trio.move_on_after(pause):
                    await self._news.wait()

    def _expire(self) -> None:
        for gone in self.book.expire(self._clock.now()):
            self._items.pop(cast("BidId", gone), None)

    def _wake(self) -> None:
        self._news.set()

    def _take(self, item: Item) -> None:
        bid_id = bid_id_of(item)
        self._items.pop(bid_id, None)  # first: the book may raise, and then has no version of it either
        bid = bid_from_item(item)
        if bid is None:
            self.book.withdraw(bid_id)
        else:
            self.book.insert(bid)
            self._items[bid_id] = item
        self._wake()

    async def _post(self) -> None:
        """Bring the public bids in line with the orders, but not under a draft's feet."""
        now, every = self._clock.now(), self._wanted.all()
        for bid_id, standing in list(self._own.items()):
            wanted = every.get(bid_id)
            renew_before = after(now, Span(self._span_of(bid_id) // 2))
            if not self._is_idle(bid_id) or self._own.get(bid_id) is not standing:
                continue
            if wanted is None:
                await self._withdraw(bid_id, standing)
            elif not hardly_differs(wanted, standing.order) or standing.item.expires < renew_before:
                await self._publish(bid_id, wanted)
        for bid_id, order in every.items():
            if bid_id not in self._own:
                await self._publish(bid_id, order)

    def _is_idle(self, bid_id: BidId) -> bool:
        return bid_id not in self._proposing and not self._proposer.busy(bid_id)

    def _body(self, order: Order) -> bytes:
        return encode(replace(bid_for(order, self.me, self._pace.issuers.refused), asks=self._pace.asks))

    async def _publish(self, bid_id: BidId, order: Order) -> Refused | None:
        item = self._version(order.slot, self._body(order), self._span_of(bid_id))
        self._own[bid_id] = Posted(order, item, self._wanted.whose(bid_id))
        self._chooser.begin(bid_id)
        refused = await self._board.publish(item)
        if refused is not None:  # nobody hears of it: the order waits until its bid is due again
            _log.warning("a bid for %s was not published: %s", order.kind, refused.detail or refused.reason)
        return refused

    async def _withdraw(self, bid_id: BidId, standing: Posted) -> None:
        del self._own[bid_id]
        self._chooser.forget(bid_id)
        await self._board.publish(self._version(standing.order.slot, b"", self._pace.bid_span))

    def _span_of(self, bid_id: BidId) -> Span:
        """Return how long a bid stands: what dealers quote is made of values that age."""
        quoted = self._wanted.whose(bid_id) in ("trader", "arbitrageur")
        return Span(min(self._pace.bid_span, self._pace.quote_span)) if quoted else self._pace.bid_span

    def _version(self, slot: bytes, body: bytes, span: Span) -> Item:
        sequence = self._board.next_sequence("bid", self._key.public, slot)
        expires = after(self._clock.now(), span)
        return make_item(self._key, "bid", slot, sequence=sequence, expires=expires, body=body)

    async def _withdraw_old(self) -> None:
        """Take back what was said before a restart: the orders behind it are made anew. Orders by hand still stand."""
        old = [i for i in self._board.items("bid") if i.node == self.me and bid_id_of(i) not in self._own]
        for item in old:
            order = self._wanted.by_hand(bid_id_of(item))
            if order is None:
                await self._board.publish(self._version(item.key, b"", self._pace.bid_span))
                continue
            said = item.body == self._body(order)  # else a restart came between keeping and saying
            order = order if said else replace(order, quantity=Quantity(0))
            self._own[bid_id_of(item)] = Posted(order, item, "hand")

    def _try_some(self, nursery: trio.Nursery) -> float:
        """Look for rings through the own bids in turn until others must run; return for how many seconds that was."""
        begun, now = trio.current_time(), self._clock.now()
        if not self._due:
            self._looked_at, self._due = begun, deque(self._own)
        while self._due and trio.current_time() - begun < WORK_MAX / SECOND:
            self._try(self._due.popleft(), now, nursery)  # a second at worst
        return trio.current_time() - begun

    def _try(self, bid_id: BidId, now: Instant, nursery: trio.Nursery) -> None:
        standing = self._own.get(bid_id)
        if standing is None or standing.order.patient or not self._is_idle(bid_id):
            return
        match = self._next(bid_id, now)
        if isinstance(match, Match):
            self._proposing.add(bid_id)
            proposed = {arc.bid: self._items[arc.bid] for arc in match.arcs}  # some may be gone when it begins
            nursery.start_soon(self._propose, match, proposed)

    def _next(self, bid_id: BidId, now: Instant) -> Match | Instant:
        """Return what to propose for a bid. A bug that a stranger's bid brings out in the search costs time only."""
        try:
            return self._chooser.next(self.book, bid_id, now)
        except Exception as error:
            if is_ours(error):
                raise
            _log.exception("our fault: a search in the book failed by a bug; it is tried again later")
            self._items = {bid: item for bid, item in self._items.items() if bid in self.book}  # one may have gone
            return self._chooser.failed(bid_id, now)

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
