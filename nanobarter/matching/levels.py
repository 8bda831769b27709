"""The book as a search sees it: levels of bids that want and give the same, and the weight of the best of each.

Vertices are qualities, and hubs: a want for any issuer is one row of levels at its hub, not one for each quality
that fits. Row ``v`` holds the levels whose bids accept the quality (or the family of qualities) ``v``.

A weight is the base-2 logarithm of a ratio in units of 2^-36, rounded up to an integer and kept in a float: sums of
64 of them are exact, and never below the true logarithm. They serve to leave things out; what is left is decided
with exact ratios.
"""

from bisect import bisect_left, insort
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
WIDTH_MAX = 128  # levels of a row that are kept in the matrix; longer rows are looked through when it matters
STAGE = 16  # the best levels of a row usually decide a round
_MANY = 4  # one in so many columns left open makes the next stage worth while for all
_SMALL = 4096  # a matrix of this size is done before a staged round has made its tests
CHANGES_MAX = 256  # a table that missed more changes of tops than this is made anew
DENSE_MAX = 2048  # vertices for which a square of weights is kept too: 32 MiB
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

    __slots__ = ("_found", "_sorted", "levels", "targets", "weights")

    def __init__(self) -> None:
        self.levels = list[Level]()
        self.weights: Weights = np.empty(0)
        self.targets: Places = np.empty(0, np.intp)
        self._found = dict[object, Level]()
        self._sorted: tuple[list[Level], Weights, Places] | None = None

    def find(self, pattern: Pattern, gives: int) -> Level | None:
        """Return the level of this pattern and gift, if there is one."""
        return self._found.get(gives if pattern.plain else (pattern, gives))

    def make(self, pattern: Pattern, gives: int) -> Level:
        """Return a new level, still empty."""
        slot = len(self.levels)
        level = Level(pattern, gives, slot)
        self._found[gives if pattern.plain else (pattern, gives)] = level
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
        for slot, level in enumerate(levels):
            level.slot = slot


