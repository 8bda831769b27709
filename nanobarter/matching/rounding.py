"""The whole vector of smallest angle to a real one, when every component has two choices and neighbours are bound."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from nanobarter.matching.bids import Ratio

SOLVES_MAX = 256  # 64 bids without bounds have at most 64 corners; what is left out is worse in angle, never wrong


@dataclass(frozen=True, slots=True)
class _Corner:
    """A vector y by its dot product with x and its squared length; the cosine grows with dot^2 / square."""

    dot: int
    square: int
    y: tuple[int, ...]

    def steeper(self, other: "_Corner") -> bool:
        mine, its = self.dot**2 * other.square, other.dot**2 * self.square
        return mine > its or (mine == its and self.y < other.y)


class Rounding:
    """Find the y of largest cosine with x among two choices per bid, adjacent choices bound by the owners' caps.

    There are up to 2^(n-1) vectors. But dot^2 / square is a convex function of the pair (dot, square), so its
    maximum is at a corner of their convex hull, where 2 * dot - s * square is largest for some s > 0; and for a
    given s that sum is additive along the ring, so a pass over it finds the largest. Since dot^2 / square is the
    maximum over s of s * (2 * dot - s * square), a chord over an interval of s bounds all corners within.
    """

    def __init__(
        self,
        x: Sequence[int],
        unit: int,
        choices: Sequence[tuple[int, ...]],
        caps: Sequence[Ratio | None],
        used_up: int,
    ) -> None:
        """Take x in whole numbers of ``1 / unit``; the bid at ``used_up`` has a single choice."""
        self._order = [(used_up + i) % len(x) for i in range(len(x))]
        self._caps = [caps[i] for i in self._order]
        self._choices = [choices[i] for i in self._order]
        self._x = [x[i] for i in self._order]
        self._unit = unit
        self._solves = 0

    def best(self) -> tuple[int, ...] | None:
        """Return the allowed vector of smallest angle to x, or None when none is allowed."""
        best = self._solve(Fraction(self._unit))
        if best is None:
            return None
        if any(len(choice) > 1 for choice in self._choices):
            low = min(Fraction(x, c[-1]) for x, c in zip(self._x, self._choices, strict=True))
            high = max(Fraction(x, c[0]) for x, c in zip(self._x, self._choices, strict=True))
            best = self._search([(low, high)], best)
        around = [0] * len(self._order)
        for place, quantity in zip(self._order, best.y, strict=True):
            around[place] = quantity
        return tuple(around)

    def _search(self, spans: list[tuple[Fraction, Fraction]], best: _Corner) -> _Corner:
        """Return the best corner over the spans of s, splitting a span where its chord still promises more."""
        while spans and self._solves < SOLVES_MAX:
            low, high = spans.pop()
            left, right = self._solve(low), self._solve(high)
            if left is None or right is None:
                break
            for corner in (left, right):
                if corner.steeper(best):
                    best = corner
            if left.square <= right.square or not _promises(low, high, left, right, best):
                continue
            middle = Fraction(2 * (left.dot - right.dot), left.square - right.square)
            if low < middle < high:
                spans += [(low, middle), (middle, high)]
        return best

    def _solve(self, s: Fraction) -> _Corner | None:
        """Return the allowed y for which 2 * dot - s * square is largest, or None when no y is allowed."""
        self._solves += 1
        up, down = s.numerator, s.denominator
        first = self._choices[0][0]
        reached: dict[int, tuple[int, tuple[int, ...]]] = {first: (0, (first,))}
        for x, choice, cap in zip(self._x[1:], self._choices[1:], self._caps[1:], strict=True):
            following = dict[int, tuple[int, tuple[int, ...]]]()
            for quantity in choice:
                gain = 2 * x * quantity * down - up * quantity * quantity
                for received, (sum_before, path) in reached.items():
                    if cap is not None and quantity * cap[1] > received * cap[0]:
                        continue
                    held = following.get(quantity)
                    if held is None or (sum_before + gain, held[1]) > (held[0], (*path, quantity)):
                        following[quantity] = (sum_before + gain, (*path, quantity))
            reached = following
        cap = self._caps[0]
        ends = [end for received, end in reached.items() if cap is None or first * cap[1] <= received * cap[0]]
        if not ends:
            return None
        y = min(ends, key=lambda end: (-end[0], end[1]))[1]
        dot = sum(a * b for a, b in zip(self._x, y, strict=True))
        return _Corner(dot, sum(q * q for q in y), y)


def _promises(low: Fraction, high: Fraction, left: _Corner, right: _Corner, best: _Corner) -> bool:
    """Tell whether a corner inside the span may still beat the best: the maximum of s times the chord."""
    at_low, at_high = 2 * left.dot - low * left.square, 2 * right.dot - high * right.square
    slope = (at_high - at_low) / (high - low)
    top = high
    if slope < 0:
        top = min(high, max(low, (at_low - slope * low) / (-2 * slope)))
    bound = top * (at_low + slope * (top - low))
    return bound * best.square >= best.dot**2
