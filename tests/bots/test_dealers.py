"""At stake: a bot that trades while its owner sleeps; whatever happens, and however often it restarts, limits hold."""

import sqlite3
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nanobarter.bots.dealers import APPROVED_WITHIN, Bounds, Dealers, DealPolicy, spoken_for, stock_of
from nanobarter.bots.dealing import Deal, Desk, loss_of
from nanobarter.bots.deals import MONTH, Deals
from nanobarter.bots.tables import MIGRATIONS
from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, BidId, DraftId, NodeId
from nanobarter.core.item import make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import DAY, HOUR, Instant, LeaseKind, Quantity, Span, span_between
from nanobarter.matching.book import Book
from nanobarter.swap.events import Aborted, Approved, DraftRefused, Settled, SwapEvent
from nanobarter.swap.messages import Draft, DraftArc, Pace
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import Held, make_plan
from nanobarter.translator.pricing import GRAIN, worth
from nanobarter.translator.vetting import Trust
from nanobarter.translator.wanted import Who
from tests.bots.test_dealing import bid_of

KEY = SigningKey(b"m" * 32)
ME = KEY.node_id
KIND = LeaseKind("30d")
OTHERS = [NodeId(bytes([i]) * 32) for i in range(1, 4)]
GIVER = NodeId(b"g" * 32)
BOUNDS = Bounds(issuer=200, total=300, loss_day=GRAIN, loss_month=2 * GRAIN)
SLIP = Fraction(1, 100)
PACE = Pace(Span(1), Span(1), Span(2), Span(1), Span(1))
T = TypeVar("T")
Terms = tuple[str, int, int, NodeId]
others = st.sampled_from(OTHERS)
rs = st.sampled_from([0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99])
drafts = st.tuples(st.sampled_from(["fair", "edge", "wild"]), st.integers(1, 300), st.integers(1, 300), others)


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits: the store below answers at once."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("it waits")


