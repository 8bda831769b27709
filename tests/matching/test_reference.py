"""A matcher that misses the best cycle or trades below a limit cheats somebody; the slow and obvious one judges."""

from fractions import Fraction

import pytest

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.clearing import Clearing
from tests.matching.books import random_book
from tests.matching.campaign import differs, fast
from tests.matching.reference import every_cycle, omega_of


@pytest.mark.parametrize("part", range(8))
def test_random_books_come_out_as_by_enumeration(part: int) -> None:
    assert [problem for seed in range(part * 25, part * 25 + 25) if (problem := differs(seed))] == []


def test_the_random_books_dwell_on_the_edges() -> None:
    omegas = [omega for seed in range(60) for omega in fast(random_book(seed))[1]]
    lengths = [len(agreed) for seed in range(60) for agreed in fast(random_book(seed))[0]]
    assert min(omegas) < 1 < max(omegas)
    assert omegas.count(Fraction(1)) > 10
    assert max(lengths) > 3


def test_the_reference_sees_every_cycle() -> None:
    ring = [Bid(i, f"o{i}", True, f"q{i}", Pattern(f"q{(i + 1) % 4}"), 1, 1, 1, i) for i in range(4)]
    assert [len(cycle) for cycle in every_cycle(ring, ring[3], 8)] == [4]
    assert list(every_cycle(ring, ring[3], 3)) == []
    pool = [Bid(i, f"o{i}", True, f"9d:q{i}", Pattern("9d:", any_issuer=True), 1, 1, 1, i) for i in range(4)]
    assert sorted(len(cycle) for cycle in every_cycle(pool, pool[3], 8)) == [2] * 3 + [3] * 6 + [4] * 6
    assert omega_of(ring[::-1]) == 1


def test_the_result_does_not_depend_on_the_order_of_equal_objects() -> None:
    for seed in range(20):
        bids = random_book(seed)
        market = Clearing()
        for bid in reversed(bids):
            market.book.insert(bid)
            market.book.withdraw(bid.id)
        assert [a.given for bid in bids for a in market.submit(bid)] == [
            tuple(quantity for _, quantity in agreed) for agreed in fast(bids)[0]
        ]
