"""openBarter 2.1.0 lost or mispriced trades in known ways; each of them is one test that shows what we do instead."""

from fractions import Fraction

import pytest

from nanobarter.matching.bids import Bid, Pattern, Ratio
from nanobarter.matching.book import Book
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.quantities import Leg, flow
from nanobarter.matching.rules import OWN, Rules
from nanobarter.matching.search import Search


def leg(owner: str, omega: Ratio, stock: int, *, limit: bool = True) -> Leg:
    return Leg(owner, omega, omega if limit else None, stock)


def a_bid(name: int, wants: str, gives: str, omega: Ratio = (1, 1), **changes: object) -> Bid:
    bid = Bid(name, f"o{name}", True, gives, Pattern(wants), *omega, quantity=100, age=name)
    return bid if not changes else Bid(**{**{key: getattr(bid, key) for key in Bid.__struct_fields__}, **changes})  # pyright: ignore[reportArgumentType]


def test_owners_are_counted_by_who_they_are_not_by_where_they_stand() -> None:
    """In a cycle A, A, B, B the surplus of 16 is parted in two halves of 4, each in two parts of 2."""
    legs = [leg(owner, (2, 1), 1000, limit=False) for owner in "AABB"]
    assert flow(legs) == (1000, 1000, 1000, 1000)
    legs = [leg("A", (16, 1), 1000, limit=False), *(leg(owner, (1, 1), 10**6, limit=False) for owner in "ABB")]
    # omega' is 8, 1/2, 1/2, 1/2: the quantities are 1000, 500, 250, 125
    assert flow(legs) == (1000, 500, 250, 125)


def test_every_bid_beyond_the_eighth_is_rounded_by_itself() -> None:
    """openBarter gave bid 8 the rounding bit of bid 0, bid 9 that of bid 1."""
    stocks = [1000, *([10**6] * 9)]
    omegas: list[Ratio] = [(1, 1), (3, 7), (7, 3), (5, 11), (11, 5), (2, 3), (3, 2), (9, 10), (13, 11), (110, 117)]
    given = flow([leg(f"o{i}", w, s, limit=False) for i, (w, s) in enumerate(zip(omegas, stocks, strict=True))])
    assert given is not None
    real = [Fraction(1000)]
    for above, below in omegas[1:]:
        real.append(real[-1] * Fraction(above, below))
    assert all(abs(y - x) <= Fraction(1, 2) for x, y in zip(real, given, strict=True))
    assert given[8] - int(real[8]) != given[0] - int(real[0])


@pytest.mark.parametrize("number", [3, 10, 49, 103, 107, 161, 187, 10**9 + 7])
def test_a_limit_exactly_met_is_met(number: int) -> None:
    """(1/49) * 49 is below 1 in doubles; as ratios it is 1."""
    market = Clearing()
    market.submit(a_bid(1, "x", "y", (1, number), quantity=7))
    (agreement,) = market.submit(a_bid(2, "y", "x", (number, 1), quantity=10**12))
    assert agreement.cycle.omega == 1
    assert agreement.given == (7, 7 * number)


def test_a_limit_missed_by_the_least_is_missed() -> None:
    market = Clearing()
    market.submit(a_bid(1, "x", "y", (10**18, 10**18 + 1)))
    assert market.submit(a_bid(2, "y", "x")) == []


def test_nothing_zero_is_chosen_where_the_next_angle_serves() -> None:
    """openBarter chose the nearest vector first and dropped the cycle when it held a zero."""
    legs = [leg("A", (3, 10), 10, limit=False), leg("B", (10, 3), 1, limit=False)]
    given = flow(legs)
    assert given is not None
    assert given[1] == 1
    legs = [leg("A", (1, 5), 1000, limit=False), leg("B", (5, 1), 2, limit=False)]
    assert flow(legs) == (1, 2)


def test_a_cycle_set_aside_comes_back_when_quantities_allow_it() -> None:
    """A cycle without whole quantities is not forgotten: it is looked at again for every later bid."""
    market = Clearing()
    market.submit(a_bid(1, "x", "y", (3, 2), quantity=1))
    assert market.submit(a_bid(2, "y", "x", (2, 3), quantity=100)) == []
    market.book.replace_quantity(1, 3)
    again = market.book.get(2)
    assert again is not None
    assert [each.given for each in market.submit(again)] == [(3, 2)]


def test_a_fan_of_thousands_of_chains_is_not_truncated() -> None:
    """openBarter silently kept 1,024 paths; the best one here is the last of 40,000."""
    book = Book()
    for i in range(200):
        book.insert(a_bid(i + 1, "a", f"m{i}", (100 + i, 100)))
        book.insert(a_bid(i + 1001, f"m{i}", "b", (100 + i, 100)))
        book.insert(a_bid(i + 2001, f"m{i}", f"m{(i + 1) % 200}", (101, 100)))
    own = a_bid(5000, "b", "a")
    book.insert(own)
    search = Search(book, own, Rules(partners_max=3))
    best = next(search.cycles())
    assert [bid.id for bid in best.bids] == [200, 1200, 5000]
    assert not search.cut


def test_a_search_that_was_cut_short_says_so() -> None:
    book = Book()
    for i in range(60):
        book.insert(a_bid(i + 1, "a", "b", (3, 2), quantity=1))
    own = a_bid(100, "b", "a", (2, 3), quantity=1)
    book.insert(own)
    search = Search(book, own, Rules(steps_max=5))
    assert len(list(search.cycles())) < 60
    assert search.cut
    market = Clearing(Rules(steps_max=1), book)
    market.submit(own)
    assert market.cut


def test_a_bid_that_is_used_up_leaves_the_book() -> None:
    market = Clearing()
    market.submit(a_bid(1, "x", "y"))
    market.submit(a_bid(2, "y", "x"))
    assert len(market.book) == 0
    assert market.book.index().every.levels.count == 0
    assert market.submit(a_bid(3, "y", "x")) == []


def test_a_best_bid_does_not_trade_below_its_floor() -> None:
    """openBarter had no floor and traded at Omega 0.25."""
    offer = a_bid(2, "y", "x", (1, 4), limit=False)
    for floor, agreements in ((None, 1), ((2, 1), 1), ((3, 2), 0)):
        market = Clearing(OWN)
        market.submit(a_bid(1, "x", "y", limit=False, floor=floor))
        assert len(market.submit(offer)) == agreements
