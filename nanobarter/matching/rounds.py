"""All levels of a book, and the rounds of a layered search over them."""

from bisect import insort

import numpy as np

from nanobarter.matching.bids import Bid
from nanobarter.matching.ends import Ends
from nanobarter.matching.levels import NONE, Level, Places, Row, Weights

WIDTH_MAX = 128  # levels of a row that are kept in the matrix; longer rows are looked through when it matters
STAGE = 16  # the best levels of a row usually decide a round
_MANY = 4  # one in so many columns left open makes the next stage worth while for all
_SMALL = 4096  # a matrix of this size is done before a staged round has made its tests
_SQUARE_FROM = 64  # vertices; with fewer the matrix is as small
CHANGES_MAX = 256  # a table that missed more changes of tops than this is made anew
DENSE_MAX = 2048  # vertices for which a square of weights is kept too: 32 MiB


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
        self._ends: Ends | None = None

    def ends(self) -> Ends | None:
        """Return the same levels as they are searched from both ends, or None while a want in them has exceptions."""
        if self._special:
            self._ends = None
        elif self._ends is None:
            every = (
                (n, level.gives, level.weight) for n, row in enumerate(self.rows) for level in row.levels if level.bids
            )
            self._ends = Ends(every, len(self.rows))
        return self._ends

    def forget_ends(self) -> None:
        """Keep no second view of the levels up to date: a family of qualities has come, which it does not know."""
        self._ends = None

    def grow(self, vertices: int) -> None:
        """Have a row for each vertex."""
        while len(self.rows) < vertices:
            self._dirty.add(len(self.rows))
            self.rows.append(Row())
        if vertices > len(self._into):
            self._into = np.empty((0, 0))  # made anew on need; a bid may be of what is numbered beyond it
        if self._ends is not None:
            self._ends.grow(vertices)

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
            if len(self._into):
                self._into[level.gives, row] = self.rows[row].heaviest_giving(level.gives)
            if self._ends is not None:
                self._ends.move(row, level.gives, before, after)
            self.changes.append((row, level.gives, max(before, after)))
            if len(self.changes) > 2 * CHANGES_MAX:
                self.forgotten += CHANGES_MAX
                del self.changes[:CHANGES_MAX]

    def heaviest(self) -> float:
        """Return the weight of the heaviest level."""
        return max(float(row.in_order()[1][0]) for row in self.rows if row.levels and row.in_order()[0])

    def refresh(self) -> None:
        """Bring the matrix up to the rows. A row is a column of it, so that a round runs along its lines."""
        if not self._dirty:
            return
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
        if vertices >= _SQUARE_FROM and (few := self._few(values)) is not None:
            return few
        self.refresh()
        weights, targets = self._weights[:, :vertices], self._targets[:, :vertices]
        best = _best(weights, targets, values) if weights.size <= _SMALL else _by_stages(weights, targets, values)
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
        self.refresh()
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
        if vertices > DENSE_MAX:
            return None
        valued = (values > NONE).nonzero()[0]
        if 4 * len(valued) > vertices:
            return None
        if not len(self._into):
            self._square()
        if not len(valued):
            return np.full(vertices, NONE)
        if len(valued) == 1:
            return self._into[valued[0], :vertices] + values[valued[0]]
        return (self._into[valued, :vertices] + values[valued, None]).max(axis=0)

    def _square(self) -> None:
        size = min(DENSE_MAX, 2 * len(self.rows))
        self._into = np.full((size, size), NONE)
        for number, row in enumerate(self.rows):
            _, weights, targets = row.in_order()
            self._into[targets[::-1], number] = weights[::-1]  # the heaviest last, where some give the same


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
