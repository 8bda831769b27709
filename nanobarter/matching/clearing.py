"""A market in one place: bids come in one after the other, and all that can be executed is."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book
from nanobarter.matching.cycle import Cycle, quantities_of
from nanobarter.matching.rules import OWN, Rules


@dataclass(frozen=True, slots=True)
class Agreement:
    """An executed cycle: ``given[i]`` is what ``cycle.bids[i]`` gave to the next bid of the ring."""

    cycle: Cycle
    given: tuple[int, ...]


@dataclass
class Clearing:
    """A book, and the rules under which submitted bids are matched against it.

    ``cut`` becomes true when a bound kept any search from seeing every cycle; ``steps`` counts the partial cycles
    that were looked at, and ``spoiled`` the whole ones that had no whole quantities.
    """

    rules: Rules = OWN
    book: Book = field(default_factory=Book)
    cut: bool = False
    steps: int = 0
    spoiled: int = 0

    def submit(self, bid: Bid) -> list[Agreement]:
        """Execute the best cycle through a bid until none is left, then put what remains of it into the book.

        Every agreement uses up one bid at least, so this ends. While it is searched for, the bid is not in the
        book: among the others there is no cycle left that is worth while, so chains that go round get worse, and
        the bounds of a search lie close to what it can find. With the new bid among them a walk that takes it
        twice would promise twice its surplus.
        """
        self.book.withdraw(bid.id)
        agreements, moved = list[Agreement](), 0
        while bid.quantity > 0 and (agreement := self._best(bid)) is not None:
            moved += len(agreement.given)
            if self.rules.movements_max is not None and moved > self.rules.movements_max:
                break
            for each, given in zip(agreement.cycle.bids[:-1], agreement.given[:-1], strict=True):
                self.book.replace_quantity(each.id, each.quantity - given)
            bid = replace(bid, quantity=bid.quantity - agreement.given[-1])
            agreements.append(agreement)
        self.book.insert(bid)
        return agreements

    def _best(self, own: Bid) -> Agreement | None:
        from nanobarter.matching.search import Search  # noqa: PLC0415 - numpy loads at the first search

        search, found = Search(self.book, own, self.rules), None
        for cycle in search.cycles():
            if (given := quantities_of(cycle, self.rules)) is not None:
                found = Agreement(cycle, given)
                break
            self.spoiled += 1
        self.cut |= search.cut
        self.steps += search.steps
        return found
