"""At stake: a simulated day that is cleared sooner must come out as it would have."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import BidId
from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.network import find
from nanobarter.sim.economy.chances import PARTNERS_MAX, Chances

NAMES = tuple(f"30d:{number:064x}" for number in range(5))


def wants(text: str, *, of_any: bool) -> Pattern:
    return Pattern("30d:", any_issuer=True) if of_any else Pattern(text)


@st.composite
def books(draw: st.DrawFn) -> Book:
    book = Book()
    for number in range(draw(st.integers(2, 14))):
        gives, wanted = draw(st.permutations(range(5)))[:2]
        owner = bytes([draw(st.integers(0, 4))]) * 32
        pattern = wants(NAMES[wanted], of_any=draw(st.integers(0, 7)) == 0)
        provided, required = draw(st.sampled_from([(1, 1), (3, 2), (2, 3), (9, 10), (1, 2)]))
        quantity = draw(st.integers(1, 60))
        book.insert(
            Bid(BidId(bytes([number]) * 16), owner, True, NAMES[gives], pattern, provided, required, quantity, number)
        )
    return book


@given(books(), st.integers(0, 13))
def test_what_is_called_hopeless_is_not_found(book: Book, gone: int) -> None:
    chances = Chances(book)
    for bid in book:
        chances.add(bid)
    book.withdraw(BidId(bytes([gone]) * 16))
    for bid in list(book):
        found = find(book, BidId(bid.id if isinstance(bid.id, bytes) else b""), partners_max=PARTNERS_MAX)
        assert found is None or not chances.is_hopeless(bid)


def test_a_price_without_takers_is_hopeless_and_one_with_a_ring_is_not() -> None:
    book, chances = Book(), None
    rows = [(0, 1, (1, 2)), (1, 2, (1, 1)), (2, 0, (1, 1)), (2, 0, (2, 1))]
    chances = Chances(book)
    for number, (gives, wanted, ratio) in enumerate(rows):
        owner = bytes([number]) * 32
        bid = Bid(BidId(bytes([number]) * 16), owner, True, NAMES[gives], Pattern(NAMES[wanted]), *ratio, 50, number)
        book.insert(bid)
        chances.add(bid)
    told = [chances.is_hopeless(bid) for bid in book]
    assert told == [False, False, True, False]
    book.withdraw(BidId(bytes([3]) * 16))
    assert all(chances.is_hopeless(bid) for bid in book)
