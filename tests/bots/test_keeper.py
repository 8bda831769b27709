"""The keeper decides what space is lent for: it must order what is missing, and nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.bots.keeper import Policy, choose
from nanobarter.core.ids import NodeId
from nanobarter.core.units import LeaseKind, Quantity, Span
from nanobarter.translator.plan import Geometry, Held, make_plan

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
    policy = Policy(KIND, Quantity(reserve), tuple(wants), Span(1000))
    plan = make_plan(folder_bytes, KIND, Geometry(2, 5)) if folder_bytes else None
    orders = choose(plan, held, NODES, policy)
    assert len({order.slot for order in orders}) == len(orders)
    assert all(order.quantity > 0 for order in orders)
    if not folder_bytes and sum(notes.values()) >= reserve:
        assert orders == []
