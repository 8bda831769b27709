"""The market loop of one node: its orders out as bids, others' bids into a book, cycles out as drafts.

Only cycles through an own bid are proposed, one draft per bid at a time. The owner of the newest bid in a cycle
proposes it at once; the others wait a little, so that a cycle which everybody sees is not proposed by everybody,
and then step in, since the newest may be gone. Refused pairs are left alone until one of their bids changes.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, cast

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import Item, Topic, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import MINUTE, Instant, Quantity, Span, after
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, bid_from_item, find
from nanobarter.matching.wire import bid_id_of
from nanobarter.swap.events import Aborted, DraftRefused, Outcome, Pending, Settled
from nanobarter.translator.orders import Order, bid_for

PARTNERS_FIRST: Final = 2  # the shortest rings are the most likely to hold
_PASSING: Final = frozenset(
    {Reason.BUSY, Reason.TOO_MANY, Reason.NO_STOCK, Reason.EXPIRED, Reason.CLOCK_OFF, Reason.UNKNOWN_BID}
)
"""Refusals that say nothing about the pair of bids: the same may work a moment later."""
_SILENT: Final = frozenset({Reason.UNVETTED, Reason.NOT_FOUND})
"""Refusals because someone else did not answer, who may only be restarting."""
SHUNNED_FOR: Final = Span(5 * MINUTE)  # a bid may stay as it is while its owner's policy or stock changes


class Board(Protocol):
    """Where bids are posted and read: gossip."""

    async def publish(self, item: Item) -> Refused | None:
        """Say this to all, or tell why not."""
        ...

    def items(self, topic: Topic) -> Sequence[Item]:
        """Return the live items of a topic."""
        ...

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Call back for each new version."""
        ...