class _Shelf:
    """The tables, in a database whose writes are done when they are asked for; it outlives every restart."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:")
        for migration in MIGRATIONS:
            self.db.executescript(migration.sql)

    def read_now(self, read: Callable[[sqlite3.Connection], T]) -> T:
        return read(self.db)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        return change(self.db)


@dataclass
class _Floor:
    orders: dict[Who, list[Order]] = field(default_factory=dict[Who, list[Order]])
    book: Book = field(default_factory=Book)

    def set_orders(self, orders: Sequence[Order], who: Who) -> None:
        self.orders[who] = list(orders)

    def orders_of(self, who: Who) -> Sequence[Order]:
        return self.orders.get(who, ())

    def whose(self, bid: BidId) -> Who | None:
        return next((who for who, orders in self.orders.items() for o in orders if o.bid_id(ME) == bid), None)

    @contextmanager
    def others_book(self) -> Generator[Book]:
        yield self.book


@dataclass
class _Ring:
    bid: BidId
    deal: Deal
    lost: int
    at: Instant
    live: bool = False


def draft_of(order: Order, given_: int, gets: NodeId, gotten: int) -> Draft:
    gives = order.gives or Quality(ME, KIND)
    item = make_item(KEY, "bid", order.slot, sequence=1, expires=Instant(2**40), body=b"x")
    arcs = (
        DraftArc(order.bid_id(ME), ME, gives, Quantity(given_)),
        DraftArc(BidId(bytes(16)), gets, Quality(gets, KIND), Quantity(gotten)),
    )
    return Draft(arcs, (item, item), PACE, bytes(32), Instant(0))


class Trading(RuleBasedStateMachine):
    """The wallet, the swap and the clock around the dealers; drafts come on any terms, at any beliefs.

    Only deals raise what is held beyond the plan, so the limits on it are checked at every deal that is agreed to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shelf = _Shelf()
        self.clock, self.floor = ManualClock(), _Floor()
        self.held, self.needed = dict.fromkeys(OTHERS, 0), dict[NodeId, int]()
        self.believed, self.vetted = dict[NodeId, float](), frozenset(OTHERS)
        self.own_free, self.count, self.quoted = 1000, 0, 0
        self.rings = dict[DraftId, _Ring]()
        self.losses = list[tuple[Instant, int]]()
        self.dealers = self.new()

    def new(self) -> Dealers:
        return Dealers(
            floor=self.floor,
            deals=Deals(cast("Store", self.shelf)),
            desk=lambda: Desk(ME, KIND, dict(self.held), self.needed, self.believed, self.vetted, self.own_free),
            policy=DealPolicy(BOUNDS, frozenset({"trader", "arbitrageur"})),
            drafts=lambda: {draft for draft, ring in self.rings.items() if ring.live},
            clock=self.clock,
            me=ME,
        )

    def teardown(self) -> None:
        self.shelf.db.close()

    @initialize(stock=st.dictionaries(others, st.integers(0, 150), max_size=3), r=st.lists(rs, min_size=3))
    def begin(self, stock: dict[NodeId, int], r: list[float]) -> None:
        self.held |= stock
        self.believed = dict(zip(OTHERS, r, strict=False))
        self.dealers.look()

    # -- what happens around

    @rule(news=st.dictionaries(others, rs, max_size=3))
    def learn(self, news: dict[NodeId, float]) -> None:
        self.believed = self.believed | news

    @rule(vetted=st.frozensets(others, min_size=2), needed=st.dictionaries(others, st.integers(0, 100), max_size=2))
    def plan(self, vetted: frozenset[NodeId], needed: dict[NodeId, int]) -> None:
        self.vetted, self.needed = vetted, needed

    @rule(node=others, quantity=st.integers(1, 100))
    def lapse(self, node: NodeId, quantity: int) -> None:
        """Notes end, or the keeper makes leases of them: rings that would give them come to nothing."""
        self.held[node] = max(0, self.held[node] - quantity)
        for draft, ring in list(self.rings.items()):
            if ring.deal.gives == node:
                self._end(draft, Aborted(draft, ring.bid, "aborted", Reason.NO_STOCK, ""))

    @rule(
        gives=others, wants=others, omega=st.tuples(st.integers(1, 40), st.integers(1, 40)), size=st.integers(20, 200)
    )
    def quote(self, gives: NodeId, wants: NodeId, omega: tuple[int, int], size: int) -> None:
        self.quoted += 1
        order = Order(KIND, wants, Quantity(size), gives=Quality(gives, KIND), omega=omega, key=b"q" * 16)
        if gives != wants and self.quoted < 6:
            self.floor.book.insert(bid_of(order, GIVER, self.quoted))

    @rule(span=st.sampled_from([Span(1000), APPROVED_WITHIN, HOUR, DAY, MONTH]))
    def wait(self, span: Span) -> None:
        self.clock.advance(span)
        if span >= APPROVED_WITHIN:  # an approval follows its look within seconds, or not at all
            self.rings = {draft: ring for draft, ring in self.rings.items() if ring.live}

    @rule()
    def look(self) -> None:
        done(self.dealers.catch_up())
        self.dealers.look()
        for order in (*self.floor.orders_of("trader"), *self.floor.orders_of("arbitrageur")):
            assert order.issuer in self.vetted

    # -- drafts

    @rule(terms=st.lists(drafts, min_size=4, max_size=12), news=st.dictionaries(others, rs, max_size=1))
    def drafts_come(self, terms: list[Terms], news: dict[NodeId, float]) -> None:
        """Proposers try each bid: as it says, at the edge of what is allowed, or wildly; beliefs may have moved."""
        self.believed = self.believed | news
        orders = [order for orders in self.floor.orders.values() for order in orders]
        for order, (manner, given_, gotten, gets) in zip(orders, terms, strict=False):
            if any(ring.bid == order.bid_id(ME) for ring in self.rings.values()):
                continue  # the swap lets one draft at a time through a bid
            if manner == "wild" or order.issuer is None:
                self._draft(order, given_, gets, gotten)
                continue
            given = min(given_, order.quantity)
            fair = -(-given * order.omega[1] // order.omega[0])
            self._draft(order, given, order.issuer, self.edge(order, given) if manner == "edge" else fair)

    def edge(self, order: Order, given: int) -> int:
        """The least that may be taken for so much: a hundredth below its value."""
        gives = (order.gives or Quality(ME, KIND)).issuer
        mine = GRAIN if gives == ME else worth(self.believed.get(gives, 1.0))[0]
        least = given * mine - int(SLIP * GRAIN * given)
        theirs = worth(self.believed.get(order.issuer or ME, 0.0))[0]
        return max(1, -(-least // theirs))

    def _draft(self, order: Order, given_: int, gets: NodeId, gotten: int) -> None:
        self.count += 1
        draft_id, gives = DraftId(self.count.to_bytes(32, "big")), (order.gives or Quality(ME, KIND)).issuer
        spare = self._spare(gives)
        desk = Desk(ME, KIND, {}, {}, self.believed, self.vetted, 0)
        refused = done(self.dealers.last_look(draft_of(order, given_, gets, gotten), 0, draft_id))
        if refused is not None:
            assert refused.reason is Reason.POLICY
            return
        deal = Deal(gives, given_, gets, gotten, self.clock.now())
        lost = loss_of(deal, desk)
        assert given_ <= spare
        assert gets in self.vetted
        assert lost <= SLIP * GRAIN * given_
        self.rings[draft_id] = _Ring(order.bid_id(ME), deal, max(0, lost), self.clock.now())
        surplus = {node: max(0, self._all_of(node) - self.needed.get(node, 0)) for node in OTHERS}
        assert surplus[gets] <= BOUNDS.issuer
        assert sum(surplus.values()) - (0 if gives == ME else given_) <= BOUNDS.total

    def _all_of(self, node: NodeId) -> int:
        """What is held of an issuer, and what rings that run would bring."""
        return self.held[node] + sum(ring.deal.gotten for ring in self.rings.values() if ring.deal.gets == node)

    def _spare(self, node: NodeId) -> int:
        promised = sum(ring.deal.given for ring in self.rings.values() if ring.deal.gives == node)
        if node == ME:
            return self.own_free - promised
        return self.held[node] - self.needed.get(node, 0) - promised

    @precondition(lambda self: bool(cast("Trading", self).rings))
    @rule(data=st.data(), how=st.sampled_from(["approve", "unheard", "refused", "settled", "aborted", "wronged"]))
    def ring(self, data: st.DataObject, how: str) -> None:
        draft = data.draw(st.sampled_from(sorted(self.rings)))
        ring = self.rings[draft]
        if how == "approve" and not ring.live:
            ring.live = True
            self.dealers.heard(Approved(draft, ring.bid, (Quality(ring.deal.gives, KIND), Quantity(ring.deal.given))))
        elif how == "unheard" and not ring.live:
            del self.rings[draft]  # the swap could not reserve after the look, and says nothing
        elif how == "refused":
            self._end(draft, DraftRefused(draft, ring.bid, None, Reason.BUSY, ""))
        elif how == "settled" and ring.live:
            self._settle(draft)
        elif how == "aborted" and ring.live:
            self._end(draft, Aborted(draft, ring.bid, "aborted", Reason.EXPIRED, ""))
        elif how == "wronged" and ring.live:
            if ring.deal.gives != ME:
                self.held[ring.deal.gives] = max(0, self.held[ring.deal.gives] - ring.deal.given)
            self._end(draft, Aborted(draft, ring.bid, "wronged", Reason.EXPIRED, ""))

    def _settle(self, draft: DraftId) -> None:
        ring = self.rings[draft]
        deal = ring.deal
        if deal.gives != ME and self.held[deal.gives] < deal.given:
            return  # it was to come by a ring that has not settled: the swap cannot reserve it
        self.held[deal.gets] += deal.gotten
        if deal.gives == ME:
            self.own_free -= deal.given
        else:
            self.held[deal.gives] -= deal.given
        self.losses.append((ring.at, ring.lost))
        amounts = (Quality(deal.gives, KIND), Quantity(deal.given)), (Quality(deal.gets, KIND), Quantity(deal.gotten))
        self._end(draft, Settled(draft, ring.bid, AgreementId(bytes(32)), *amounts, (ME, deal.gets)))

    def _end(self, draft: DraftId, event: SwapEvent) -> None:
        del self.rings[draft]
        self.dealers.heard(event)

    @rule(told=st.booleans())
    def restart(self, *, told: bool) -> None:
        """The node stops at any moment; what it heard last may not be written yet."""
        if told:
            done(self.dealers.catch_up())
        for draft in [draft for draft, ring in self.rings.items() if not ring.live]:
            del self.rings[draft]  # a look that the crash cut off: nothing was approved
        self.floor.orders.clear()
        self.dealers = self.new()
        done(self.dealers.start())
        self.dealers.look()

    # -- the law

    @invariant()
    def losses_are_within_the_limits_of_day_and_month(self) -> None:
        now = self.clock.now()
        all_losses = [*self.losses, *((ring.at, ring.lost) for ring in self.rings.values())]
        for span, bound in ((DAY, BOUNDS.loss_day), (MONTH, BOUNDS.loss_month)):
            assert sum(lost for at, lost in all_losses if span_between(at, now) < span) <= bound


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@given(
    st.lists(
        st.tuples(others, st.integers(0, 400), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200)),
        unique_by=lambda t: t[0],
    ),
    st.integers(1, 10**9),
    st.sets(others),
)
def test_what_the_folders_need_is_never_spare(
    rows: list[tuple[NodeId, int, int, int, int]], size: int, bad: set[NodeId]
) -> None:
    """After giving away all that is spare, each of the plan's issuers still owes what it did, up to the plan."""
    from nanobarter.storage.geometry import of_durability  # noqa: PLC0415 - the plan's code

    held = {n: Held(n, *map(Quantity, amounts)) for n, *amounts in rows}
    plan = make_plan(size, KIND, of_durability(max(len(held), 1), high=False))
    trust = Trust(dict.fromkeys(bad, 0.1), frozenset(OTHERS))
    needed = spoken_for(plan, held, trust)
    good = trust.good(list(held), plan.geometry.n)
    assert needed.keys() == set(good)  # the rest moves away, and all that it owes is for sale
    assert all(min(held[n].notes, held[n].renewal) <= needed[n] <= held[n].notes for n in good)
    for n in sorted(good, key=lambda n: (-held[n].total, n))[: plan.geometry.n]:
        assert held[n].total - held[n].notes + needed[n] >= min(held[n].total, plan.per_issuer)


def at_the_edge() -> tuple[Trading, Order]:
    """A node that holds 150 MiB of a bad issuer's notes, and its bid to sell them for a good one's."""
    machine = Trading()
    machine.held[OTHERS[0]] = 150
    machine.believed = {OTHERS[0]: 0.8, OTHERS[1]: 0.9}
    machine.dealers.look()
    (order,) = [o for o in machine.floor.orders_of("trader") if o.gives == Quality(OTHERS[0], KIND)]
    return machine, order


def deal_at_the_edge(machine: Trading, order: Order, number: int, given_: int = 90) -> str:
    draft = draft_of(order, given_, OTHERS[1], machine.edge(order, given_))
    refused = done(machine.dealers.last_look(draft, 0, DraftId(number.to_bytes(32, "big"))))
    return "" if refused is None else refused.detail


def test_what_a_crash_hid_counts_as_lost_and_days_add_up_to_the_month() -> None:
    machine, order = at_the_edge()
    for number in range(2):  # nine tenths of what a day may lose, and nearly half of what a month may
        assert deal_at_the_edge(machine, order, number) == ""
        done(machine.dealers.deals.settle(DraftId(number.to_bytes(32, "big"))))
        machine.clock.advance(DAY)
    assert "used up" in deal_at_the_edge(machine, order, 9)
    machine, order = at_the_edge()
    assert deal_at_the_edge(machine, order, 1) == ""
    machine.dealers = machine.new()  # and the swap knows nothing of the draft
    done(machine.dealers.start())
    machine.dealers.look()
    assert not machine.dealers.deals.running()
    assert "used up" in deal_at_the_edge(machine, order, 2)
    machine.clock.advance(DAY)
    assert deal_at_the_edge(machine, order, 2) == ""


def test_the_same_notes_are_not_promised_twice() -> None:
    machine, order = at_the_edge()
    assert deal_at_the_edge(machine, order, 1, given_=90) == ""
    assert "promised already" in deal_at_the_edge(machine, order, 2, given_=61)


def test_notes_of_one_who_is_not_counted_on_are_for_sale_while_his_mint_is_there() -> None:
    counted, bad, silent = OTHERS
    owed = {node: Held(node, Quantity(100), Quantity(0)) for node in OTHERS}
    assert stock_of(owed, {counted}, {bad}) == {counted: 100, bad: 100}
    assert silent not in stock_of(owed, {counted}, {bad})
