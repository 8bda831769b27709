"""A quote that the book does not keep, or a bid that yields another agreement than was shown, misleads its reader."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.quotes import Couple, Proposal, Unmet, offer, quote, wish
from nanobarter.matching.rates import Rates
from tests.matching.books import random_book


def a_bid(name: int, wants: str, gives: str, omega: tuple[int, int], quantity: int) -> Bid:
    return Bid(name, f"o{name}", True, gives, Pattern(wants), *omega, quantity=quantity, age=name)


def book_of(*bids: Bid) -> Book:
    book = Book()
    for bid in bids:
        book.insert(bid)
    return book


BOOK = (
    a_bid(1, "a", "b", (2, 1), 100),
    a_bid(2, "a", "b", (3, 1), 60),
    a_bid(3, "a", "m", (5, 1), 100),
    a_bid(4, "m", "b", (4, 5), 1000),
)


def test_a_quote_lists_the_best_price_first_and_reserves_nothing() -> None:
    book = book_of(*BOOK)
    seen = quote(book, Pattern("b"), "a", owner="me")
    assert seen.couples == (Couple(80, 20), Couple(60, 20), Couple(100, 50))
    assert not seen.cut
    assert quote(book, Pattern("b"), "a", owner="me") == seen
    assert quote(book, Pattern("b"), "nothing", owner="me").couples == ()
    assert [bid.quantity for bid in book] == [100, 60, 100, 1000]


def test_a_quote_does_not_count_on_ones_own_bids() -> None:
    assert quote(book_of(BOOK[0]), Pattern("b"), "a", owner="o1").couples == ()


@given(st.integers(0, 400))
def test_a_quoted_couple_can_be_had(seed: int) -> None:
    market = Clearing()
    for bid in random_book(seed):
        market.submit(bid)
    wants, gives = Pattern("", any_issuer=True), "30d:a"
    couples = quote(market.book, wants, gives, owner="me").couples
    if couples:
        best = couples[0]
        bid = Bid(99, "me", True, gives, wants, best.given, best.received, quantity=best.given, age=99)
        agreements = market.submit(bid)
        assert sum(agreed.given[-1] for agreed in agreements) <= best.given
        for agreed in agreements:
            assert agreed.given[-1] * best.received <= agreed.given[-2] * best.given


def test_an_offer_is_the_best_chain_at_what_it_asks() -> None:
    found = offer(book_of(*BOOK), Pattern("b"), "a", owner="me")
    assert found is not None
    assert [bid.id for bid in found.chain] == [3, 4]
    assert found.product == 4
    assert found.couple == Couple(80, 20)
    assert offer(book_of(), Pattern("b"), "a", owner="me") is None


@pytest.mark.parametrize(("received", "omega"), [(None, None), (20, None), (40, Fraction(1, 2)), (30, Fraction(2, 5))])
def test_the_solved_bid_yields_the_agreement_that_was_shown(received: int | None, omega: Fraction | None) -> None:
    book = book_of(*BOOK)
    found = offer(book, Pattern("b"), "a", owner="me")
    assert found is not None
    proposal = found.proposal(9, received=received, omega=omega)
    assert proposal is not None
    wished = Fraction(1, 4) if omega is None else omega
    assert proposal.couple == Couple(received or 80, round((received or 80) * wished))
    (agreed,) = Clearing(book=book).submit(proposal.bid)
    assert (agreed.cycle.bids, agreed.given) == (proposal.cycle.bids, proposal.given)
    efforts = [effort.ratio for effort in proposal.efforts]
    assert efforts == [pytest.approx(float(1 / (4 * wished)) ** 0.5)] * 2


def test_an_omega_that_asks_too_much_of_the_others_has_no_agreement() -> None:
    found = offer(book_of(*BOOK), Pattern("b"), "a", owner="me")
    assert found is not None
    assert found.proposal(9, omega=Fraction(1, 5)) is None
    with pytest.raises(ValueError, match="not between 1 and the offer's 80"):
        found.proposal(9, received=81)
    with pytest.raises(ValueError, match="an omega is positive"):
        found.proposal(9, omega=Fraction(0))


wished = st.none() | st.fractions(Fraction(1, 4), 4, max_denominator=20)


@given(st.integers(0, 400), st.none() | st.integers(1, 50), wished)
def test_a_wish_that_is_met_comes_true(seed: int, received: int | None, omega: Fraction | None) -> None:
    market = Clearing()
    for bid in random_book(seed):
        market.submit(bid)
    met = wish(market.book, Pattern("", any_issuer=True), "30d:a", 99, owner="me", received=received, omega=omega)
    if isinstance(met, Proposal):
        first = market.submit(met.bid)[0]
        assert (first.cycle.bids, first.given) == (met.cycle.bids, met.given)


def test_a_wish_is_carried_by_the_first_chain_that_can() -> None:
    """One unit is left at the best price, too few for a bid at the next price to trade with; the next chain serves."""
    book = book_of(a_bid(1, "a", "b", (9, 10), 1), a_bid(2, "a", "b", (4, 5), 50))
    found = offer(book, Pattern("b"), "a", owner="me")
    assert found is not None
    assert [bid.id for bid in found.chain] == [1]
    met = wish(book, Pattern("b"), "a", 9, owner="me", received=20)
    assert isinstance(met, Proposal)
    assert ([bid.id for bid in met.cycle.bids], met.couple) == ([2, 9], Couple(20, 25))


def test_why_a_wish_is_not_met_is_told() -> None:
    book = book_of(*BOOK)
    assert wish(book, Pattern("b"), "a", 9, owner="me", received=101) == Unmet(3, 100, forestalled=False)
    assert wish(book, Pattern("b"), "a", 9, owner="me", received=90) == Unmet(3, 100, forestalled=True)
    assert wish(book, Pattern("b"), "a", 9, owner="me", omega=Fraction(1, 5)) == Unmet(3, 100, forestalled=False)
    assert wish(book_of(), Pattern("b"), "a", 9, owner="me") == Unmet(0, 0, forestalled=False)


def test_rates_are_kept_by_unordered_pair() -> None:
    market, rates = Clearing(), Rates(pairs_max=1)
    market.submit(a_bid(1, "x", "y", (2, 1), 10))
    for name, quantity in ((2, 2), (3, 3)):
        for agreed in market.submit(a_bid(name, "y", "x", (1, 2), quantity)):
            rates.observe(agreed)
    seen = rates.get("y", "x")
    assert seen == rates.get("x", "y")
    assert seen is not None
    assert (seen.first_sum, seen.second_sum, seen.mean, seen.agreements, seen.last) == (5, 10, 2, 2, 2)
    other = Clearing()
    other.submit(a_bid(1, "x", "z", (1, 1), 1))
    for agreed in other.submit(a_bid(2, "z", "x", (1, 1), 1)):
        rates.observe(agreed)
    assert [(rate.first, rate.second) for rate in rates.every()] == [("x", "z")]
