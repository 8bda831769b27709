"""Chains that carry a few whole units only, and whether anything of them can come round the ring."""

from collections.abc import Sequence
from functools import cached_property

from nanobarter.matching.bids import PAR, Bid
from nanobarter.matching.cycle import leg_of
from nanobarter.matching.index import Index, Side
from nanobarter.matching.levels import UNIT
from nanobarter.matching.quantities import comes_round
from nanobarter.matching.rules import Rules

REMNANT = 8  # units; a chain that carries as many or more is not looked at, since it rarely comes to nothing
_ABOVE = 1 + 2**-40  # lifts a power of two in double precision above its true value


class Remnants:
    """What one search knows of chains in which something is nearly used up.

    Whole units make a difference there: one unit through a bid that gives 1.9 for 1 is still one unit, and through
    one that gives 0.9 it is none. Bounds on real quantities see nothing of that, so a single unit that stands at a
    tempting price would draw thousands of chains after it which all have no whole quantities in the end.
    """

    def __init__(self, own: Bid, rules: Rules, index: Index, side: Side) -> None:
        self._own, self._rules, self._index, self._side = own, rules, index, side

    def comes_round(self, bids: Sequence[Bid], most: int, after: int) -> bool:
        """Tell whether whole units may still come round through these bids, of which the last gives at most so many.

        The ``after`` bids that are still to be found are taken to be as generous as any in the book.
        """
        through = self._grown(most, after)
        if through is None:
            return True
        own = leg_of(self._own, self._own.wants.bonus, floors=self._rules.floors)
        ring = [(own.cap, own.stock)]
        given = self._own.gives
        for bid in bids:
            leg = leg_of(bid, bid.wants.accepts(given) or PAR, floors=self._rules.floors)
            ring.append((leg.cap, leg.stock))
            given = bid.gives
        return comes_round([*ring, (None, through)] if after else ring)

    def _grown(self, most: int, after: int) -> int | None:
        """Return the most that so many units can become over so many bids more, or None when that is not bounded."""
        if after and self._index.unlimited.levels.count:
            return None
        for _ in range(after):
            most = int(most * self._most_generous)
        return most

    @cached_property
    def _most_generous(self) -> float:
        """What no bid of the book gives more than for a unit."""
        return 2.0 ** (self._side.levels.heaviest() / UNIT) * _ABOVE
