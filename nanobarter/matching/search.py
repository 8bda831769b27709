"""Cycles through one bid, the best first."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book
from nanobarter.matching.cycle import Cycle, cycle_of
from nanobarter.matching.rules import Rules


@dataclass
class Search:
    """One search. ``cut`` tells, once it is over, whether a bound kept it from seeing every cycle."""

    book: Book
    own: Bid
    rules: Rules
    cut: bool = field(default=False, init=False)

    def cycles(self) -> Iterator[Cycle]:
        """Yield every cycle of the book that closes through the own bid, in the order of preference."""
        bids = [bid for bid in self.book if bid.id != self.own.id]
        takers = {give: [b for b in bids if b.wants.accepts(give)] for give in {b.gives for b in (*bids, self.own)}}
        found, steps = list[Cycle](), 0
        stack: list[tuple[Bid, ...]] = [(self.own,)]
        while stack:
            path = stack.pop()
            steps += 1
            if steps > self.rules.steps_max:
                self.cut = True
                break
            for bid in takers[path[-1].gives]:
                if bid in path or not self._trades(path[-1], bid):
                    continue
                longer = (*path, bid)
                if self.own.wants.accepts(bid.gives) and self._trades(bid, self.own):
                    found.append(cycle_of((*longer[1:], self.own)))
                if len(longer) < self.rules.partners_max:
                    stack.append(longer)
        yield from sorted(found, key=lambda cycle: cycle.rank)

    def _trades(self, giver: Bid, taker: Bid) -> bool:
        return self.rules.self_trade or giver.owner != taker.owner
