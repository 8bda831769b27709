"""The keeper decides what space is lent for: it must order what is missing, and nothing twice."""

from collections.abc import Sequence

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from nanobarter.bots.keeper import Keeper, Policy, choose
from nanobarter.core.ids import NodeId
from nanobarter.core.units import LeaseKind, Quantity, Span
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import Held, make_plan

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