class Proposer(Protocol):
    """What turns a match into exchanged notes: the swap service."""

    async def propose(self, match: Match, bids: Sequence[Item]) -> Outcome:
        """Draft the match, gather approvals, and settle or give up."""
        ...

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft is at work on this bid."""
        ...


@dataclass(frozen=True)
class Pace:
    """How patient the loop is. ``bid_span``: how long a bid lives unless renewed."""

    bid_span: Span
    patience: Span
    retry: Span
    partners_max: int


@dataclass
class _Standing:
    """One own bid: the order behind it, and when it may be tried again."""

    order: Order
    item: Item
    retry_at: Instant = Instant(0)
    failures: int = 0
    first_seen: dict[frozenset[BidId], Instant] = field(default_factory=dict[frozenset[BidId], Instant])


@dataclass(frozen=True)
class _Shunned:
    """Bids that did not go together: in which versions, and until when that is remembered."""

    versions: tuple[int, ...]
    until: Instant


class Market:
    """Keeps the book and the own bids; ``set_orders`` says what is wanted, the rest happens in ``run``."""

    def __init__(
        self,
        *,
        board: Board,
        proposer: Proposer,
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
        self._wanted = dict[BidId, Order]()
        self._own = dict[BidId, _Standing]()
        self._avoid = dict[frozenset[BidId], _Shunned]()
        self._news = trio.Event()
        self._proposing = set[BidId]()
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
        ranked = sorted(self._items.values(), key=lambda item: item.sequence)
        return list(dict.fromkeys(item.node for item in ranked if item.node != self.me))

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
        self._wanted = {order.bid_id(self.me): order for order in orders}
        self._wake()

    def executed(self, bid: BidId, quantity: Quantity) -> None:
        """Take what a ring has settled off the order at once, before the keeper counts anew and sets its orders.

        Otherwise the same order would be traded again in the meantime.
        """
        order = self._wanted.get(bid)
        if order is not None and order.quantity > quantity:
            self._wanted[bid] = replace(order, quantity=Quantity(order.quantity - quantity))
        else:
            self._wanted.pop(bid, None)
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
                await self._post()
                self._try_all(nursery)
                with trio.move_on_after(self._pace.retry / 1000):
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
            if bid_id in self._proposing or self._proposer.busy(bid_id):
                continue
            if wanted is None:
                del self._own[bid_id]
                await self._board.publish(self._version(standing.order.slot, standing.item.sequence, b""))
            elif wanted != standing.order or standing.item.expires < renew_before:
                await self._publish(bid_id, wanted, standing.item.sequence)
        for bid_id, order in list(self._wanted.items()):
            if bid_id not in self._own:
                await self._publish(bid_id, order, 0)

    async def _publish(self, bid_id: BidId, order: Order, sequence: int) -> None:
        item = self._version(order.slot, sequence, encode(bid_for(order, self.me)))
        self._own[bid_id] = _Standing(order, item)
        await self._board.publish(item)

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
        """Take back what was said before a restart: the orders behind it are made anew."""
        old = [i for i in self._board.items("bid") if i.node == self.me and bid_id_of(i) not in self._own]
        for item in old:
            await self._board.publish(self._version(item.key, item.sequence, b""))

    def _try_all(self, nursery: trio.Nursery) -> None:
        now = self._clock.now()
        for bid_id, standing in self._own.items():
            if standing.order.patient:
                continue
            idle = bid_id not in self._proposing and not self._proposer.busy(bid_id)
            if idle and standing.retry_at <= now and (match := self._match(bid_id, standing, now)) is not None:
                self._proposing.add(bid_id)
                proposed = {arc.bid: self._items[arc.bid] for arc in match.arcs}  # some may be gone when it begins
                nursery.start_soon(self._propose, bid_id, standing, match, proposed)

    def _match(self, bid_id: BidId, standing: _Standing, now: Instant) -> Match | None:
        avoid = [
            bids
            for bids, shun in self._avoid.items()
            if now < shun.until and shun.versions == _versions(bids, self._items)
        ]
        for partners in range(PARTNERS_FIRST, self._pace.partners_max + 1):
            match = find(self.book, bid_id, partners_max=partners, avoid=avoid)
            if match is None:
                continue
            ids = frozenset(arc.bid for arc in match.arcs)
            newest = max(ids, key=lambda bid: (self._items[bid].sequence, bid))
            if len(standing.first_seen) >= self._limits.market_memory_max:
                standing.first_seen.clear()  # costs at most one more span of patience
            seen = standing.first_seen.setdefault(ids, now)
            if newest == bid_id or after(seen, self._pace.patience) <= now:
                return match
            return None
        return None

    async def _propose(self, bid_id: BidId, standing: _Standing, match: Match, proposed: Mapping[BidId, Item]) -> None:
        try:
            outcome = await self._proposer.propose(match, list(proposed.values()))
        except Malformed:  # no ring can be made of it: a node stands in it twice
            self._shun(proposed, proposed, SHUNNED_FOR)
            outcome = None
        finally:
            self._proposing.discard(bid_id)
        match outcome:
            case Settled():
                standing.failures = 0
            case DraftRefused(by=by, reason=reason):
                theirs = next((arc.bid for arc in match.arcs if arc.giver == by and arc.bid != bid_id), None)
                if theirs is not None and reason not in _PASSING:
                    span = self._limits.market_silence if reason in _SILENT else SHUNNED_FOR
                    self._shun((bid_id, theirs), proposed, span)
                self._back_off(standing)
            case Aborted() | Pending() | None:
                self._back_off(standing)
        self._wake()

    def _shun(self, bids: Iterable[BidId], proposed: Mapping[BidId, Item], span: Span) -> None:
        """Leave these bids alone together until one of them is another than was proposed, or for a while."""
        if len(self._avoid) >= self._limits.market_memory_max:
            self._avoid.pop(next(iter(self._avoid)))
        together = frozenset(bids)
        self._avoid[together] = _Shunned(_versions(together, proposed), after(self._clock.now(), span))

    def _back_off(self, standing: _Standing) -> None:
        standing.failures += 1
        width = int(self._pace.retry) << min(standing.failures, self._limits.market_backoff_doublings_max)
        standing.retry_at = after(self._clock.now(), Span(1 + int.from_bytes(self._entropy.token(4), "big") % width))


def _versions(bids: frozenset[BidId], items: Mapping[BidId, Item]) -> tuple[int, ...]:
    return tuple(items[bid].sequence if bid in items else -1 for bid in sorted(bids))
