"""A plan that asks too little loses a backup; one that asks too much lends space for nothing."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.units import MIB, LeaseKind, Quantity
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.orders import (
    ORDERS_MAX,
    PRICE_STEP,
    PROBES_MAX,
    Order,
    bid_for,
    hardly_differs,
    order_for_reserve,
    orders_for_plan,
    orders_for_renewal,
)
from nanobarter.translator.plan import Held, make_plan
from nanobarter.translator.vetting import Trust, caps

KIND = LeaseKind("30d")
NODES = [NodeId(bytes([i]) * 32) for i in range(1, 9)]


@given(st.integers(1, 10**14), st.sampled_from([(1, 1), (2, 5), (3, 6), (10, 25)]))
def test_what_is_planned_holds_the_folders(folder_bytes: int, code: tuple[int, int]) -> None:
    plan = make_plan(folder_bytes, KIND, Geometry(*code))
    assert plan.per_issuer * MIB * code[0] > folder_bytes
    assert plan.lent == plan.per_issuer * code[1]


@given(st.lists(st.integers(0, 80), min_size=8, max_size=8), st.integers(0, 10**9))
def test_orders_fill_n_issuers_to_the_plan_and_no_more(notes: list[int], folder_bytes: int) -> None:
    plan = make_plan(folder_bytes, KIND, Geometry(2, 5))
    held = {node: Held(node, Quantity(q), Quantity(0)) for node, q in zip(NODES, notes, strict=True) if q}
    orders = orders_for_plan(plan, held, NODES)
    after = {node: held[node].total if node in held else 0 for node in NODES}
    for order in orders:
        assert order.issuer is not None
        assert order.quantity > 0
        after[order.issuer] += int(order.quantity)
    if plan.per_issuer:
        assert sum(total >= plan.per_issuer for total in after.values()) >= 5
    assert len(orders) <= 5


def test_a_reserve_names_the_wanted_issuers_or_any() -> None:
    assert order_for_reserve(KIND, Quantity(10), Quantity(10), ()) == []
    (anyone,) = order_for_reserve(KIND, Quantity(10), Quantity(4), ())
    assert (anyone.issuer, anyone.quantity) == (None, 6)
    assert [o.issuer for o in order_for_reserve(KIND, Quantity(10), Quantity(4), NODES[:2])] == NODES[:2]


def test_a_bid_gives_our_own_notes_one_for_one_and_never_asks_for_them() -> None:
    (order,) = order_for_reserve(KIND, Quantity(10), Quantity(4), ())
    bid = bid_for(order, NODES[0])
    assert (bid.gives.issuer, bid.omega, bid.quantity) == (NODES[0], (1, 1), 6)
    assert bid.wants.refused == (NODES[0],)


MANY = [NodeId(bytes([i]) * 32) for i in range(1, 31)]
sums = st.lists(st.integers(0, 60), min_size=30, max_size=30)


@given(sums, sums, st.sets(st.sampled_from(MANY)), st.sets(st.sampled_from(MANY)), st.integers(1, 3 * 10**8))
def test_a_full_plan_tries_out_few_strangers_and_takes_others_only_as_bargains(
    notes: list[int], used: list[int], vetted: set[NodeId], bad: set[NodeId], folder_bytes: int
) -> None:
    plan = make_plan(folder_bytes, KIND, Geometry(2, 5))
    held = {
        node: Held(node, Quantity(n), Quantity(0), Quantity(u))
        for node, n, u in zip(MANY, notes, used, strict=True)
        if n + u
    }
    bounds = caps(MANY, vetted, {}, needed=5, capacity=Quantity(20_000), share=plan.per_issuer, clean={})
    r = {node: 0.3 if node in bad else 0.95 for node in MANY}
    trust = Trust(r, frozenset(vetted), bounds, judged=frozenset(MANY))
    orders = orders_for_plan(plan, held, MANY, trust)
    assert len({order.issuer for order in orders}) == len(orders) <= ORDERS_MAX
    if len([node for node in MANY if node not in bad]) >= 5:
        assert all(order.issuer not in bad for order in orders)
    known = [node for node in held if node not in bounds.lots and node not in bad]
    if bounds.lots and len(known) >= 5:
        assert sum(order.issuer in bounds.lots for order in orders) <= PROBES_MAX
        new = [order for order in orders if order.issuer not in held and order.issuer not in bounds.lots]
        assert all(order.bargain for order in new)  # what the plan can do without has to be cheap
    else:
        assert not any(order.bargain for order in orders)


@given(sums, sums, st.sets(st.sampled_from(MANY)), st.sets(st.sampled_from(MANY)), st.integers(0, 2000))
def test_the_reserve_waits_for_the_notes_that_will_lengthen_leases_and_for_no_more(
    notes: list[int], used: list[int], bad: set[NodeId], vetted: set[NodeId], room: int
) -> None:
    plan = make_plan(10**8, KIND, Geometry(2, 5))
    held = {
        node: Held(node, Quantity(n), Quantity(0), Quantity(u)) for node, n, u in zip(MANY, notes, used, strict=True)
    }
    bounds = caps(MANY, vetted, {}, needed=5, capacity=Quantity(4000), share=plan.per_issuer, clean={})
    r = {node: 0.3 if node in bad else 0.95 for node in MANY}
    trust = Trust(r, frozenset(vetted), bounds, judged=frozenset(MANY))
    orders = orders_for_renewal(plan, held, Quantity(room), trust)
    assert sum(order.quantity for order in orders) <= room
    for order in orders:
        assert order.issuer is not None
        assert order.patient
        assert order.issuer not in bad
        assert held[order.issuer].lease_used
        assert held[order.issuer].notes + order.quantity <= plan.per_issuer
        if order.issuer in bounds.lots:
            assert held[order.issuer].total + order.quantity <= bounds.lots[order.issuer]
    before = sum(min(held[node].total, lot) for node, lot in bounds.lots.items())
    ordered = sum(order.quantity for order in orders if order.issuer in bounds.lots)
    assert before + ordered <= max(bounds.together, before)


@given(sums, sums, st.sets(st.sampled_from(MANY)), st.sets(st.sampled_from(MANY)), st.integers(0, 2000))
def test_a_stranger_that_takes_its_bid_back_for_a_moment_is_asked_for_no_more_and_takes_nobodys_place(
    notes: list[int], used: list[int], offer: set[NodeId], vetted: set[NodeId], room: int
) -> None:
    offering, plan = sorted(offer), make_plan(10**8, KIND, Geometry(2, 5))
    held = {
        node: Held(node, Quantity(n), Quantity(0), Quantity(u)) for node, n, u in zip(MANY, notes, used, strict=True)
    }
    bounds = caps({*offering, *held}, vetted, {}, needed=5, capacity=Quantity(4000), share=plan.per_issuer, clean={})
    trust = Trust(dict.fromkeys(MANY, 0.95), frozenset(vetted), bounds, judged=frozenset(MANY))
    planned = orders_for_plan(plan, held, offering, trust)
    for orders in (planned, orders_for_renewal(plan, held, Quantity(room), trust)):
        for order in orders:
            assert order.issuer is not None
            if bounds.together and order.issuer not in vetted:
                assert held[order.issuer].total + order.quantity <= bounds.lots[order.issuer]
    kept = sum(held[node].total >= plan.per_issuer for node in vetted)
    if bounds.together and kept < 5:
        whole = {node for node in vetted if held[node].total >= plan.per_issuer}
        asked = {order.issuer for order in planned} & vetted
        assert len(whole | asked) >= min(5, len(vetted & {*held, *offering}))


prices = st.tuples(st.integers(1, 20_000), st.just(1000))
quantities = st.integers(1, 500).map(Quantity)


@given(prices, prices, quantities, quantities)
def test_a_bid_stays_as_it_is_only_while_its_price_has_hardly_moved(
    price: tuple[int, int], before: tuple[int, int], quantity: Quantity, was: Quantity
) -> None:
    said, wanted = Order(KIND, NODES[0], was, omega=before), Order(KIND, NODES[0], quantity, omega=price)
    assert hardly_differs(said, said)
    if hardly_differs(wanted, said) and wanted != said:
        assert abs(price[0] / before[0] - 1) <= PRICE_STEP * 1.001
        assert abs(quantity - was) <= max(1, PRICE_STEP * was)
    assert not hardly_differs(Order(KIND, NODES[1], was, omega=before), said)
    assert not hardly_differs(Order(KIND, NODES[0], Quantity(was + 1), omega=before), said)
