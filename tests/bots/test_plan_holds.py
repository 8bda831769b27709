"""At stake: a backup that nobody looks after: peers die, leases run out, folders grow, and the plan is whole again.

The keeper, its orders and their prices are the daemon's. The market is one that can: whatever is ordered at no less
than its worth is served at its worth, unless it is closed for some days.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from nanobarter.bots.keeper import Keeper, Policy
from nanobarter.core.ids import NodeId
from nanobarter.core.units import DAY, MIB, Instant, LeaseKind, Quantity, Span, after, quantity_for, span_between, term
from nanobarter.daemon.holdings import Leased, owed_by
from nanobarter.storage.geometry import for_peers
from nanobarter.storage.lead import renewal_lead
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import Held, Plan
from nanobarter.translator.pricing import Mode, Terms, own_value, worth
from nanobarter.translator.vetting import Trust, caps

KIND: Final = LeaseKind("30d")
NODES: Final = [NodeId(bytes([i]) * 32) for i in range(1, 10)]
HEAD: Final = MIB // 2
LOOKS: Final = 12  # of half a minute
CLOSED_DAYS_MAX: Final = (
    8  # orders for a lease's renewal go out at least five days before it is lengthened at the latest
)
FIRST_TERM: Final = (("pass", 0), ("pass", 7), ("closed", 7))  # the market is closed when the first leases end


@dataclass
class World:
    """One node's holdings, and a market of others."""

    own: float
    on: float
    reliability: dict[NodeId, float]
    vetted: frozenset[NodeId]
    now: Instant = Instant(10**12)
    folder_bytes: int = 10**8
    is_open: bool = True
    dead: set[NodeId] = field(default_factory=set[NodeId])
    notes: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    leases: list[Leased] = field(default_factory=list[Leased])
    orders: list[Order] = field(default_factory=list[Order])

    # -- what the keeper sees

    def offering(self) -> list[NodeId]:
        return [node for node in NODES if node not in self.dead]

    def set_orders(self, orders: Sequence[Order]) -> None:
        self.orders = list(orders)

    def held(self) -> dict[NodeId, Held]:
        notes = {node: Quantity(q) for node, q in self.notes.items()}
        found = owed_by(notes, self.leases, KIND, self.now, HEAD, self.on)
        return {node: each for node, each in found.items() if node not in self.dead}

    async def size(self) -> int:
        return self.folder_bytes

    def trust(self, offering: Sequence[NodeId], needed: int) -> Trust:
        bounds = caps(offering, self.vetted, {}, needed=needed, capacity=Quantity(10**6), share=Quantity(100), clean={})
        return Trust(self.reliability, self.vetted, bounds, self.vetted, self.own)

    # -- what happens

    def serve(self) -> None:
        """Give for each order what its price buys at what the notes are worth."""
        for order in self.orders if self.is_open else ():
            if order.issuer is None or order.patient or order.bargain:
                continue
            value = worth(self.reliability[order.issuer])
            fair = min(value[0] / value[1] / own_value(self.own), order.omega[0] / order.omega[1])
            assert order.omega[0] / order.omega[1] >= fair
            self.notes[order.issuer] = self.notes.get(order.issuer, 0) + math.floor(order.quantity / fair)

    def holders(self) -> dict[NodeId, int]:
        """Return who lives and keeps something, and how much."""
        found = dict[NodeId, int]()
        for lease in self.leases:
            if lease.used_bytes and lease.issuer not in self.dead:
                found[lease.issuer] = found.get(lease.issuer, 0) + lease.used_bytes
        return found

    def place(self, plan: Plan) -> None:
        """Put a share of all at n issuers that owe enough; what is there stays where it is."""
        share, have = -(-self.folder_bytes // plan.geometry.k), self.holders()
        ranked = sorted(self.held().values(), key=lambda each: (each.issuer not in have, -each.total))
        for each in ranked[: plan.geometry.n]:
            used = have.get(each.issuer, 0)
            size = quantity_for(max(0, share - used)) + 1
            if used < share and self.notes.get(each.issuer, 0) >= size:
                self.notes[each.issuer] -= size
                self.leases.append(Leased(each.issuer, Quantity(size), share - used, after(self.now, term(KIND))))

    def lengthen(self, plan: Plan) -> None:
        """Lengthen what is due, and end what has run out: of those who live, only whom the plan does without."""
        for number, lease in enumerate(self.leases):
            if span_between(self.now, lease.end) <= renewal_lead(term(KIND), self.on) and lease.issuer not in self.dead:
                keep = min(quantity_for(lease.used_bytes + HEAD), lease.quantity)
                if self.notes.get(lease.issuer, 0) >= keep:
                    self.notes[lease.issuer] -= keep
                    self.leases[number] = Leased(lease.issuer, keep, lease.used_bytes, after(lease.end, term(KIND)))
        before = len(self.holders())
        self.leases = [lease for lease in self.leases if lease.end > self.now]
        self.place(plan)  # a share whose lease ends moves at once to whose notes are in hand
        after_, needed = len(self.holders()), min(plan.geometry.n, len(self.offering()))
        assert after_ == before or after_ >= needed, f"{before} kept something, now {after_} of {needed}"

    def is_whole(self, plan: Plan) -> bool:
        fill = [each for each in self.held().values() if each.missing(plan.per_issuer) == 0]
        return len(fill) >= plan.geometry.n


async def live(world: World, mode: Mode, happened: Sequence[tuple[str, int]]) -> None:
    keeper = Keeper(
        orders=world,
        held=world.held,
        folder_bytes=world.size,
        geometry=for_peers,
        policy=Policy(KIND, Quantity(0), (), Span(1000), Span(0)),
        trust=world.trust,
        terms=Terms(mode),
    )

    async def look() -> Plan:
        plan = await keeper.look()
        assert plan is not None
        world.serve()
        world.place(plan)
        world.lengthen(plan)
        return plan

    for what, how in [*FIRST_TERM, *happened, ("pass", 9)]:
        match what:
            case "die" if len(world.offering()) > 2:
                world.dead.add(world.offering()[how % len(world.offering())])
            case "return" if world.dead:
                world.dead.discard(sorted(world.dead)[how % len(world.dead)])
            case "grow":
                world.folder_bytes += world.folder_bytes * how // 10
            case "closed" | "pass":
                world.is_open = what == "pass"
                for _ in range(1 + (3 * how if world.is_open else how % CLOSED_DAYS_MAX)):
                    world.now = after(world.now, Span(DAY))
                    await look()
                world.is_open = True
            case _:
                pass
        looks = 0
        while not world.is_whole(await look()):
            looks += 1
            assert looks < LOOKS, (what, how, world.orders)


events = st.lists(
    st.tuples(st.sampled_from(["die", "return", "grow", "closed", "pass", "pass"]), st.integers(0, 9)), max_size=20
)
beliefs = st.lists(st.floats(0.55, 0.99), min_size=len(NODES), max_size=len(NODES))


@settings(max_examples=40)
@example([("die", 3), ("pass", 1), ("pass", 9), ("return", 0)], [0.75] * 9, set(NODES[:3]), 0.5, 1.0, "par")
@given(
    events,
    beliefs,
    st.sets(st.sampled_from(NODES)),
    st.floats(0.3, 0.99),
    st.floats(0.05, 1),
    st.sampled_from(["par", "discount", "ticket"]),
)
def test_orders_make_the_plan_whole_again_whenever_the_market_can(
    happened: list[tuple[str, int]], r: list[float], strangers: set[NodeId], own: float, on: float, mode: Mode
) -> None:
    world = World(own, on, dict(zip(NODES, r, strict=True)), frozenset(NODES) - strangers)
    trio.run(live, world, mode, happened, clock=MockClock())
