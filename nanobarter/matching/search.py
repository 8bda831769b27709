"""Cycles through one bid, the best first.

Best-first over partial chains of bids. What a chain may still reach is bounded by a table (``index.Table``) made in
a few array rounds over the tops of levels, so the cost does not depend on how many bids stand behind a top. Bounds
are logarithms rounded up; whether one cycle is better than another is decided on exact ratios. Chains that the
bounds cannot tell from the best cycle found are compared with exact bounds, so that a book full of equal offers does
not have to be walked through.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from nanobarter.matching.bids import Bid, Ratio
from nanobarter.matching.book import Book
from nanobarter.matching.chains import Chain
from nanobarter.matching.cycle import Cycle, cycle_of, leg_of, times
from nanobarter.matching.ends import NOTHING
from nanobarter.matching.index import Index, Side
from nanobarter.matching.levels import NONE, UNSURE, Level, Row, Weights, weight_above, weight_below, weight_of
from nanobarter.matching.partial import Entry, Fan, Partial, Step
from nanobarter.matching.remnants import REMNANT, Remnants
from nanobarter.matching.rules import Rules
from nanobarter.matching.table import Table

LEVELS_PER_STEP = 64  # opening a row with more levels that may matter counts as more steps: it holds a list of them
_SLACK_PER_BID = 4.0  # units by which rounding may lift one bid's weight above another's of the same worth, and spare


@dataclass
class Search:
    """One search. ``cut`` tells, once it is over, whether a bound kept it from seeing every cycle."""

    book: Book
    own: Bid
    rules: Rules
    cut: bool = field(default=False, init=False)
    steps: int = field(default=0, init=False)

    def cycles(self) -> Iterator[Cycle]:
        """Yield the cycles that close through the own bid, in the order of preference.

        Those with Omega < 1 are left out when a limit bid is among them: it would not accept them.
        """
        index = self.book.index()
        yield from _Side(self, index, index.every, at_par=True).cycles()
        if not self.own.limit and not self.cut:
            yield from _Side(self, index, index.unlimited, at_par=False).cycles()


class _Side:
    """The search among the bids of one side: at_par those cycles with Omega >= 1, else those below."""

    def __init__(self, search: Search, index: Index, side: Side, *, at_par: bool) -> None:
        self._search = search
        self._rules = search.rules
        self._own = search.own
        self._index = index
        self._side = side
        self._at_par = at_par
        self._heap: list[Entry] = []
        self._later: list[Entry] = []
        self._found: list[tuple[Any, int, float, Cycle]] = []
        self._count = 0
        self._tries = 0
        self._exact: dict[tuple[int, int], Ratio] = {}
        self._remnants = Remnants(search.own, search.rules, index, side)

    def cycles(self) -> Iterator[Cycle]:
        """Yield the cycles of this side, the best first."""
        start = self._index.vertex(self._own.gives)
        if self._side.levels.count == 0:
            return
        longest = min(self._rules.partners_max - 1, self._side.levels.count)
        own, best = weight_of(self._own), None
        if self._at_par and self._index.vertices >= self._rules.ends_from:
            walk = self._index.walk(self._side, self._own.wants, longest, start, -own)
            if walk is NOTHING:
                return
            best = (
                None if walk is None else self._closed(self._index.chain_along(self._side, walk, self._own.wants), own)
            )
            if best is not None:
                yield best
        yield from self._by_table(longest, start, own, best)

    def _by_table(self, longest: int, start: int, own: float, best: Cycle | None) -> Iterator[Cycle]:
        """Yield the cycles in order, but not the best one again if that is known already."""
        self._table: Table = self._index.table(self._side, self._own.wants, longest, start)
        if self._at_par and best is None:
            best = self._closed(self._index.best_chain(self._side, self._table, start), own)
            if best is not None:
                yield best
        for after, values in enumerate(self._table.values[1:], 1):
            bound = own + float(values[start])
            if bound > NONE and (bound >= 0 or not self._at_par):
                self._push(bound, after + 1, (), Partial((), own, start, after, self._own.quantity))
        for cycle in self._in_order():
            if best is None or cycle.bids != best.bids:
                yield cycle
            self._tries += 1
            if self._tries == self._rules.tries_max:
                self._search.cut = True
                break

    def _in_order(self) -> Iterator[Cycle]:
        """Look at what is on the heap, and yield a found cycle as soon as nothing left can come before it."""
        while self._heap:
            while self._found and self._heap and self._found[0][2] > -self._heap[0][0]:
                yield self._emitted()
            if not self._heap:
                break
            if self._search.steps >= self._rules.steps_max:
                self._search.cut = True
                break
            self._search.steps += 1
            self._look(*heappop(self._heap))
            while self._found and not self._heap:
                yield self._emitted()
        while self._found:
            yield self._emitted()

    def _closed(self, chain: Chain | None, own: float) -> Cycle | None:
        """Return the cycle that the best chain makes with the own bid, or None where it does not close.

        In a large book it mostly does, and then it is the best cycle: nothing else comes near it.
        """
        if chain is None or own + chain.bound < UNSURE or not self._may_close(chain.bids):
            return None
        self._search.steps += 1
        discount = self._own.wants.accepts(chain.bids[-1].gives)
        if discount is None or not self._rules.floors:
            return cycle_of((*chain.bids, self._own), self._rules)
        leg = leg_of(self._own, discount)
        return Cycle((*chain.bids, self._own), (*chain.legs, leg), times(chain.product, leg.omega))

    def _may_close(self, bids: Sequence[Bid]) -> bool:
        owner, before, free, own = self._own.owner, self._own.owner, self._rules.self_trade, self._own.id
        for bid in bids:
            if (bid.owner == before and not free) or bid.id == own:
                return False
            before = bid.owner
        return free or before != owner

    def _emitted(self) -> Cycle:
        cycle = heappop(self._found)[3]
        self._heap += self._later
        self._later.clear()
        heapify(self._heap)
        return cycle

    def _push(self, bound: float, partners: int, tie: tuple[Any, ...], what: object) -> None:
        self._count += 1
        heappush(self._heap, (-bound, partners, tie, self._count, what))

    def _look(self, bound: float, partners: int, tie: tuple[Any, ...], count: int, what: Any) -> None:
        if isinstance(what, Partial):
            self._expand(what)
        elif isinstance(what, Fan):
            self._fan(what)
        elif self._found and self._worse(what, partners, tie):
            self._later.append((bound, partners, tie, count, what))
        else:
            self._take(what, partners)

    def _expand(self, chain: Partial) -> None:
        """Open the rows by which a chain may go on."""
        values: Weights = self._table.values[chain.after - 1]
        for row in self._index.rows_for(chain.vertex):
            levels, weights, targets = self._side.levels.rows[row].in_order()
            if not levels:
                continue
            bounds = weights + values[targets]
            bounds += chain.weight
            kept = (bounds >= 0 if self._at_par else bounds > NONE).nonzero()[0]
            if len(kept):
                self._search.steps += len(kept) // LEVELS_PER_STEP
                bounds = bounds[kept]
                order = (-bounds).argsort(kind="stable")
                self._fan(Fan(chain, [levels[i] for i in kept[order].tolist()], bounds[order].tolist(), 0))

    def _fan(self, fan: Fan) -> None:
        """Put the next levels of equal bound on the heap, and the rest of the fan after them."""
        partners = len(fan.chain.bids) + fan.chain.after + 1
        place, tie = fan.next, fan.chain.tie
        while place < len(fan.bounds) and fan.bounds[place] == fan.bounds[fan.next]:
            level = fan.levels[place]
            if level.bids:
                self._push(fan.bounds[place], partners, (*tie, level.bids[0].seniority), Step(fan.chain, level, 0))
            place += 1
        self._search.steps += place - fan.next - 1
        if place < len(fan.bounds):
            self._push(fan.bounds[place], partners, tie, Fan(fan.chain, fan.levels, fan.bounds, place))

    def _take(self, step: Step, partners: int) -> None:
        """Try a bid as the next of a chain, and leave its successor in the level on the heap."""
        chain, level, bid = step.chain, step.level, step.level.bids[step.place]
        rest = float(self._table.values[chain.after - 1][level.gives])
        if step.place + 1 < len(level.bids):
            following = level.bids[step.place + 1]
            bound = chain.weight + weight_of(following) + rest
            if bound >= 0 or not self._at_par:
                self._push(bound, partners, (*chain.tie, following.seniority), Step(chain, level, step.place + 1))
        if not self._fits(chain, bid):
            return
        given = chain.bids[-1].gives if chain.bids else self._own.gives
        discount = bid.wants.accepts(given)
        if discount is None:
            return
        leg = leg_of(bid, discount, floors=self._rules.floors)
        most = leg.stock if leg.cap is None else min(leg.stock, chain.most * leg.cap[0] // leg.cap[1])
        if most == 0:
            return  # nothing whole would come through
        if most < REMNANT and not self._remnants.comes_round((*chain.bids, bid), most, chain.after - 1):
            return
        weight = chain.weight + weight_above((bid.provided, bid.required)) + weight_above(discount)
        longer = Partial((*chain.bids, bid), weight, level.gives, chain.after - 1, most)
        bound = weight + rest
        if self._at_par and bound < 0:
            return
        if longer.after:
            self._push(bound, partners, longer.tie, longer)
        else:
            self._close(longer)

    def _fits(self, chain: Partial, bid: Bid) -> bool:
        if bid.id == self._own.id or any(bid is other for other in chain.bids):
            return False
        if self._rules.self_trade:
            return True
        before = chain.bids[-1] if chain.bids else self._own
        return bid.owner != before.owner and (chain.after > 1 or bid.owner != self._own.owner)

    def _close(self, chain: Partial) -> None:
        cycle = cycle_of((*chain.bids, self._own), self._rules)
        if (cycle.omega >= 1) == self._at_par:
            self._count += 1
            low = weight_below((cycle.omega.numerator, cycle.omega.denominator))
            heappush(self._found, (cycle.rank, self._count, low, cycle))

    def _worse(self, step: Step, partners: int, tie: tuple[Any, ...]) -> bool:
        """Tell whether, by exact bounds, no cycle through the step can come before the best one found."""
        best = self._found[0][3]
        above, below = self._reach(step.level.gives, step.chain.after - 1)
        most, least = self._own.provided * above * best.product[1], self._own.required * below * best.product[0]
        for bid in step.chain.bids:  # whole numbers: fractions would be reduced each time
            most, least = times((most, least), _most_of(bid))
        most, least = times((most, least), _most_of(step.level.bids[step.place]))
        if most != least:
            return most < least
        return (partners, tie) > (len(best.bids), tuple(bid.seniority for bid in best.bids))

    def _reach(self, vertex: int, after: int) -> Ratio:
        """Return an exact bound of the product of so many bids from a vertex to the own want, not reduced."""
        key = (vertex, after)
        if key not in self._exact:
            self._exact[key] = self._reached(vertex, after)
        return self._exact[key]

    def _reached(self, vertex: int, after: int) -> Ratio:
        if after == 0:
            return self._own.wants.accepts(self._index.texts[vertex]) or (0, 1)
        best: Ratio = (0, 1)
        for row in self._index.rows_for(vertex):
            for level in self._leading(self._side.levels.rows[row], vertex, after):
                found = times(_most_of(level.bids[0]), self._reach(level.gives, after - 1))
                if found[0] * best[1] > best[0] * found[1]:
                    best = found
        return best

    def _leading(self, row: Row, vertex: int, after: int) -> Iterable[Level]:
        """Return the levels of a row over which the best chain of so many bids from a vertex may lead."""
        if after == 1 and not self._own.wants.any_issuer:
            return row.giving(self._index.vertex(self._own.wants.text))
        levels, weights, targets = row.in_order()
        enough = float(self._table.values[after][vertex]) - _SLACK_PER_BID * (after + 1)
        values: Weights = self._table.values[after - 1]
        return [levels[place] for place in (weights + values[targets] >= enough).nonzero()[0].tolist()]


def _most_of(bid: Bid) -> Ratio:
    """Return the most that a bid gives for a unit, whatever it receives."""
    if not bid.wants.discounts:
        return (bid.provided, bid.required)
    return times((bid.provided, bid.required), bid.wants.bonus)
