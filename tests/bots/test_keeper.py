"""The keeper decides what space is lent for: it must order what is missing, and nothing twice."""

from collections.abc import Collection, Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from nanobarter.bots.keeper import MARKUP_SPAN, Keeper, Policy, choose
from nanobarter.core.canonical import encode
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import Instant, LeaseKind, Quantity, Span
from nanobarter.matching.book import Book
from nanobarter.matching.network import bid_from_item, find
from nanobarter.matching.wire import bid_id_of
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.orders import Order, bid_for
from nanobarter.translator.plan import Held, make_plan
from nanobarter.translator.pricing import MARKUP_FIRST, SCARCE, Terms, own_value
from nanobarter.translator.vetting import Trust, caps

KIND = LeaseKind("30d")
NODES = [NodeId(bytes([i]) * 32) for i in range(1, 7)]


@given(
    st.integers(0, 10**9),
    st.integers(0, 500),
    st.sets(st.sampled_from(NODES)),
    st.dictionaries(st.sampled_from(NODES), st.integers(1, 300)),
)
def test_each_issuer_is_ordered_once_and_only_what_is_missing(
    folder_bytes: int, reserve: int, wants: set[NodeId], notes: dict[NodeId, int]
) -> None:
    held = {node: Held(node, Quantity(q), Quantity(0)) for node, q in notes.items()}
    policy = Policy(KIND, Quantity(reserve), tuple(wants), Span(1000), Span(0))
    plan = make_plan(folder_bytes, KIND, Geometry(2, 5)) if folder_bytes else None
    orders = choose(plan, held, NODES, policy)
    assert len({order.slot for order in orders}) == len(orders)
    assert all(order.quantity > 0 for order in orders)
    if not folder_bytes and sum(notes.values()) >= reserve:
        assert orders == []


@given(st.integers(0, 2000), st.sets(st.sampled_from(NODES), min_size=3), st.booleans())
def test_what_little_space_is_left_is_kept_for_the_plan(room: int, vetted: set[NodeId], named: bool) -> None:  # noqa: FBT001
    plan = make_plan(10**9, KIND, Geometry(2, 3))
    kept = dict.fromkeys(sorted(vetted), Held(NODES[0], Quantity(0), Quantity(0), plan.per_issuer))
    bounds = caps(NODES, vetted, {}, needed=3, capacity=Quantity(20_000), share=plan.per_issuer, clean={})
    trust = Trust(dict.fromkeys(NODES, 0.9), frozenset(vetted), bounds, judged=frozenset(NODES))
    policy = Policy(KIND, Quantity(5000), tuple(NODES) if named else (), Span(1000), Span(0), room=Quantity(room))
    orders = choose(plan, kept, NODES, policy, trust, Terms(mode="discount"))
    reserve = [order for order in orders if order.patient or order.bargain]
    assert bool(reserve) == (named or room * SCARCE >= plan.lent)
    vital = choose(plan, {}, NODES, policy, trust, Terms(mode="discount"))
    assert any(not order.patient and not order.bargain for order in vital)


class Desk:
    """Where orders go: remembers the last ones."""

    def __init__(self) -> None:
        self.offered = list[NodeId]()
        self.orders = list[Order]()

    def offering(self) -> list[NodeId]:
        return self.offered

    def set_orders(self, orders: Sequence[Order]) -> None:
        self.orders = list(orders)


async def test_nothing_is_ordered_while_peers_are_still_being_found(autojump_clock: MockClock) -> None:
    desk = Desk()

    def held() -> dict[NodeId, Held]:
        return {}

    async def size() -> int:
        await trio.lowlevel.checkpoint()
        return 10**8

    policy = Policy(KIND, Quantity(0), (), Span(60_000), Span(3000))
    keeper = Keeper(orders=desk, held=held, folder_bytes=size, geometry=lambda peers: Geometry(1, peers), policy=policy)
    for found in range(1, 6):
        desk.offered = NODES[:found]
        await keeper.look()
        assert desk.orders == []
        await trio.sleep(1)
    await trio.sleep(3)
    plan = await keeper.look()
    assert plan is not None
    assert plan.geometry.n == len(desk.orders) == 5


