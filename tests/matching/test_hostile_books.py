"""Strangers fill the book; whatever they put in, one search stays within its steps and says when it stopped early."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.quantities import Leg, flow
from nanobarter.matching.rounding import SOLVES_MAX
from nanobarter.matching.rules import OWN, Rules
from nanobarter.matching.search import Search

BYTES_PER_STEP = 2560
"""What docs/spec/matching.md declares; 1,928 were measured at most."""
BYTES_PER_LEVEL = 8192
ANY = Pattern("9d:", any_issuer=True)


def a_bid(i: int, wants: Pattern, gives: str, *, omega: tuple[int, int] = (1, 1), quantity: int = 100) -> Bid:
    return Bid(i, f"o{i % 50}", True, gives, wants, *omega, quantity=quantity, age=i)


def equal_offers() -> Iterator[Bid]:
    """All at par, everybody wants anything: more cycles than atoms."""
    for i in range(600):
        yield a_bid(i, ANY, f"9d:{i % 40}")


def equal_ratios() -> Iterator[Bid]:
    """All at 21/20: the longest cycles are the best ones, and all of them are equal."""
    for i in range(600):
        yield a_bid(i, Pattern(f"9d:{i * 7 % 40}"), f"9d:{(i * 11 + i // 40) % 40}", omega=(21, 20))


def huge_fan() -> Iterator[Bid]:
    for i in range(3000):
        yield a_bid(i, Pattern("9d:0"), f"9d:m{i}", omega=(1000 + i % 17, 1000))


def deep_chain() -> Iterator[Bid]:
    for i in range(3000):
        yield a_bid(i, Pattern(f"9d:{i}"), f"9d:{i + 1}", omega=(3, 2))


def tiny_quantities() -> Iterator[Bid]:
    """Every cycle is worth while, and none has whole quantities."""
    for i in range(400):
        yield a_bid(i, Pattern(f"9d:{i % 3}"), f"9d:{(i + 1) % 3}", omega=(10**6 + i, 10**6 - 1), quantity=1)


def vast_quantities() -> Iterator[Bid]:
    for i in range(300):
        yield a_bid(i, ANY, f"9d:{i % 20}", omega=(10**18 - i, 10**18 - 7 * i - 1), quantity=10**18 - i)


def wide_pool() -> Iterator[Bid]:
    """Everybody accepts anything and gives one unit of his own, nearly at par: 1,500 ways on from each bid."""
    for i in range(1500):
        yield a_bid(i, ANY, f"9d:m{i}", omega=(10**6 + i * 7919 % 1000, 10**6 - 1), quantity=1)


def one_owner() -> Iterator[Bid]:
    for i in range(3000):
        yield a_bid(50 * i, Pattern("9d:0"), "9d:1", omega=(2 * 10**4 - i, 10**4))


every_book = pytest.mark.parametrize(
    "hostile",
    [equal_offers, equal_ratios, huge_fan, deep_chain, tiny_quantities, vast_quantities, wide_pool, one_owner],
    ids=lambda each: each.__name__,
)


@every_book
def test_a_search_in_a_hostile_book_keeps_to_its_memory(hostile: Callable[[], Iterator[Bid]]) -> None:
    """What a search holds grows with its steps alone, whatever the book; counted by the allocator, not by a clock."""
    steps_max = 600
    book = Book()
    for bid in hostile():
        book.insert(bid)
    own = Bid(10**6, "me", True, "9d:0", ANY, 1, 1, 10**6, 10**6)
    next(Search(book, own, Rules(steps_max=1)).cycles(), None)  # the levels and the tables are the book's
    search = Search(book, own, Rules(steps_max=steps_max))
    tracemalloc.start()
    try:
        for tried, _ in enumerate(search.cycles()):
            if tried == 50:
                break
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= BYTES_PER_STEP * (steps_max + len(book))


def test_a_book_holds_so_much_for_a_bid() -> None:
    """A stranger's bids may each be a level of their own in a family of qualities; that is the dearest kind."""
    bids = list(wide_pool())
    tracemalloc.start()
    try:
        book = Book()
        for bid in bids:
            book.insert(bid)
        before = tracemalloc.get_traced_memory()[0]
        next(Search(book, bids[0], Rules(steps_max=1)).cycles(), None)
        levels = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert before <= 1_000 * len(bids)
    assert levels - before <= BYTES_PER_LEVEL * len(bids)


@every_book
def test_a_search_in_a_hostile_book_keeps_to_its_steps(hostile: Callable[[], Iterator[Bid]]) -> None:
    book = Book()
    for bid in hostile():
        book.insert(bid)
    for own in (
        Bid(10**6, "me", True, "9d:0", ANY, 1, 1, 10**6, 10**6),
        Bid(10**6, "o0", False, "9d:0", Pattern("9d:1"), 1, 1, 10**6, 10**6),
    ):
        search = Search(book, own, Rules(steps_max=2000))
        first = next(search.cycles(), None)
        assert search.steps <= 2000 + len(book)
        assert first is None or first.omega > 0


def test_a_book_of_equal_offers_needs_no_cut() -> None:
    """The common book of this network: all at par. The oldest partner is found at once."""
    book = Book()
    for bid in equal_offers():
        book.insert(bid)
    own = Bid(10**6, "me", True, "9d:new", ANY, 1, 1, 10**6, 10**6)
    search = Search(book, own, OWN)
    assert [bid.id for bid in next(search.cycles()).bids] == [0, 10**6]
    assert not search.cut
    assert search.steps < 2000


def test_equal_cycles_of_eight_are_told_apart_without_seeing_all() -> None:
    book = Book()
    for bid in equal_ratios():
        book.insert(bid)
    own = Bid(10**6, "me", True, "9d:0", Pattern("9d:1"), 1, 1, 10**6, 10**6)
    search = Search(book, own, OWN)
    assert len(next(search.cycles()).bids) == 8
    assert not search.cut


def test_the_rounding_of_a_cycle_of_64_is_bounded() -> None:
    legs = [Leg(f"o{i}", (1000 + i, 1031), (1000 + i, 1030), 10**3 + 13 * i) for i in range(64)]
    given = flow(legs)
    assert given is None or len(given) == 64
    free = [Leg(f"o{i % 9}", (10**17 + i, 10**17 + 3), None, 10**18 - i) for i in range(64)]
    assert flow(free) is not None
    assert SOLVES_MAX <= 256


def test_clearing_ends_when_every_bid_can_trade_with_every_other() -> None:
    market = Clearing(Rules(steps_max=500))
    agreements = [agreed for i, bid in enumerate(equal_offers()) if i < 120 for agreed in market.submit(bid)]
    assert len(agreements) <= 120
