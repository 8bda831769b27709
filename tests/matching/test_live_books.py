"""Books that change between searches find what new books of the same bids find, where tables are made in part only."""

from random import Random

import pytest

from nanobarter.matching import index, rounds
from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.rules import Rules
from nanobarter.matching.search import Search

FAMILY = Pattern("7d:", any_issuer=True, refused=frozenset({"3"}))
EVERY = 10**9


def book_of(bids: list[Bid]) -> Book:
    book = Book()
    for bid in bids:
        book.insert(bid)
    return book


def best(book: Book, own: Bid, partners: int) -> list[tuple[int | str | bytes, ...]]:
    """Return the three best rings, found by tables."""
    cycles = Search(book, own, Rules(partners_max=partners, ends_from=EVERY)).cycles()
    return [tuple(bid.id for bid in cycle.bids) for cycle, _ in zip(cycles, range(3), strict=False)]


@pytest.fixture(autouse=True)
def _tables_in_part(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    monkeypatch.setattr(index, "_SPARSE_FROM", 3)
    monkeypatch.setattr(rounds, "_SQUARE_FROM", 3)
    monkeypatch.setattr(rounds, "_SMALL", 0)


@pytest.mark.parametrize("partners", [4, 5, 8])
def test_a_new_bid_opens_a_way_that_leads_home_only_by_as_many_bids_as_a_ring_may_have(partners: int) -> None:
    way = [f"30d:way{n}" for n in range(partners - 2)]
    slow = [f"30d:slow{n}" for n in range(partners - 2)]
    steps = [
        ("30d:wanted", "30d:near", 1000),
        ("30d:near", "30d:start", 1000),
        *((to, at, 2000) for at, to in zip(way, (*way[1:], "30d:wanted"), strict=True)),  # two for one, all along
        *((to, at, 900) for at, to in zip(("30d:start", *slow), (*slow, "30d:wanted"), strict=True)),
    ]
    bids = [
        Bid(n, f"o{n}", True, gives, Pattern(wants), omega, 1000, 10**6, n)
        for n, (gives, wants, omega) in enumerate(steps)
    ]
    bids.append(Bid(90, "o90", True, "30d:near", FAMILY, 1000, 1000, 10**6, 90))
    own = Bid(91, "o91", True, "30d:start", Pattern("30d:wanted"), 1000, 1000, 10**6, 91)
    book = book_of(bids)
    assert best(book, own, partners)[0] == (1, 0, 91)
    bids.append(Bid(92, "o92", True, "30d:way0", Pattern("30d:start"), 2000, 1000, 10**6, 92))
    book.insert(bids[-1])
    found = best(book, own, partners)
    assert len(found[0]) == partners
    assert found[0][0] == 92
    assert found == best(book_of(bids), own, partners)


class _Market:
    """A small random book in which bids come and go, some of them for families of qualities."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.qualities = [f"{self.random.choice([7, 30])}d:{i}" for i in range(self.random.randint(6, 14))]
        self.families = self.random.choice([0, 0.05, 0.2])
        self.bids = dict[int, Bid]()
        self.book = Book()
        self._count = 0
        for _ in range(self.random.randint(6, 25)):
            self.add()

    def bid(self) -> Bid:
        """Return a new bid."""
        random, self._count = self.random, self._count + 1
        wanted, given = random.sample(self.qualities, 2)
        wants = Pattern(wanted)
        if random.random() < self.families:
            wants = Pattern(wanted.partition(":")[0] + ":", any_issuer=True, refused=frozenset({"3"}))
        omega = random.choice([500, 900, 1000, 1300, 2000])
        owner, limit = f"o{random.randrange(30)}", random.random() < 0.8
        return Bid(self._count, owner, limit, given, wants, omega, 1000, 10**6, self._count)

    def add(self) -> None:
        """Take in a new bid."""
        bid = self.bid()
        self.bids[bid.id] = bid  # pyright: ignore[reportArgumentType] - its id is a number
        self.book.insert(bid)

    def change(self) -> None:
        """Let a bid come or go."""
        if self.bids and self.random.random() < 0.45:
            gone = self.random.choice(list(self.bids))
            del self.bids[gone]
            self.book.withdraw(gone)
        else:
            self.add()


@pytest.mark.parametrize(("partners", "books"), [(2, 5), (3, 8), (4, 25), (5, 6), (8, 2)])
def test_a_book_finds_what_a_new_one_of_the_same_bids_finds(
    partners: int, books: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = 0
    for seed in range(books):
        market = _Market(seed)
        owns = [market.bid() for _ in range(2)]
        for _ in range(12):
            for own in owns:
                live = best(market.book, own, partners)
                found += bool(live)
                with monkeypatch.context() as patch:
                    patch.setattr(index, "_SPARSE_FROM", EVERY)
                    assert live == best(book_of([*market.bids.values()]), own, partners), seed
            market.change()
    assert found > books
