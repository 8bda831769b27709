"""What a best-first search has still to look at: chains of bids that do not close yet, and the steps they may take."""

from typing import Any

from msgspec import Struct

from nanobarter.matching.bids import Bid
from nanobarter.matching.levels import Level


class Partial(Struct, frozen=True, eq=False):
    """Bids taken so far, from the one that receives from the own bid on; the own bid itself is the empty chain."""

    bids: tuple[Bid, ...]
    weight: float
    vertex: int
    """What the last bid gives."""
    after: int
    """How many more bids the chain shall have."""
    most: int
    """The most that the last bid can give in whole units, held by the stocks and bounds of those before it."""

    @property
    def tie(self) -> tuple[Any, ...]:
        """Return what decides between chains of equal bounds, the smallest first."""
        return tuple(bid.seniority for bid in self.bids)


class Fan(Struct, frozen=True, eq=False):
    """The levels of one row by which a chain may go on, from place ``next`` on by falling bound."""

    chain: Partial
    levels: list[Level]
    bounds: list[float]
    next: int


class Step(Struct, frozen=True, eq=False):
    """A chain with the bid at ``place`` of a level as its next one, not yet looked at."""

    chain: Partial
    level: Level
    place: int


Entry = tuple[float, int, tuple[Any, ...], int, Any]
"""What waits on the heap: the bound negated, partners, seniority so far, a running number, and what to look at."""
