"""From a cycle to whole quantities: the compromise, the maximum flow, and the integers nearest in angle.

The letters are those of the second openBarter paper (Chaussavoine, "The cycle of barter"): omega_i is provided /
received of bid i, Omega their product, m the number of distinct owners, b_i the number of bids of i's owner.
Formula [4], omega'_i = omega_i * Omega^(-1 / (m * b_i)), shares out the surplus: the omega' have product 1, so a
quantity x_0 going round the ring comes back as itself. x is then scaled until one bid is used up.

x is irrational in general. It is computed with ``_DIGITS`` digits, which only has to place it between two integers
and to compare angles; whether an owner's bound holds is decided on the integers alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction

from nanobarter.matching.bids import Name, Ratio

_DIGITS = 90
_SNAP = Decimal(10) ** -50  # x nearer than this, relatively, to an integer is that integer
_SCALE_BITS = 96  # x as a fixed-point integer, for comparing angles without rounding
SOLVES_MAX = 256  # 64 bids without bounds have at most 64 corners; what is left out is worse in angle, never wrong


@dataclass(frozen=True, slots=True)
class Leg:
    """One bid in a cycle, as the bid before it in the ring serves it.

    ``omega`` has the discount in it already; ``cap`` is the most it gives per unit received, None without a bound.
    """

    owner: Name
    omega: Ratio
    cap: Ratio | None
    stock: int


def product(legs: Sequence[Leg]) -> Fraction:
    """Return Omega, the product of the omegas, exactly."""
    above = below = 1
    for leg in legs:
        above *= leg.omega[0]
        below *= leg.omega[1]
    return Fraction(above, below)


def flow(legs: Sequence[Leg]) -> tuple[int, ...] | None:
    """Return what each bid gives to the next (the last gives to the first), or None where no integers serve.

    The bid that is used up gives exactly its stock. Every other quantity is the integer below or above the real
    one, at least 1 and not above its stock, and no bound of an owner is passed. Of all such vectors the one with
    the smallest angle to the real one is returned, the smaller quantities first among equal angles.
    """
    if min(leg.stock for leg in legs) <= 0:
        return None
    real, used_up = _real_flow(legs)
    choices = [_choices(x, leg.stock) for x, leg in zip(real, legs, strict=True)]
    choices[used_up] = (legs[used_up].stock,)
    if not all(choices):
        return None
    return _Rounding(legs, real, choices, used_up).best()


def _real_flow(legs: Sequence[Leg]) -> tuple[list[Decimal], int]:
    """Return the maximum real flow, and the place of the bid that it uses up."""
    owners = [leg.owner for leg in legs]
    share = {owner: len(set(owners)) * owners.count(owner) for owner in owners}
    omega = product(legs)
    with localcontext(Context(prec=_DIGITS, Emax=10**9, Emin=-(10**9))):
        log = Decimal(0) if omega == 1 else (Decimal(omega.numerator) / Decimal(omega.denominator)).ln()
        effort = {count: (-log / count).exp() for count in set(share.values())}
        scale, rate = list[Decimal](), Decimal(1)
        for leg in legs:
            rate = rate * leg.omega[0] / leg.omega[1] * effort[share[leg.owner]]
            scale.append(rate)
        room = [leg.stock / rate for leg, rate in zip(legs, scale, strict=True)]
        tight = min(room)
        used_up = next(i for i, r in enumerate(room) if r <= tight * (1 + _SNAP))
        return [_snapped(rate * tight) for rate in scale], used_up


def _snapped(x: Decimal) -> Decimal:
    nearest = x.to_integral_value()
    return nearest if abs(x - nearest) <= _SNAP * max(nearest, Decimal(1)) else x


def _choices(x: Decimal, stock: int) -> tuple[int, ...]:
    below = int(x.to_integral_value(ROUND_FLOOR))
    return tuple(y for y in (below, below + 1) if 1 <= y <= stock)


@dataclass(frozen=True, slots=True)
class _Corner:
    """A vector y by its dot product with x and its squared length; the cosine grows with dot^2 / square."""

    dot: int
    square: int
    y: tuple[int, ...]

    def steeper(self, other: "_Corner") -> bool:
        mine, its = self.dot**2 * other.square, other.dot**2 * self.square
        return mine > its or (mine == its and self.y < other.y)


class _Rounding:
    """Find the y of largest cosine with x among two choices per bid, adjacent choices bound by the owners' caps.

    There are up to 2^(n-1) vectors. But dot^2 / square is a convex function of the pair (dot, square), so its
    maximum is at a corner of their convex hull, where 2 * dot - s * square is largest for some s > 0; and for a
    given s that sum is additive along the ring, so a pass over it finds the largest. Since dot^2 / square is the
    maximum over s of s * (2 * dot - s * square), a chord over an interval of s bounds all corners within.
    """

    def __init__(
        self, legs: Sequence[Leg], real: Sequence[Decimal], choices: Sequence[tuple[int, ...]], used_up: int
    ) -> None:
        self._order = [(used_up + i) % len(legs) for i in range(len(legs))]
        self._caps = [legs[i].cap for i in self._order]
        self._choices = [choices[i] for i in self._order]
        with localcontext(Context(prec=_DIGITS, Emax=10**9, Emin=-(10**9))):
            self._x = [int((real[i] * 2**_SCALE_BITS).to_integral_value()) for i in self._order]
        self._solves = 0

    def best(self) -> tuple[int, ...] | None:
        one = Fraction(2**_SCALE_BITS)
        best = self._solve(one)
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
