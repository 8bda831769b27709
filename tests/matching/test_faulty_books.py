"""Strangers write the bids: one that brings out a bug of the levels may cost itself, and not the book of a daemon."""

from collections.abc import Iterator

import pytest

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.index import Index
from nanobarter.matching.levels import Level
from nanobarter.matching.rounds import Levels
from nanobarter.matching.rules import Rules
from nanobarter.matching.search import Search

CULPRIT = 7
OWN = Bid(99, "me", True, "9d:a", Pattern("9d:b"), 1, 1, 100, 99)


def a_bid(name: int, wants: str, gives: str, *, quantity: int = 100) -> Bid:
    # Best bids stand in both sides of an index: what fails in the second has been put into the first.
    return Bid(name, f"o{name}", False, gives, Pattern(wants), 1, 1, quantity, name)


def honest() -> Iterator[Bid]:
    yield a_bid(1, "9d:a", "9d:b")
    yield a_bid(2, "9d:a", "9d:c")
    yield a_bid(3, "9d:c", "9d:b")
    yield Bid(4, "o4", True, "9d:b", Pattern("9d:a"), 1, 1, 100, 4)


def rings(book: Book) -> list[tuple[int | str | bytes, ...]]:
    return [tuple(bid.id for bid in cycle.bids) for cycle in Search(book, OWN, Rules()).cycles()]


@pytest.fixture
def book() -> Book:
    made = Book()
    for bid in honest():
        made.insert(bid)
    assert len(rings(made)) == 3
    return made


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the levels fail over the culprit when it stands in the first of an index's two sides already."""
    insert, remove, seen = Levels.insert, Levels.remove, set[int]()

    def half(side: Levels, bid: Bid, row: int, gives: int) -> None:
        if bid.id == CULPRIT and seen:
            seen.clear()
            raise IndexError("a bug")
        seen.update([1] if bid.id == CULPRIT else [])
        insert(side, bid, row, gives)

    def half_out(side: Levels, bid: Bid, row: int, gives: int) -> None:
        if bid.id == 2 and side.count < 4:
            raise IndexError("a bug")
        remove(side, bid, row, gives)

    monkeypatch.setattr(Levels, "insert", half)
    monkeypatch.setattr(Levels, "remove", half_out)


def is_as_before(book: Book) -> bool:
    fresh = Book()
    for bid in book:
        fresh.insert(bid)
    return rings(book) == rings(fresh) and CULPRIT not in book


@pytest.mark.usefixtures("bug")
def test_a_bid_that_fails_midway_is_left_out_and_the_book_goes_on(book: Book) -> None:
    with pytest.raises(IndexError):
        book.insert(a_bid(CULPRIT, "9d:a", "9d:b"))
    assert len(book) == 4
    assert is_as_before(book)
    book.insert(a_bid(5, "9d:a", "9d:b"))
    assert len(rings(book)) == 4
    assert not book.withdraw(CULPRIT)


@pytest.mark.usefixtures("bug")
def test_a_version_that_fails_midway_takes_the_one_before_along(book: Book) -> None:
    book.withdraw(4)
    rings(book)
    with pytest.raises(IndexError):
        book.insert(a_bid(2, "9d:a", "9d:c", quantity=50))
    assert 2 not in book
    assert is_as_before(book)


@pytest.mark.usefixtures("bug")
def test_one_that_is_found_to_fail_when_the_levels_are_made_fails_one_search_only() -> None:
    book = Book()
    for bid in (*honest(), a_bid(CULPRIT, "9d:a", "9d:b")):
        book.insert(bid)
    with pytest.raises(IndexError):
        rings(book)
    assert len(rings(book)) == 3
    assert is_as_before(book)


def test_what_was_out_of_the_book_for_a_search_that_fails_is_in_it_again(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Level:
        raise IndexError("a bug")

    def search() -> None:
        with book.without(1, 3):
            rings(book)

    old = book.index()
    with monkeypatch.context() as patch:
        patch.setattr(Index, "table", broken)
        with pytest.raises(IndexError):
            search()
    assert book.index() is not old
    assert {bid.id for bid in book} == {1, 2, 3, 4}
    assert len(rings(book)) == 3


@pytest.mark.usefixtures("bug")
def test_what_cannot_be_taken_out_for_a_search_is_still_in_the_book(book: Book) -> None:
    book.withdraw(4)
    rings(book)
    with pytest.raises(IndexError), book.without(1, 2, 3):
        pytest.fail("the search must not begin")
    assert {bid.id for bid in book} == {1, 2, 3}
    assert is_as_before(book)