class Levels:
    """All levels of one kind of bids, and the round of a layered search over them."""

    def __init__(self) -> None:
        self.rows = list[Row]()
        self.changes = list[tuple[int, int, float]]()
        """The last changes of levels' tops: row, target, and the greater of the weights before and after."""
        self.forgotten = 0
        """How many earlier changes are no longer in the list."""
        self.count = 0
        self._special = 0
        self._into: Weights = np.empty((0, 0))
        self._dirty = set[int]()
        self._weights: Weights = np.empty((0, 0))
        self._targets: Places = np.empty((0, 0), np.intp)
        self._long: Places = np.empty(0, np.intp)

    def grow(self, vertices: int) -> None:
        """Have a row for each vertex."""
        while len(self.rows) < vertices:
            self._dirty.add(len(self.rows))
            self.rows.append(Row())

    def insert(self, bid: Bid, row: int, gives: int) -> None:
        """Put a bid into its level."""
        level = self.rows[row].find(bid.wants, gives)
        if level is None:
            level = self.rows[row].make(bid.wants, gives)
            self._special += not bid.wants.plain
        insort(level.bids, bid)
        self.count += 1
        if level.bids[0] is bid:
            self._changed(row, level)

    def remove(self, bid: Bid, row: int, gives: int) -> None:
        """Take a bid out of its level. It must be there."""
        level = self.rows[row].find(bid.wants, gives)
        if level is None:
            raise KeyError(bid.id)
        place = level.place_of(bid)
        del level.bids[place]
        self.count -= 1
        if place == 0:
            self._changed(row, level)

    def swap(self, old: Bid, new: Bid, row: int, gives: int) -> None:
        """Put a bid in the place of one that stands in the same order."""
        level = self.rows[row].find(old.wants, gives)
        if level is None:
            raise KeyError(old.id)
        level.bids[level.place_of(old)] = new

    def _changed(self, row: int, level: Level) -> None:
        before, after = float(self.rows[row].weights[level.slot]), level.weight
        if after != before:
            self.rows[row].set_weight(level, after)
            self._dirty.add(row)
            if row < len(self._into):
                self._into[level.gives, row] = after
            self.changes.append((row, level.gives, max(before, after)))
            if len(self.changes) > 2 * CHANGES_MAX:
                self.forgotten += CHANGES_MAX
                del self.changes[:CHANGES_MAX]

    def heaviest(self) -> float:
        """Return the weight of the heaviest level."""
        return max(float(row.in_order()[1][0]) for row in self.rows if row.levels and row.in_order()[0])

    def refresh(self) -> None:
        """Bring the matrix up to the rows. A row is a column of it, so that a round runs along its lines."""
        vertices = len(self.rows)
        widest = max((len(self.rows[row].in_order()[0]) for row in self._dirty), default=0)
        width, room = self._weights.shape
        if vertices > room or min(widest, WIDTH_MAX) > width:
            room = max(vertices, 2 * room if vertices > room else room)
            width = min(WIDTH_MAX, max(widest + widest // 4, width, 1))
            self._weights = np.full((width, room), NONE)
            self._targets = np.zeros((width, room), np.intp)
            self._dirty = set(range(vertices))
        is_long = np.zeros(vertices, np.bool_)
        is_long[self._long] = True
        for row in self._dirty:
            _, weights, targets = self.rows[row].in_order()
            kept = min(len(weights), width)
            self._weights[:kept, row] = weights[:kept]
            self._weights[kept:, row] = NONE
            self._targets[:kept, row] = targets[:kept]
            is_long[row] = len(weights) > width
        self._long = is_long.nonzero()[0]
        self._dirty.clear()

    def round(self, values: Weights) -> Weights:
        """Return for each row the greatest weight plus value of its target, over its levels."""
        vertices = len(self.rows)
        weights, targets = self._weights[:, :vertices], self._targets[:, :vertices]
        if weights.size <= _SMALL:
            best = _best(weights, targets, values)
        elif (few := self._few(values)) is not None:
            return few
        else:
            best = _by_stages(weights, targets, values)
        if len(self._long):
            self._look_beyond(self._long, self._long, best, values)
        return best

    def _look_beyond(self, rows: Places, places: Places, best: Weights, values: Weights) -> None:
        """Go through the whole of those rows, at places of the best, whose levels outside the matrix may matter."""
        lightest = self._weights[-1, rows] + values.max()
        for at in (lightest > best[places]).nonzero()[0].tolist():
            best[places[at]] = self.round_of(int(rows[at]), values)

    def round_at(self, rows: Places, values: Weights) -> Weights:
        """Return the same for some rows."""
        best = _by_stages(self._weights[:, rows], self._targets[:, rows], values)
        if len(self._long):
            places = np.isin(rows, self._long).nonzero()[0]
            self._look_beyond(rows[places], places, best, values)
        return best

    def round_of(self, row: int, values: Weights) -> float:
        """Return the same for one row."""
        _, weights, targets = self.rows[row].in_order()
        return float((weights + values.take(targets)).max()) if len(weights) else NONE

    def _few(self, values: Weights) -> Weights | None:
        """Return the round when few vertices have a value: over the levels that give those, in the square."""
        vertices = len(self.rows)
        if self._special or vertices > DENSE_MAX:
            return None
        valued = (values > NONE).nonzero()[0]
        if 4 * len(valued) > vertices:
            return None
        if vertices > len(self._into):
            self._square()
        if not len(valued):
            return np.full(vertices, NONE)
        return (self._into[valued, :vertices] + values[valued, None]).max(axis=0)

    def _square(self) -> None:
        size = min(DENSE_MAX, 2 * len(self.rows))
        self._into = np.full((size, size), NONE)
        for number, row in enumerate(self.rows):
            _, weights, targets = row.in_order()
            self._into[targets, number] = weights


def _best(weights: Weights, targets: Places, values: Weights) -> Weights:
    return (weights + values.take(targets, mode="clip")).max(axis=0)


def _by_stages(weights: Weights, targets: Places, values: Weights) -> Weights:
    """Return the best of each column, from the heaviest lines on, leaving out what cannot come up to it any more."""
    width, columns = weights.shape
    best = _best(weights[:STAGE], targets[:STAGE], values)
    top = values.max()
    for line in range(STAGE, width, STAGE):
        still = (weights[line] + top > best).nonzero()[0]
        if not len(still):
            break
        block = slice(line, line + STAGE)
        if _MANY * len(still) < columns:
            best[still] = np.maximum(best[still], _best(weights[block, still], targets[block, still], values))
        else:
            np.maximum(best, _best(weights[block], targets[block], values), out=best)
    return best
