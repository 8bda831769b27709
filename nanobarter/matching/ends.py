"""The best chain between two qualities, searched from both ends at once.

A step is a level: from the quality its bids want to the one they give. From the start three layers of steps are
opened forth, from the end three back, and the seventh step joins them. What is opened is only what can still come up
to a floor: the weight so far, and the most that a walk of the steps left can add (``_Reach``), wherever it leads.
The first floor is a guess. The best chain found above or below it is the next floor; when nothing that could be as
good has been left out, that chain is the best one. So a bad guess costs time and never changes the answer.

Only plain levels are known here: no families of qualities, no exceptions. Weights are those of ``levels``: integers
in doubles, whose sums are exact. All loops are over lists sorted by falling weight and end at the first that is too
light; with some ten steps that matter at each quality that is faster than whole array rounds.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from nanobarter.matching.levels import NONE, UNIT, UNSURE

Step = tuple[float, int]
"""The weight of a level, negated so that the heaviest is first, and the quality to which it leads."""

Layer = dict[int, float]
"""The greatest weight of a walk of so many steps, by the quality it comes to."""

STEPS_MAX = 7  # a cycle of eight
_LAYER_MAX = 1024  # qualities in a layer; a book in which more can matter is better searched in array rounds
_ROUNDS_MAX = 12  # floors that are tried
_ALLOWED = UNIT / 8  # the first guess how far the best chain is below the best imaginable one
_WIDER = 1.5
_LEARNT = 1 / 8  # the weight of the newest chain in the next guess
_SPARE = 1.2  # a guess a little too wide costs less than one too narrow
_LOOSE_MAX = 64  # lightened or lost levels after which the reach is measured anew, and one more for 4 qualities
_PAUSE_MAX = 63


class _Reach:
    """``most[k][v]``: no walk of up to k steps from v weighs more, wherever it leads. Exact but for lost levels."""

    def __init__(self, forth: Sequence[Sequence[Step]]) -> None:
        rows = np.array([row for row, steps in enumerate(forth) if steps], np.intp)
        lengths = np.array([len(steps) for steps in forth if steps], np.intp)
        flat = np.fromiter(chain.from_iterable(chain.from_iterable(forth)), np.float64)
        light, targets, starts = flat[::2], flat[1::2].astype(np.intp), np.cumsum(lengths) - lengths
        most = np.zeros((STEPS_MAX + 1, len(forth)))
        for k in range(STEPS_MAX):
            most[k + 1, rows] = np.maximum(np.maximum.reduceat(most[k, targets] - light, starts), 0.0)
        self.most: list[list[float]] = most.tolist()
        self.tops = [max(best, default=0.0) for best in self.most]
        self._lows = [min(best, default=0.0) for best in self.most]  # what is kept rises only

    def grow(self, vertices: int) -> None:
        if vertices > len(self.most[0]):
            self._lows = [0.0] * len(self.most)
        for best in self.most:
            best.extend([0.0] * (vertices - len(best)))

    def rise(self, vertex: int, to: int, weight: float, back: Sequence[Sequence[Step]]) -> None:
        """Take account of a new or heavier step, and of all walks that lead to it."""
        risen = list[int]()
        for k in range(1, STEPS_MAX + 1):
            best, before, low = self.most[k], self.most[k - 1], self._lows[k]
            if not risen and weight + before[to] <= best[vertex]:
                continue
            now = dict[int, float]()
            if weight + before[to] > best[vertex]:
                now[vertex] = weight + before[to]
            for each in risen:
                for light, source in back[each]:
                    if before[each] - light <= low:
                        break
                    if before[each] - light > now.get(source, best[source]):
                        now[source] = before[each] - light
            for each, value in now.items():
                best[each] = value
                self.tops[k] = max(self.tops[k], value)
            risen = list(now)


class Walk(NamedTuple):
    """The qualities that the best chain leads through, and its weight. No other comes near it."""

    vertices: tuple[int, ...]
    weight: float


NOTHING = Walk((), NONE)
"""No chain comes up to what was asked for."""


class Ends:
    """The tops of all levels by what they want and by what they give, kept up to date by ``move``."""

    def __init__(self, levels: Iterable[tuple[int, int, float]], vertices: int) -> None:
        """Take every level as what it wants, what it gives, and its weight."""
        self._forth = [list[Step]() for _ in range(vertices)]
        self._back = [list[Step]() for _ in range(vertices)]
        for row, target, weight in levels:
            self._forth[row].append((-weight, target))
            self._back[target].append((-weight, row))
        for steps in (*self._forth, *self._back):
            steps.sort()
        self._onward, self._hither = _Reach(self._forth), _Reach(self._back)
        self._lost = dict[tuple[int, int], float]()
        self._allowed = _ALLOWED
        self._pause = self._paused = 0

    def grow(self, vertices: int) -> None:
        """Know of so many qualities."""
        while len(self._forth) < vertices:
            self._forth.append([])
            self._back.append([])
        self._onward.grow(vertices)
        self._hither.grow(vertices)

    def move(self, row: int, target: int, before: float, after: float) -> None:
        """Change the weight of a level; NONE stands for a level without bids."""
        if before > NONE:
            _drop(self._forth[row], (-before, target))
            _drop(self._back[target], (-before, row))
        if after > NONE:
            insort(self._forth[row], (-after, target))
            insort(self._back[target], (-after, row))
        key = (row, target)
        if after > before:
            self._onward.rise(row, target, after, self._back)
            self._hither.rise(target, row, after, self._forth)
            if after >= self._lost.get(key, after):
                self._lost.pop(key, None)
        else:
            self._lost[key] = max(before, self._lost.get(key, before))

    def best(self, start: int, end: int, steps: int, least: float) -> Walk | None:
        """Return the best chain of up to so many steps, if it weighs at least so much, else ``NOTHING``.

        None stands for what is not to be told so: another chain comes near, the best is not one of just so many
        steps, or too much would have to be looked at.
        """
        if self._paused:
            self._paused -= 1
            return None
        if len(self._lost) > _LOOSE_MAX + len(self._forth) // 4:
            self._onward, self._hither = _Reach(self._forth), _Reach(self._back)
            self._lost.clear()
        found = self._searched(start, end, steps, least)
        self._pause = 0 if found is not None else min(_PAUSE_MAX, 2 * self._pause + 1)
        self._paused = self._pause // 2
        return found

    def _searched(self, start: int, end: int, steps: int, least: float) -> Walk | None:
        """Lower the floor to what was found, until what was left out cannot be as good."""
        ceiling = self._reached(start, end, steps)
        allowed, floor = self._allowed, max(least, ceiling - self._allowed)
        for _ in range(_ROUNDS_MAX):
            forth = _layers(self._forth, self._onward, start, (steps - 1) // 2, steps, floor)
            back = _layers(self._back, self._hither, end, steps // 2, steps, floor)
            if max(len(forth[-1]), len(back[-1])) > _LAYER_MAX:
                return None
            best, second, source, to = _joined(self._forth, forth[-1], back[-1], max(least, floor - allowed / 2))
            if best - UNSURE >= floor:
                self._allowed += _LEARNT * (_SPARE * (ceiling - best) - self._allowed)
                near = second >= best - UNSURE or (
                    self._reached(start, end, steps - 1) >= best - UNSURE
                    and _shorter(forth, back, start) >= best - UNSURE
                )
                return None if near else self._traced(forth, back, source, to, best)
            if floor <= least:
                return NOTHING if max(best, _shorter(forth, back, start)) < least else None
            if best == NONE:
                allowed *= _WIDER
            floor = max(least, ceiling - allowed if best == NONE else best - UNSURE)
        return None

    def _reached(self, start: int, end: int, steps: int) -> float:
        return min(self._onward.most[steps][start], self._hither.most[steps][end])

    def _traced(self, forth: list[Layer], back: list[Layer], source: int, to: int, weight: float) -> Walk | None:
        head, tail = _trail(forth, self._back, source), _trail(back, self._forth, to)
        if head is None or tail is None:
            return None
        return Walk((*reversed(head), *tail), weight)


def _drop(steps: list[Step], step: Step) -> None:
    del steps[bisect_left(steps, step)]


def _layers(
    forth: Sequence[Sequence[Step]], reach: _Reach, first: int, count: int, steps: int, floor: float
) -> list[Layer]:
    """Return that many layers from a quality on, without what cannot come up to the floor in so many steps."""
    layers: list[Layer] = [{first: 0.0}]
    for left in range(steps - 1, steps - 1 - count, -1):
        rest, top = reach.most[left], reach.tops[left]
        found: Layer = {}
        get = found.get
        for vertex, weight in layers[-1].items():
            lack = floor - weight
            too_light = top - lack
            for light, to in forth[vertex]:
                if light > too_light:
                    break
                if rest[to] - light >= lack and weight - light > get(to, NONE):
                    found[to] = weight - light
        layers.append(found)
        if len(found) > _LAYER_MAX:
            break
    return layers


def _joined(forth: Sequence[Sequence[Step]], head: Layer, tail: Layer, least: float) -> tuple[float, float, int, int]:
    """Return the weights of the best and the second walk over one step from head to tail, and that step's ends.

    NONE stands for the weight of one that does not come up to the least.
    """
    best, second = least - 1, NONE  # weights are whole units
    source = to = -1
    top = max(tail.values(), default=NONE)
    get = tail.get
    for vertex in sorted(head, key=head.__getitem__, reverse=True) if tail else ():
        weight = head[vertex]
        too_light = weight + top - best + UNSURE
        for light, following in forth[vertex]:
            if light > too_light:
                break
            rest = get(following)
            if rest is None:
                continue
            whole = weight - light + rest
            if whole > best:
                best, second, source, to = whole, best, vertex, following
                too_light = weight + top - best + UNSURE
            elif whole > second:
                second = whole
    return (best if source >= 0 else NONE), second, source, to


def _shorter(forth: list[Layer], back: list[Layer], start: int) -> float:
    """Return the weight of the best walk of fewer steps."""
    best = max((layer.get(start, NONE) for layer in back), default=NONE)
    last = back[-1]
    for layer in forth[1:]:
        best = max(best, max((layer[vertex] + last[vertex] for vertex in layer.keys() & last.keys()), default=NONE))
    return best


def _trail(layers: list[Layer], back: Sequence[Sequence[Step]], vertex: int) -> list[int] | None:
    """Return the qualities from one in the last layer back to the first, or None when another way comes near."""
    trail = [vertex]
    for later, earlier in pairwise(reversed(layers)):
        enough = later[vertex] - UNSURE
        too_light = max(earlier.values()) - enough
        source = -1
        for light, each in back[vertex]:
            if light > too_light:
                break
            if earlier.get(each, NONE) - light >= enough:
                if source >= 0:
                    return None
                source = each
        vertex = source
        trail.append(vertex)
    return trail
