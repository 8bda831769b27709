"""Books that take in new qualities between searches."""

import pytest

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.rounds import DENSE_MAX
from nanobarter.matching.rules import Rules
from nanobarter.matching.search import Search

OTHERS = Pattern("9d:", any_issuer=True, refused=frozenset({"0"}))


def a_bid(name: int, gives: int, wants: Pattern | int, omega: int = 1000) -> Bid:
    wanted = wants if isinstance(wants, Pattern) else Pattern(f"9d:{wants}")
    return Bid(name, f"o{name}", True, f"9d:{gives}", wanted, omega, 1000, 10_000, name)


def best(book: Book, own: Bid) -> tuple[int | str | bytes, ...] | None:
    """Return the best ring, found by tables."""
    cycle = next(Search(book, own, Rules(ends_from=10**6)).cycles(), None)
    return None if cycle is None else tuple(bid.id for bid in cycle.bids)


@pytest.mark.parametrize("families", [False, True])
@pytest.mark.parametrize(("before", "after"), [(80, 300), (DENSE_MAX - 100, DENSE_MAX + 100)])
def test_what_has_come_since_a_search_may_be_given_for_what_was_there(
    before: int,
    after: int,
    families: bool,  # noqa: FBT001 - a case
) -> None:
    book, own = Book(), a_bid(1, 3, 7)
    book.insert(a_bid(2, 7, 3))
    for name in range(10, before):
        book.insert(a_bid(name, name, name - 1, 900))
    if families:
        book.insert(a_bid(5, 4, OTHERS, 900))
    assert best(book, own) == (2, 1)
    for name in range(before, after):  # each gives what nobody gave before, for what was wanted before
        book.insert(a_bid(name, name, 3, 3000))
        if name % 100 == 0:
            assert best(book, own) == (2, 1)
    book.insert(a_bid(3, 7, after - 1))
    assert best(book, own) == (after - 1, 3, 1)
    book.withdraw(3)
    assert best(book, own) == (2, 1)
