"""Whatever the bids, the market may not make or lose a unit, nor move one against its owner's word."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.quantities import Leg, flow, product
from tests.matching import reference

ratios = st.one_of(
    st.sampled_from([(1, 1), (2, 1), (1, 2), (1, 49), (49, 1), (10**18, 10**18 - 1)]),
    st.tuples(st.integers(1, 2**62), st.integers(1, 2**62)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
stocks = st.one_of(st.integers(1, 30), st.integers(1, 10**18))
qualities = st.sampled_from(["9d:a", "9d:b", "9d:c", "8d:a"])
patterns = st.one_of(
    qualities.map(Pattern),
    st.builds(
        Pattern,
        st.sampled_from(["9d:", "8d:", ""]),
        st.just(value=True),
        st.frozensets(st.sampled_from("abc"), max_size=2),
        st.dictionaries(st.sampled_from("abc"), ratios, max_size=2).map(lambda table: tuple(sorted(table.items()))),
    ),
)


@st.composite
def books(draw: st.DrawFn, size_max: int = 14) -> list[Bid]:
    def one(i: int) -> Bid:
        omega = draw(ratios)
        return Bid(
            i,
            draw(st.sampled_from("opqr")),
            draw(st.booleans()),
            draw(qualities),
            draw(patterns),
            *omega,
            quantity=draw(stocks),
            age=draw(st.sampled_from([0, i])),
            floor=draw(st.none() | ratios),
        )

    return [one(i) for i in range(draw(st.integers(1, size_max)))]


@given(books())
def test_the_laws_of_a_market(bids: list[Bid]) -> None:
    market = Clearing()
    stock = {bid.id: bid.quantity for bid in bids}
    for bid in bids:
        for agreed in market.submit(bid):
            cycle, quantities = agreed.cycle.bids, agreed.given
            assert cycle[-1].id == bid.id
            assert len({each.id for each in cycle}) == len(cycle) <= 8
            assert min(quantities) >= 1, "a zero leg"
            assert reference.holds(cycle, quantities), "a limit or floor is broken"
            assert agreed.cycle.omega == reference.omega_of(cycle)
            assert agreed.cycle.omega >= 1 or not any(each.limit for each in cycle)
            for before, each, quantity in zip((cycle[-1], *cycle[:-1]), cycle, quantities, strict=True):
                assert before.owner != each.owner, "a trade with oneself"
                assert each.wants.accepts(before.gives)
                stock[each.id] -= quantity
                assert stock[each.id] >= 0, "a stock below zero"
            assert any(stock[each.id] == 0 for each in cycle), "nothing is used up"
    left = {bid.id: market.book.get(bid.id) for bid in bids}
    assert stock == {name: 0 if bid is None else bid.quantity for name, bid in left.items()}, "units made or lost"


@given(books(size_max=7))
def test_no_cycle_is_left_when_a_submission_ends(bids: list[Bid]) -> None:
    market = Clearing()
    for bid in bids:
        market.submit(bid)
        own = market.book.get(bid.id)
        if own is None or market.cut:
            continue
        for cycle in reference.every_cycle(list(market.book), own, 8):
            assert reference.quantities(cycle) is None


@given(books(size_max=8))
def test_withdrawn_and_expired_bids_are_as_if_they_had_never_been(bids: list[Bid]) -> None:
    plain, other = Book(), Book()
    other.index()
    for i, bid in enumerate(bids):
        other.insert(bid)
        if i % 3:
            plain.insert(bid)
        if i % 3 == 0:
            assert other.withdraw(bid.id)
            assert not other.withdraw(bid.id)
    assert list(plain) == list(other)
    last = replace(bids[0], id=99)
    assert Clearing(book=plain).submit(last) == Clearing(book=other).submit(last)


@given(st.lists(st.tuples(ratios, stocks, st.sampled_from("opqrstuv")), min_size=2, max_size=10))
def test_a_flow_uses_up_a_stock_and_stays_within_one_of_the_real_one(
    legs: list[tuple[tuple[int, int], int, str]],
) -> None:
    ring = [Leg(owner, omega, None, stock) for omega, stock, owner in legs]
    y = flow(ring)
    if y is None:
        return
    assert all(1 <= given <= leg.stock for given, leg in zip(y, ring, strict=True))
    assert any(given == leg.stock for given, leg in zip(y, ring, strict=True))
    if len({leg.owner for leg in ring}) == len(ring) and product(ring) == 1:
        for given, received, leg in zip(y, (y[-1], *y[:-1]), ring, strict=True):
            assert Fraction(given - 1) <= Fraction(received + 1) * Fraction(*leg.omega)
            assert Fraction(given + 1) >= Fraction(received - 1) * Fraction(*leg.omega)


def test_the_result_does_not_depend_on_hash_seeds() -> None:
    """Two nodes with the same bids must come to the same agreements, whatever their interpreter's hash seed."""
    program = (
        "from tests.matching.books import random_book\nfrom tests.matching.campaign import fast\n"
        "print([fast(random_book(seed)) for seed in range(60)])"
    )
    root = Path(__file__).resolve().parents[2]
    outcomes = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(outcomes) == 1
