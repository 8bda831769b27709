"""The market loop decides with whom to try: it must neither pester those who said no nor give up on who may say yes."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.item import ITEM_BODY_MAX, Item, Topic, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import DAY, MINUTE, Instant, LeaseKind, Quantity, Span
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match
from nanobarter.matching.wire import BidBody, Ratio, Want, bid_id_of
from nanobarter.swap.events import DraftRefused, Outcome
from nanobarter.translator import choosing
from nanobarter.translator.by_hand import ByHand
from nanobarter.translator.choosing import SHUNNED_FOR
from nanobarter.translator.market import Market
from nanobarter.translator.market_ports import Pace
from nanobarter.translator.orders import BY_HAND_MAX, ORDERS_MAX, Order, bid_for
from nanobarter.translator.tables import MIGRATIONS

KIND = LeaseKind("30d")
ME, PEER = SigningKey(b"m" * 32), SigningKey(b"p" * 32)
FAR = Instant(1_900_000_000_000)
START = 1_700_000_000_000


class _Clock:
    def now(self) -> Instant:
        return Instant(START + int(trio.current_time() * 1000))


class _Board:
    """Gossip among nobody: keeps the newest version of each item and tells the subscribers."""

    def __init__(self) -> None:
        self.slots = dict[tuple[str, bytes, bytes], Item]()
        self.told = list[Callable[[Item], None]]()

    async def publish(self, item: Item) -> Refused | None:
        await trio.lowlevel.checkpoint()
        if item.slot in self.slots and self.slots[item.slot].sequence >= item.sequence:
            return Refused(Reason.EXPIRED, "a version at least as new is held")
        self.slots[item.slot] = item
        for tell in self.told:
            tell(item)
        return None

    def next_sequence(self, topic: Topic, author: bytes, key: bytes) -> int:
        held = self.slots.get((topic, author, key))
        return max(_Clock().now(), held.sequence + 1 if held is not None else 0)

    def items(self, topic: Topic) -> list[Item]:
        return [item for item in self.slots.values() if item.body and item.topic == topic]

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        self.told.append(callback)
        for item in self.items(topic):
            callback(item)


class _Drawer:
    """Keeps orders by hand as a disk would: what is here outlives the market."""

    def __init__(self) -> None:
        self.orders = dict[bytes, Order]()

    def load(self) -> list[Order]:
        return list(self.orders.values())

    async def keep(self, order: Order) -> None:
        await trio.lowlevel.checkpoint()
        self.orders[order.slot] = order

    async def drop(self, order: Order) -> None:
        await trio.lowlevel.checkpoint()
        self.orders.pop(order.slot, None)


class _Partner:
    """The other side of every draft: gives the answer it was told to give, and counts."""

    def __init__(self, reason: Reason) -> None:
        self.reason, self.asked = reason, 0
        self.meanwhile: Callable[[], object] = lambda: None

    async def propose(self, match: Match, bids: Sequence[Item]) -> Outcome:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        self.meanwhile()
        return DraftRefused(DraftId(bytes(32)), match.arcs[0].bid, PEER.node_id, self.reason, "")

    def busy(self, bid: BidId) -> bool:
        return False


def offer(
    sequence: int, wants: NodeId | None = ME.node_id, omega: Ratio = (1, 1), gives: NodeId = PEER.node_id
) -> Item:
    body = BidBody("limit", Quality(gives, KIND), Want(KIND, wants, (), ()), omega, Quantity(50), None)
    return make_item(PEER, "bid", b"k" * 16, sequence=sequence, expires=FAR, body=encode(body))


def market_with(board: _Board, partner: _Partner, drawer: _Drawer | None = None) -> Market:
    pace = Pace(Span(60 * MINUTE), Span(3000), Span(500), 6)
    return Market(
        board=board,
        proposer=partner,
        drawer=drawer or _Drawer(),
        key=ME,
        clock=_Clock(),
        entropy=SeededEntropy(1, "market"),
        limits=LIMITS,
        pace=pace,
    )


async def run_for(market: Market, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await market.run()


async def asked_once() -> tuple[_Board, _Partner, Market]:
    """Return a market that has asked its only partner, who says no, once in a minute."""
    board, partner = _Board(), _Partner(Reason.POLICY)
    await board.publish(offer(1))
    market = market_with(board, partner)
    market.set_orders([Order(KIND, PEER.node_id, Quantity(20))])
    await run_for(market, 60)
    assert partner.asked == 1
    return board, partner, market


async def test_a_no_is_remembered_until_a_bid_changes_or_for_a_while(autojump_clock: MockClock) -> None:
    board, partner, market = await asked_once()
    await board.publish(offer(2))
    await run_for(market, 60)
    assert partner.asked == 2
    await run_for(market, SHUNNED_FOR / 1000 + 60)
    assert partner.asked == 3


async def test_a_no_to_an_old_version_does_not_shun_the_new_one(autojump_clock: MockClock) -> None:
    # The new version may arrive before the refusal of the old one.
    board, partner = _Board(), _Partner(Reason.POLICY)
    await board.publish(offer(1))
    market = market_with(board, partner)
    newer = offer(2)
    partner.meanwhile = lambda: [tell(newer) for tell in board.told] if partner.asked == 1 else None
    market.set_orders([Order(KIND, PEER.node_id, Quantity(20))])
    await run_for(market, 60)
    assert partner.asked == 2


async def test_who_is_only_busy_is_asked_again(autojump_clock: MockClock) -> None:
    for reason in (Reason.BUSY, Reason.UNKNOWN_BID):
        board, partner = _Board(), _Partner(reason)
        await board.publish(offer(1))
        market = market_with(board, partner)
        market.set_orders([Order(KIND, PEER.node_id, Quantity(20))])
        await run_for(market, 60)
        assert partner.asked > 2


async def test_a_ring_whose_issuer_was_silent_gets_its_next_try_within_seconds(autojump_clock: MockClock) -> None:
    for reason in (Reason.UNVETTED, Reason.NOT_FOUND):
        board, partner = _Board(), _Partner(reason)
        await board.publish(offer(1))
        market = market_with(board, partner)
        market.set_orders([Order(KIND, PEER.node_id, Quantity(20))])
        await run_for(market, LIMITS.market_silence / 1000)
        assert partner.asked == 1
        await run_for(market, 2 * LIMITS.market_silence / 1000)
        assert partner.asked > 1


async def test_a_bid_that_goes_in_the_moment_of_its_match_stops_nothing(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    await board.publish(offer(1))
    market = market_with(board, partner)
    gone = make_item(PEER, "bid", b"k" * 16, sequence=2, expires=FAR, body=b"")
    market.set_orders([Order(KIND, PEER.node_id, Quantity(20))])
    await market._post()  # pyright: ignore[reportPrivateUsage] - the very moment is wanted
    async with trio.open_nursery() as nursery:
        market._try_some(nursery)  # pyright: ignore[reportPrivateUsage] - as above
        for tell in board.told:
            tell(gone)
    assert partner.asked == 1


async def test_a_search_that_fails_by_a_bug_costs_a_while_and_not_the_daemon(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed, find = list[BidId](), choosing.find

    def once(book: Book, bid: BidId, **how: Any) -> Match | None:
        if not failed:
            failed.append(bid)
            raise IndexError("a bug")
        return find(book, bid, **how)

    monkeypatch.setattr(choosing, "find", once)
    await asked_once()
    assert len([record for record in caplog.records if "our fault" in record.message and record.exc_info]) == 1


async def test_long_searches_leave_most_of_the_time_to_the_rest_of_the_node(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger may fill the book so that each search takes a second; then nothing else runs for one at a time."""
    searched, order = list[float](), Order(KIND, None, Quantity(20))

    def slow(book: Book, bid: BidId, **how: Any) -> Match | None:
        mock_clock.jump(1)
        searched.append(trio.current_time())

    monkeypatch.setattr(choosing, "find", slow)
    market = market_with(_Board(), _Partner(Reason.POLICY))
    market.set_orders([replace(order, key=bytes([n] * 16)) for n in range(3)])
    mock_clock.autojump_threshold = 0
    await run_for(market, 30)
    assert len(searched) >= 3
    assert all(later - earlier >= 5 for earlier, later in pairwise(searched))


