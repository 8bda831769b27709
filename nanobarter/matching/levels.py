"""The book as a search sees it: levels of bids that want and give the same, and the weight of the best of each.

Vertices are qualities, and hubs: a want for any issuer is one row of levels at its hub, not one for each quality
that fits. Row ``v`` holds the levels whose bids accept the quality (or the family of qualities) ``v``.

A weight is the base-2 logarithm of a ratio in units of 2^-36, rounded up to an integer and kept in a float: sums of
64 of them are exact, and never below the true logarithm. They serve to leave things out; what is left is decided
with exact ratios.
"""

from bisect import bisect_left
from math import ceil, floor, gcd, log2

import numpy as np
import numpy.typing as npt

from nanobarter.matching.bids import Bid, Pattern, Ratio

Weights = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

NONE = float("-inf")
UNIT = 2.0**36  # 124 bits of magnitude, 64 bids and 36 bits below the point fit the 53 bits of a double
_NOISE = 1 / 64  # log2 of integers below 2^1000 is wrong by less than this many units
UNSURE = 256.0  # units: sums of 64 weights whose true sums are equal differ by less
_EMPTY_MAX = 32  # so many emptied levels may stay in a row before it is packed


def weight_above(ratio: Ratio) -> float:
    """Return an integer of units not below the logarithm of the ratio, and equal to it for powers of two."""
    exact, x = _logarithm(*ratio)
    return x if exact else float(ceil(x + _NOISE))


def weight_below(ratio: Ratio) -> float:
    """Return an integer of units not above the logarithm of the ratio, and equal to it for powers of two."""
    exact, x = _logarithm(*ratio)
    return x if exact else float(floor(x - _NOISE))


def _logarithm(above: int, below: int) -> tuple[bool, float]:
    common = gcd(above, below)
    above, below = above // common, below // common
    if above & (above - 1) == 0 and below & (below - 1) == 0:
        return True, (above.bit_length() - below.bit_length()) * UNIT
    return False, (log2(above) - log2(below)) * UNIT


class Level:
    """The bids of one row that give the same under the same pattern, the best first, then the oldest."""

    __slots__ = ("bids", "gives", "pattern", "slot")

    def __init__(self, pattern: Pattern, gives: int, slot: int) -> None:
        self.pattern = pattern
        self.gives = gives
        self.slot = slot
        self.bids = list[Bid]()

    @property
    def weight(self) -> float:
        """The most that a step through this level can add to a logarithm."""
        return NONE if not self.bids else weight_of(self.bids[0])

    def place_of(self, bid: Bid) -> int:
        """Return where the bid stands."""
        return bisect_left(self.bids, bid)


def weight_of(bid: Bid) -> float:
    """Return the most that this bid can add to a logarithm, whatever it receives."""
    weight = weight_above((bid.provided, bid.required))
    return weight if not bid.wants.discounts else weight + weight_above(bid.wants.bonus)


class Row:
    """The levels whose bids accept one vertex. Weights and targets stand in arrays by slot."""

    __slots__ = ("_found", "_sorted", "_special", "levels", "targets", "weights")

    def __init__(self) -> None:
        self.levels = list[Level]()
        self.weights: Weights = np.empty(0)
        self.targets: Places = np.empty(0, np.intp)
        self._found = dict[object, Level]()
        self._special = dict[int, list[Level]]()
        """The levels that refuse or discount issuers, by what they give."""
        self._sorted: tuple[list[Level], Weights, Places] | None = None

    def find(self, pattern: Pattern, gives: int) -> Level | None:
        """Return the level of this pattern and gift, if there is one."""
        return self._found.get(gives if pattern.plain else (pattern, gives))

    def giving(self, gives: int) -> list[Level]:
        """Return the levels that give this and have bids."""
        plain = self._found.get(gives)
        found = self._special.get(gives, []) if self._special else []
        return [level for level in (found if plain is None else [plain, *found]) if level.bids]

    def heaviest_giving(self, gives: int) -> float:
        """Return the weight of the heaviest level that gives this."""
        return max((float(self.weights[level.slot]) for level in self.giving(gives)), default=NONE)

    def make(self, pattern: Pattern, gives: int) -> Level:
        """Return a new level, still empty."""
        slot = len(self.levels)
        level = Level(pattern, gives, slot)
        self._found[gives if pattern.plain else (pattern, gives)] = level
        if not pattern.plain:
            self._special.setdefault(gives, []).append(level)
        self.levels.append(level)
        if slot == len(self.weights):
            room = max(4, slot)
            self.weights = np.concatenate((self.weights, np.full(room, NONE)))
            self.targets = np.concatenate((self.targets, np.zeros(room, np.intp)))
        self.targets[slot] = gives
        return level

    def set_weight(self, level: Level, weight: float) -> None:
        """Note a level's new weight."""
        self.weights[level.slot] = weight
        self._sorted = None

    def in_order(self) -> tuple[list[Level], Weights, Places]:
        """Return levels, weights and targets by falling weight, emptied levels left out."""
        if self._sorted is None:
            size = len(self.levels)
            order = np.argsort(-self.weights[:size], kind="stable")
            weights = self.weights[order]
            live = int(np.count_nonzero(weights > NONE))
            levels = self.levels
            self._sorted = ([levels[i] for i in order[:live].tolist()], weights[:live], self.targets[order[:live]])
            if size - live > max(_EMPTY_MAX, live):
                self._pack()
        return self._sorted

    def _pack(self) -> None:
        levels, weights, targets = self.in_order()
        self.levels, self.weights, self.targets = list(levels), weights.copy(), targets.copy()
        self._found = {(each.gives if each.pattern.plain else (each.pattern, each.gives)): each for each in levels}
        self._special.clear()
        for slot, level in enumerate(levels):
            level.slot = slot
            if not level.pattern.plain:
                self._special.setdefault(level.gives, []).append(level)
