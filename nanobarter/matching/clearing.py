"""A market in one place: bids come in one after the other, and all that can be executed is."""

from dataclasses import dataclass, field

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

    ``cut`` becomes true when a bound kept any search from seeing every cycle.
    """

    rules: Rules = OWN
    book: Book = field(default_factory=Book)
    cut: bool = False

    def submit(self, bid: Bid) -> list[Agreement]:
        """Put a bid into the book and execute the best cycle through it until none is left.

        Every agreement uses up one bid at least, so this ends.
        """
        self.book.insert(bid)
        agreements, moved = list[Agreement](), 0
        while (own := self.book.get(bid.id)) is not None:
            agreement = self._best(own)
            if agreement is None:
                break
            moved += len(agreement.given)
            if self.rules.movements_max is not None and moved > self.rules.movements_max:
                break
            for each, given in zip(agreement.cycle.bids, agreement.given, strict=True):
                self.book.replace_quantity(each.id, each.quantity - given)
            agreements.append(agreement)
        return agreements

    def _best(self, own: Bid) -> Agreement | None:
        from nanobarter.matching.search import Search  # noqa: PLC0415 - numpy loads at the first search

        search = Search(self.book, own, self.rules)
        for cycle in search.cycles():
            if (given := quantities_of(cycle, self.rules)) is not None:
                self.cut |= search.cut
                return Agreement(cycle, given)
        self.cut |= search.cut
        return None
