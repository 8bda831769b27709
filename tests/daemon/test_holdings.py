"""At stake: a lease that ends because nobody ordered the notes to lengthen it takes the shares in it along."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.units import DAY, MIB, Instant, LeaseKind, Quantity, Span, after, quantity_for
from nanobarter.daemon.holdings import Leased, owed_by
from nanobarter.storage.geometry import Geometry
from nanobarter.storage.lead import order_lead, renewal_lead
from nanobarter.translator.orders import orders_for_plan
from nanobarter.translator.plan import make_plan

KIND = LeaseKind("30d")
NODES = [NodeId(bytes([i]) * 32) for i in range(1, 6)]
HEAD = MIB // 2
NOW = Instant(10**12)


def lease(node: NodeId, mib: int, used_bytes: int, days_left: int) -> Leased:
    return Leased(node, Quantity(mib), min(used_bytes, mib * MIB), after(NOW, Span(days_left * DAY)))


def test_room_in_a_lease_does_not_stand_for_the_notes_that_lengthen_it() -> None:
    plan = make_plan(60 * 10**6, KIND, Geometry(2, 5))
    leases = [lease(node, 64, 22 * MIB, 12) for node in NODES]  # made in steps of 64 MiB, so there is room in each
    orders = orders_for_plan(plan, owed_by({}, leases, KIND, NOW, HEAD), NODES)
    assert [order.issuer for order in orders] == NODES
    assert all(order.quantity >= 23 for order in orders)  # what is used, and the vault's head
    young = [lease(node, 64, 22 * MIB, 25) for node in NODES]
    assert orders_for_plan(plan, owed_by({}, young, KIND, NOW, HEAD), NODES) == []


sizes = st.tuples(st.integers(1, 200), st.integers(0, 200 * MIB), st.integers(0, 30))


@given(
    st.lists(st.lists(sizes, max_size=3), min_size=5, max_size=5), st.lists(st.integers(0, 90), min_size=5, max_size=5)
)
def test_once_orders_are_filled_every_lease_that_is_due_can_be_lengthened(
    leased: list[list[tuple[int, int, int]]], notes: list[int]
) -> None:
    plan = make_plan(10**8, KIND, Geometry(2, 5))
    found = [lease(node, *size) for node, several in zip(NODES, leased, strict=True) for size in several]
    before = {node: Quantity(q) for node, q in zip(NODES, notes, strict=True)}
    orders = orders_for_plan(plan, owed_by(before, found, KIND, NOW, HEAD), NODES)
    have = {node: notes + sum(o.quantity for o in orders if o.issuer == node) for node, notes in before.items()}
    for node in NODES:
        due = [each for each in found if each.issuer == node and each.used_bytes and each.end - NOW <= 15 * DAY]
        needed = sum(min(quantity_for(each.used_bytes + HEAD), each.quantity) for each in due)
        assert have[node] >= needed


parts = st.floats(0, 1)


@given(st.integers(1, 400 * DAY), parts, parts)
def test_who_is_on_for_fewer_hours_never_orders_or_lengthens_later(span: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert renewal_lead(span, less) >= renewal_lead(span, more) >= renewal_lead(span) == span // 3
    assert order_lead(span, less) >= order_lead(span, more) >= order_lead(span) == span // 2
    assert renewal_lead(span, less) <= span // 2  # before that issuers do not let a lease become smaller
    assert renewal_lead(span, less) <= order_lead(span, less) <= span * 3 // 4


def test_four_hours_a_day_get_as_many_hours_as_eight() -> None:
    assert renewal_lead(30 * DAY, 8 / 24) == 10 * DAY
    assert renewal_lead(30 * DAY, 6 / 24) * 6 // 8 == 10 * DAY
    assert renewal_lead(30 * DAY, 1 / 24) == 15 * DAY


@given(st.lists(sizes, max_size=5), st.integers(0, 90), parts, parts)
def test_who_is_on_for_fewer_hours_never_has_less_ordered_for_his_leases(
    leased: list[tuple[int, int, int]], notes: int, one: float, other: float
) -> None:
    found, have, (less, more) = (
        [lease(NODES[0], *size) for size in leased], {NODES[0]: Quantity(notes)}, sorted((one, other))
    )  # fmt: skip
    seldom, often = (owed_by(have, found, KIND, NOW, HEAD, on)[NODES[0]] for on in (less, more))
    assert seldom.renewal >= often.renewal
    assert seldom.missing(100) >= often.missing(100)