async def test_a_storm_of_bids_leaves_time_for_the_rest_of_the_node(autojump_clock: MockClock) -> None:
    desk, looks = Desk(), list[float]()

    def held() -> dict[NodeId, Held]:
        looks.append(trio.current_time())
        autojump_clock.jump(0.5)  # a book of tens of thousands
        return {}

    async def size() -> int:
        await trio.lowlevel.checkpoint()
        return 10**8

    policy = Policy(KIND, Quantity(0), (), Span(60_000), Span(0))
    keeper = Keeper(orders=desk, held=held, folder_bytes=size, geometry=lambda peers: Geometry(1, peers), policy=policy)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        while trio.current_time() < begun + 60:
            keeper.wake()
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    assert 10 <= len(looks) <= 60 / 0.5 / 4


async def test_own_notes_are_worth_what_others_can_see_of_us_and_more_is_given_only_while_much_is_missing(
    autojump_clock: MockClock,
) -> None:
    desk, stored = Desk(), Quantity(0)
    desk.offered = NODES[1:4]

    def held() -> dict[NodeId, Held]:
        return {node: Held(node, stored, Quantity(0)) for node in NODES[1:4] if stored}

    async def size() -> int:
        await trio.lowlevel.checkpoint()
        return 10**8

    policy = Policy(KIND, Quantity(0), (), Span(60_000), Span(0))
    keeper = Keeper(
        orders=desk,
        held=held,
        folder_bytes=size,
        geometry=lambda peers: Geometry(1, peers),
        policy=policy,
        trust=lambda _offering, _needed: Trust(own=0.9),
        terms=Terms(mode="discount"),
    )
    for _ in range(5):
        await keeper.look()
        await trio.sleep(MARKUP_SPAN / 1000)
    assert keeper.terms.own == own_value(0.9)
    assert keeper.terms.markup > MARKUP_FIRST
    assert keeper.plan is not None
    stored = keeper.plan.per_issuer
    for _ in range(9):
        await keeper.look()
        await trio.sleep(MARKUP_SPAN / 1000)
    assert desk.orders == []
    assert keeper.terms.markup == MARKUP_FIRST


@pytest.mark.parametrize(
    ("room", "stored", "is_new", "rises"),
    [
        (0, 0, False, False),
        (10_000, 0, False, True),
        (10_000, 0, True, True),
        (10_000, 120, True, False),
        (10_000, 120, False, True),
    ],
)
async def test_who_has_no_space_left_or_is_new_and_has_a_backup_does_not_offer_more_of_it(
    room: int,
    stored: int,
    is_new: bool,  # noqa: FBT001 - one of four
    rises: bool,  # noqa: FBT001 - one of two
    autojump_clock: MockClock,
) -> None:
    desk = Desk()
    desk.offered = NODES[1:4]

    async def size() -> int:
        await trio.lowlevel.checkpoint()
        return 10**8

    keeper = Keeper(
        orders=desk,
        held=lambda: {NODES[1]: Held(NODES[1], Quantity(0), Quantity(stored))} if stored else {},
        folder_bytes=size,
        geometry=lambda _peers: Geometry(1, 3),
        policy=Policy(KIND, Quantity(0), (), Span(60_000), Span(0)),
        trust=lambda _offering, _needed: Trust(is_new=is_new),
        terms=Terms(mode="discount"),
    )
    keeper.count_room(lambda: Quantity(room))
    for _ in range(5):
        await keeper.look()
        await trio.sleep(MARKUP_SPAN / 1000)
    assert (keeper.terms.markup > MARKUP_FIRST) == rises