async def test_a_reserve_waits_to_be_asked(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    await board.publish(offer(1))
    market = market_with(board, partner)
    market.set_orders([Order(KIND, None, Quantity(20), patient=True)])
    await run_for(market, 60)
    assert partner.asked == 0
    assert any(item.node == ME.node_id for item in board.items("bid"))


async def test_an_order_is_heard_again_although_its_bid_was_taken_back_by_a_clock_that_was_ahead(
    autojump_clock: MockClock,
) -> None:
    board, order = _Board(), Order(KIND, None, Quantity(20))
    ahead = make_item(ME, "bid", order.slot, sequence=START + 365 * DAY, expires=FAR, body=b"")
    await board.publish(ahead)
    market = market_with(board, _Partner(Reason.BUSY))
    market.set_orders([order])
    await run_for(market, 60)
    assert [bid_id_of(item) for item in board.items("bid")] == [order.bid_id(ME.node_id)]


async def test_a_bid_that_gossip_refuses_is_told_in_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Shut(_Board):
        async def publish(self, item: Item) -> Refused | None:
            await trio.lowlevel.checkpoint()
            return Refused(Reason.TOO_MANY, "the topic is full")

    market = market_with(Shut(), _Partner(Reason.BUSY))
    market.set_orders([Order(KIND, None, Quantity(20))])
    await run_for(market, 60)
    assert [record.getMessage() for record in caplog.records] == ["a bid for 30d was not published: the topic is full"]


async def test_an_order_that_is_no_longer_wanted_leaves_the_book(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    market = market_with(board, partner)
    order = Order(KIND, PEER.node_id, Quantity(20))
    async with trio.open_nursery() as nursery:
        await nursery.start(market.run)
        market.set_orders([order])
        await wait_all_tasks_blocked(0.01)
        assert [bid_id_of(item) for item in board.items("bid")] == [order.bid_id(ME.node_id)]
        market.set_orders([])
        await wait_all_tasks_blocked(0.01)
        assert board.items("bid") == []
        nursery.cancel_scope.cancel()


async def test_what_was_traded_is_not_ordered_again_before_the_keeper_counts(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    market = market_with(board, partner)
    order = Order(KIND, PEER.node_id, Quantity(20))
    bid = order.bid_id(ME.node_id)
    async with trio.open_nursery() as nursery:
        await nursery.start(market.run)
        market.set_orders([order])
        await wait_all_tasks_blocked(0.01)
        market.executed(bid, Quantity(15))
        assert market.stock_of(bid) == 5  # at once, while the bid still says 20
        await wait_all_tasks_blocked(0.01)
        assert [item.body for item in board.items("bid")] == [
            encode(bid_for(replace(order, quantity=Quantity(5)), ME.node_id))
        ]
        market.executed(bid, Quantity(5))
        await wait_all_tasks_blocked(0.01)
        assert board.items("bid") == []
        nursery.cancel_scope.cancel()


async def test_a_restart_takes_back_what_was_said_before(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    market = market_with(board, partner)
    market.set_orders([Order(KIND, PEER.node_id, Quantity(20))])
    await run_for(market, 5)
    assert len(board.items("bid")) == 1
    await run_for(market_with(board, partner), 5)
    assert board.items("bid") == []


def by_hand(number: int = 0, quantity: int = 20, omega: Ratio = (3, 2)) -> Order:
    key = bytes([number]) * 16
    return Order(KIND, PEER.node_id, Quantity(quantity), key=key, gives=Quality(ME.node_id, KIND), omega=omega)


def said(board: _Board) -> dict[BidId, int]:
    mine = (item for item in board.items("bid") if item.node == ME.node_id)
    return {bid_id_of(item): decode(item.body, BidBody, size_max=ITEM_BODY_MAX).quantity for item in mine}


async def test_an_order_by_hand_is_matched_like_any_other_at_its_own_price(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    await board.publish(offer(1, omega=(2, 3)))
    market = market_with(board, partner)
    assert await market.place(by_hand(0, omega=(1, 1))) is None
    await run_for(market, 60)
    assert partner.asked == 0
    assert await market.place(by_hand(1, quantity=21)) is None  # 21 for 14: whole, and just at both limits
    await run_for(market, 60)
    assert partner.asked > 0


async def test_an_order_by_hand_stands_beside_the_keepers_and_over_a_restart(autojump_clock: MockClock) -> None:
    board, partner, drawer = _Board(), _Partner(Reason.BUSY), _Drawer()
    order, keepers = by_hand(), Order(KIND, PEER.node_id, Quantity(7))
    mine = order.bid_id(ME.node_id)
    market = market_with(board, partner, drawer)
    assert await market.place(order) is None
    assert said(board) == {mine: 20}
    market.set_orders([keepers])
    await run_for(market, 5)
    assert said(board) == {mine: 20, keepers.bid_id(ME.node_id): 7}
    item = market.item_of(mine)
    again = market_with(board, partner, drawer)
    await run_for(again, 5)
    assert said(board) == {mine: 20}
    assert again.item_of(mine) == item
    assert item is not None
    assert again.is_current(mine, item)
    again.executed(mine, Quantity(15))
    await run_for(again, 5)
    assert said(board) == {mine: 5}
    last = market_with(board, partner, drawer)
    await run_for(last, 5)
    assert said(board) == {mine: 5}
    last.executed(mine, Quantity(5))
    await run_for(last, 5)
    assert (said(board), drawer.orders) == ({}, {})


async def test_what_was_kept_but_not_said_before_a_crash_is_said_after_it(autojump_clock: MockClock) -> None:
    board, partner, drawer = _Board(), _Partner(Reason.BUSY), _Drawer()
    order = by_hand()
    await market_with(board, partner, drawer).place(order)
    drawer.orders[order.slot] = replace(order, quantity=Quantity(3))
    await run_for(market_with(board, partner, drawer), 5)
    assert said(board) == {order.bid_id(ME.node_id): 3}


async def test_an_order_by_hand_that_is_taken_back_is_gone_for_good(autojump_clock: MockClock) -> None:
    board, partner, drawer = _Board(), _Partner(Reason.BUSY), _Drawer()
    market = market_with(board, partner, drawer)
    order = by_hand()
    async with trio.open_nursery() as nursery:
        await nursery.start(market.run)
        assert await market.place(order) is None
        await wait_all_tasks_blocked(0.01)
        assert await market.take_back(order.bid_id(ME.node_id))
        assert (said(board), drawer.orders) == ({}, {})
        assert not await market.take_back(order.bid_id(ME.node_id))
        await wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    await run_for(market_with(board, partner, drawer), 5)
    assert said(board) == {}


async def test_no_more_bids_stand_than_are_allowed(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    market = market_with(board, partner)
    keepers = [Order(KIND, NodeId(bytes([n]) * 32), Quantity(1)) for n in range(1, ORDERS_MAX + 1)]
    market.set_orders(keepers)
    await run_for(market, 5)
    assert len(said(board)) == ORDERS_MAX
    for number in range(BY_HAND_MAX):
        assert await market.place(by_hand(number)) is None
    refused = await market.place(by_hand(BY_HAND_MAX))
    assert refused is not None
    assert refused.reason is Reason.TOO_MANY
    for _ in range(2):
        await run_for(market, 5)
        assert len(said(board)) == ORDERS_MAX
        assert keepers[0].bid_id(ME.node_id) in said(board)
        assert all(by_hand(number).bid_id(ME.node_id) in said(board) for number in range(BY_HAND_MAX))
        market.set_orders(keepers)


async def test_a_price_is_asked_of_others_only(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    await board.publish(offer(1))
    market = market_with(board, partner)
    assert await market.place(by_hand()) is None
    with market.others_book() as book:
        assert [bid.owner for bid in book] == [PEER.node_id]
    assert {bid.owner for bid in market.book} == {PEER.node_id, ME.node_id}


async def test_who_gives_anothers_notes_does_not_offer_space(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    await board.publish(offer(1, gives=NodeId(b"x" * 32)))
    assert market_with(board, partner).offering() == []
    await board.publish(offer(2))
    assert market_with(board, partner).offering() == [PEER.node_id]


async def test_who_offers_another_kind_is_not_asked_for_this_one(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    await board.publish(offer(1))
    market = market_with(board, partner)
    assert market.offering(KIND) == market.offering() == [PEER.node_id]
    assert market.offering(LeaseKind("7d")) == []


def none_settled(_db: sqlite3.Connection, _bid: BidId) -> Quantity:
    return Quantity(0)


async def kept(path: Path, *orders: Order, dropped: Sequence[Order] = ()) -> None:
    """Keep orders one after the other in a real store, and close it."""
    store = Store.open(path, MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        drawer = ByHand(store, ME.node_id, none_settled)
        for order in orders:
            await drawer.keep(order)
        for order in dropped:
            await drawer.drop(order)
        nursery.cancel_scope.cancel()
    store.close()


def loaded(path: Path, settled: Callable[[sqlite3.Connection, BidId], Quantity] = none_settled) -> list[Order]:
    store = Store.open(path, MIGRATIONS)
    orders = ByHand(store, ME.node_id, settled).load()
    store.close()
    return orders


async def test_orders_by_hand_are_read_back_as_they_were_placed(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    gives, gone = Quality(PEER.node_id, KIND), by_hand(3)
    foreign = Order(KIND, None, Quantity(9), key=b"z" * 16, gives=gives, type="best", omega=(1, 2), floor=(2, 1))
    await kept(path, by_hand(2), gone, foreign, by_hand(2, quantity=4), dropped=[gone])
    assert loaded(path) == [by_hand(2, quantity=4), foreign]


async def test_what_a_swap_gave_before_a_crash_is_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    given = {by_hand(n).bid_id(ME.node_id): Quantity(quantity) for n, quantity in ((1, 15), (2, 20), (3, 5))}
    await kept(path, *map(by_hand, range(1, 4)), by_hand(3, quantity=15))
    left = [by_hand(1, quantity=5), by_hand(3, quantity=15)]
    assert loaded(path, lambda _, bid: given[bid]) == left
    assert loaded(path) == left  # and is not forgotten when the swap forgets


async def test_crumbs_of_anothers_notes_are_not_offered_since_no_issuer_locks_them(autojump_clock: MockClock) -> None:
    board, partner = _Board(), _Partner(Reason.BUSY)
    market = market_with(board, partner)
    foreign = replace(by_hand(quantity=20), gives=Quality(NodeId(b"x" * 32), KIND))
    refused = await market.place(replace(foreign, quantity=Quantity(3)))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.WRONG_TERMS
    assert await market.place(foreign) is None
    market.executed(foreign.bid_id(ME.node_id), Quantity(16))
    await run_for(market, 5)
    assert said(board) == {foreign.bid_id(ME.node_id): 4}
    market.executed(foreign.bid_id(ME.node_id), Quantity(1))
    await run_for(market, 5)
    assert said(board) == {}
