"""Chains of bids that are known to be the best, kept with what they were found by."""

from collections.abc import Sequence
from math import prod

from msgspec import Struct

from nanobarter.matching.bids import Bid, Ratio
from nanobarter.matching.cycle import leg_of
from nanobarter.matching.levels import Level
from nanobarter.matching.quantities import Leg


class Chain(Struct, frozen=True, eq=False):
    """The best chain from a vertex to a want, where nothing else can be as good: tops of levels that are distinct."""

    levels: tuple[Level, ...]
    bids: tuple[Bid, ...]
    legs: tuple[Leg, ...]
    bound: float
    product: Ratio

    @property
    def stands(self) -> bool:
        """The bids are still the tops of their levels."""
        for level, bid in zip(self.levels, self.bids, strict=True):  # noqa: SIM110 - half the time of all()
            if level.bids[0] is not bid:
                return False
        return True


def chain_over(levels: Sequence[Level], bound: float) -> Chain | None:
    """Return the chain over the tops of these levels, of so much weight; None when a level is among them twice."""
    if len(set(levels)) < len(levels):
        return None
    bids = tuple(level.bids[0] for level in levels)
    above, below = prod(bid.provided for bid in bids), prod(bid.required for bid in bids)
    return Chain(tuple(levels), bids, tuple(leg_of(bid) for bid in bids), bound, (above, below))
