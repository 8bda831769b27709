"""In a market of hundreds of qualities rounds are made only where they are asked for; no ring may get lost by that."""

from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.rules import Rules
from nanobarter.matching.search import Search

QUALITIES = 300
FAMILY = Pattern("9d:", any_issuer=True, refused=frozenset({"3", "4"}))


def a_bid(name: int, random: Random, *, families: bool) -> Bid:
    wanted, given = random.sample(range(QUALITIES), 2)
    wants = FAMILY if families and name % 20 == 0 else Pattern(f"9d:{wanted}")
    omega = (random.randint(500, 1500), 1000)
    return Bid(name, f"o{random.randrange(200)}", True, f"9d:{given}", wants, *omega, 10_000, name)


def best_by_trying(bids: list[Bid], own: Bid, partners: int) -> Fraction | None:
    """Return the greatest Omega of a ring of so many, by going through them all."""
    rings = [(own,)]
    best: Fraction | None = None
    for _ in range(partners - 1):
        rings = [
            (*ring, bid)
            for ring in rings
            for bid in bids
            if bid.owner != ring[-1].owner and bid.wants.accepts(ring[-1].gives)
        ]
        for ring in rings:
            if ring[-1].owner != own.owner and own.wants.accepts(ring[-1].gives):
                omega = Fraction(1)
                for bid in ring:
                    omega *= Fraction(bid.provided, bid.required)
                best = omega if best is None else max(best, omega)
    return best if best is None or best >= 1 else None


@pytest.mark.parametrize("partners", [2, 3])
@pytest.mark.parametrize("families", [False, True])
def test_the_best_ring_is_that_of_going_through_all(partners: int, families: bool) -> None:  # noqa: FBT001 - a case
    random, found = Random(partners), 0
    bids = [a_bid(name, random, families=families) for name in range(1000)]
    book = Book()
    for bid in bids:
        book.insert(bid)
    rules = Rules(partners_max=partners, ends_from=10**6)  # by tables
    for number in range(40):
        own = a_bid(2000 + number, random, families=False)
        if number % 2:  # one that closes a ring with a bid of the book
            other = random.choice(bids[1:20])
            gives = "9d:7" if other.wants.any_issuer else other.wants.text
            own = Bid(own.id, own.owner, True, gives, Pattern(other.gives), 1500, 1000, 10_000, own.age)
        cycle = next(Search(book, own, rules).cycles(), None)
        assert (None if cycle is None else cycle.omega) == best_by_trying(bids, own, partners)
        if cycle is not None:
            found += 1
            ring = [own, *cycle.bids]
            assert all(after.wants.accepts(before.gives) for before, after in pairwise(ring))
        if number % 10 == 0:  # what goes and comes has to be seen
            gone = bids.pop(random.randrange(len(bids)))
            book.withdraw(gone.id)
            bids.append(a_bid(3000 + number, random, families=families))
            book.insert(bids[-1])
    assert found > 10
