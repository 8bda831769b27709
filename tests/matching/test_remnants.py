"""A market in which everything is executed fills with remnants of a few units; they must not slow down everybody."""

from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.matching.bids import Bid, Pattern, Ratio
from nanobarter.matching.book import Book
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.quantities import comes_round
from nanobarter.matching.rules import OWN
from nanobarter.matching.search import Search

caps = st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9))
rings = st.lists(st.tuples(caps, st.integers(1, 5)), min_size=2, max_size=4)


def exists(ring: list[tuple[Ratio | None, int]]) -> bool:
    """Some whole quantities, each at least 1, keep all stocks and bounds."""
    for ys in product(*(range(1, stock + 1) for _, stock in ring)):
        xs = (ys[-1], *ys[:-1])
        if all(cap is None or y * cap[1] <= x * cap[0] for (cap, _), x, y in zip(ring, xs, ys, strict=True)):
            return True
    return False


@given(rings)
def test_a_ring_that_can_be_executed_is_never_left_out(ring: list[tuple[Ratio | None, int]]) -> None:
    if exists(ring):
        assert comes_round(ring)


@given(rings)
def test_in_small_stocks_a_ring_that_comes_to_nothing_is_told(ring: list[tuple[Ratio | None, int]]) -> None:
    """Stocks of up to 5 come to rest within the rounds that are made, or nearly always: rest is exact."""
    if comes_round(ring) and all(stock == 1 for _, stock in ring):
        assert exists(ring)


def anchors_bid(random: Random, name: int, *, quantity: int = 10_000) -> Bid:
    wants, gives = random.sample(range(20), 2)
    omega = round(random.uniform(0.67, 1.99) * 10_000), 10_000
    return Bid(name, f"o{random.randrange(100)}", True, f"q{gives}", Pattern(f"q{wants}"), *omega, quantity, name)


def test_cycles_through_a_remnant_are_left_before_they_are_whole() -> None:
    """One unit stands at a tempting price, and the bid that asks gives less than a unit for a unit."""
    random, book = Random(1), Book()
    for name in range(2000):
        book.insert(anchors_bid(random, name, quantity=1))
    own = Bid(10**6, "me", True, "q0", Pattern("q1"), 9, 10, 10_000, 10**6)
    search = Search(book, own, OWN)
    assert len(list(search.cycles())) <= 1  # the one to which the bounds lead straight
    assert not search.cut
    assert search.steps < 1000


def test_a_growing_market_looks_at_few_partial_cycles() -> None:
    """When all that can be is executed, what is left has no cycle that pays, and a search soon knows that."""
    random, market = Random(2), Clearing()
    for name in range(800):
        market.submit(anchors_bid(random, name))
    assert not market.cut
    assert market.steps < 10 * 800
    assert market.spoiled < 8