async def orders_apart(
    place: dict[NodeId, str], r: dict[NodeId, float], held: dict[NodeId, Held], vetted: Collection[NodeId]
) -> dict[NodeId | None, int]:
    """Return what is ordered where all in ``place`` that hold nothing offer, and three issuers are needed."""
    desk = Desk()
    desk.offered = [node for node in place if node not in held]

    async def size() -> int:
        await trio.lowlevel.checkpoint()
        return 10**9

    def trust(offering: Sequence[NodeId], needed: int) -> Trust:
        bounds = caps(offering, vetted, {}, needed=needed, capacity=Quantity(20_000), share=Quantity(600), clean={})
        return Trust(r, frozenset(vetted), bounds, judged=frozenset(vetted), own=0.9)

    keeper = Keeper(
        orders=desk, held=lambda: held, folder_bytes=size, geometry=lambda _peers: Geometry(2, 3),
        policy=Policy(KIND, Quantity(0), (), Span(60_000), Span(0)), trust=trust, terms=Terms(mode="discount"),
    )  # fmt: skip
    keeper.keep_apart(place.__getitem__)
    await keeper.look()
    return {order.issuer: order.quantity for order in desk.orders if not order.bargain}


@pytest.mark.parametrize("why", ["bad", "gone", "leftover"])
async def test_who_is_bad_gone_or_owes_a_last_mib_keeps_nobody_out_of_its_network(why: str) -> None:
    share = make_plan(10**9, KIND, Geometry(2, 3)).per_issuer
    place = dict(zip(NODES, ["a", "b", "c", "a", "b", "c"], strict=True))
    last = Held(NODES[0], Quantity(1), Quantity(0)) if why == "leftover" else Held(NODES[0], Quantity(0), share, share)
    held = {NODES[0]: last} | {n: Held(n, Quantity(0), Quantity(0), share) for n in NODES[1:3]}
    r = dict.fromkeys(NODES, 0.9) | {NODES[0]: {"bad": 0.2, "gone": 0.0, "leftover": 0.8}[why]}
    found = await orders_apart(place, r, held, NODES)
    assert found.keys() == {NODES[3]}, "the other of its network is asked, and nobody beside those who keep shares"


async def test_caps_hold_only_where_enough_networks_have_somebody_vetted() -> None:
    place = dict(zip(NODES, ["a", "a", "b", "b", "c", "d"], strict=True))
    share = make_plan(10**9, KIND, Geometry(2, 3)).per_issuer
    found = await orders_apart(place, dict.fromkeys(NODES, 0.9), {}, NODES[:4])
    assert len(found) >= 3
    assert min(found.values()) >= share


async def test_two_newcomers_without_a_reserve_find_each_other_and_trade() -> None:
    async def size() -> int:
        await trio.lowlevel.checkpoint()
        return 10**8

    policy = Policy(KIND, Quantity(0), (), Span(60_000), Span(0))
    keys = [SigningKey(bytes([number]) * 32) for number in (1, 2)]
    desks = [Desk(), Desk()]
    keepers = [
        Keeper(orders=desk, held=dict, folder_bytes=size, geometry=lambda peers: Geometry(1, peers), policy=policy)
        for desk in desks
    ]
    for _ in range(2):
        for desk, keeper, key in zip(desks, keepers, keys, strict=True):
            await keeper.look()
            assert desk.orders
            next(other for other in desks if other is not desk).offered = [key.node_id]
    book, bids = Book(), list[BidId]()
    for key, desk in zip(keys, desks, strict=True):
        (order,) = desk.orders
        assert order.issuer is not None
        assert not order.patient
        item = make_item(
            key, "bid", order.slot, sequence=1, expires=Instant(10**13), body=encode(bid_for(order, key.node_id))
        )
        bid = bid_from_item(item)
        assert bid is not None
        book.insert(bid)
        bids.append(bid_id_of(item))
    match = find(book, bids[0])
    assert match is not None
    assert [arc.quantity for arc in match.arcs] == [desks[0].orders[0].quantity] * 2
