"""From a cycle to whole quantities: the compromise, the maximum flow, and the integers nearest in angle.

The letters are those of the second openBarter paper (Chaussavoine, "The cycle of barter"): omega_i is provided /
received of bid i, Omega their product, m the number of distinct owners, b_i the number of bids of i's owner.
Formula [4], omega'_i = omega_i * Omega^(-1 / (m * b_i)), shares out the surplus: the omega' have product 1, so a
quantity x_0 going round the ring comes back as itself. x is then scaled until one bid is used up.

x is irrational in general; then it is computed with ``_DIGITS`` digits, which only has to place it between two
integers and to compare angles. Where Omega is a perfect power, as it is at par, x is an exact fraction. Whether an
owner's bound holds is decided on the whole quantities alone. Most flows are settled in double precision first, with
a margin that no rounding error of a double can cross; the others take the long way.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from math import isqrt, lcm, prod
from typing import NamedTuple

from nanobarter.matching.bids import Name, Ratio
from nanobarter.matching.rounding import Rounding

_DIGITS = 90
_SNAP = Decimal(10) ** -50  # x nearer than this, relatively, to an integer is that integer
_SCALE_BITS = 160  # x as a fixed-point integer, for comparing angles without rounding
_DOUBT_MAX = 1e-2  # of a unit: with more, a double leaves too little behind the point to compare angles by
_FAR = float("inf")
_ERROR = 1e-12  # a bound, with a factor of 100 to spare, on the relative error of x in double precision
_ROOT_BITS_MAX = 2048  # a perfect power of more bits is treated as an irrational one, with 90 digits
_ROUNDS_MAX = 4  # a remnant of a few units comes to nothing in two rounds or not at all


class Leg(NamedTuple):
    """One bid in a cycle, as the bid before it in the ring serves it.

    ``omega`` has the discount in it already; ``cap`` is the most it gives per unit received, None without a bound.
    """

    owner: Name
    omega: Ratio
    cap: Ratio | None
    stock: int


def product(legs: Sequence[Leg]) -> Fraction:
    """Return Omega, the product of the omegas, exactly."""
    return Fraction(*raw_product(legs))


def raw_product(legs: Sequence[Leg]) -> Ratio:
    """Return the product of the omegas, not reduced."""
    above = below = 1
    for leg in legs:
        above *= leg.omega[0]
        below *= leg.omega[1]
    return above, below


def _caps(legs: Sequence[Leg]) -> Fraction:
    caps = [leg.cap for leg in legs if leg.cap is not None]
    return Fraction(prod(cap[0] for cap in caps), prod(cap[1] for cap in caps))


def flow(legs: Sequence[Leg]) -> tuple[int, ...] | None:
    """Return what each bid gives to the next (the last gives to the first), or None where no integers serve.

    The bid that is used up gives exactly its stock. Every other quantity is the integer below or above the real
    one, at least 1 and not above its stock, and no bound of an owner is passed. Of all such vectors the one with
    the smallest angle to the real one is returned; among equal angles the one with the smaller quantities, compared
    from the used up bid on round the ring.
    """
    if min(leg.stock for leg in legs) <= 0:
        return None
    given = _quick_flow(legs)
    if given is not None:
        return given
    if all(leg.cap is not None for leg in legs) and _caps(legs) < 1:
        return None  # what goes round the ring within these bounds comes back as less than it was
    if not comes_round([(leg.cap, leg.stock) for leg in legs]):
        return None
    return _exact_flow(legs)


def comes_round(ring: Sequence[tuple[Ratio | None, int]]) -> bool:
    """Tell whether one whole unit at least may come through every bid of a ring of (bound, stock).

    However the quantities are chosen, a bid gives at most what its bound allows for what the bid before it gives,
    in whole units. Going round with the most that each could give, nothing is left where a remnant is too small
    for a neighbour: one unit through a bid that gives 9 for 10 is none. True says only that this does not exclude it.
    """
    most = ring[-1][1]
    for _ in range(_ROUNDS_MAX):
        before = most
        for cap, stock in ring:
            most = stock if cap is None else min(stock, most * cap[0] // cap[1])
            if most == 0:
                return False
        if most == before:
            break
    return True


def _shares(legs: Sequence[Leg]) -> list[int]:
    """Return m * b_i for each bid: into how many parts the surplus is divided."""
    owners = [leg.owner for leg in legs]
    distinct = len(set(owners))
    if distinct == len(owners):
        return [distinct] * distinct
    return [distinct * owners.count(owner) for owner in owners]


def _quick_flow(legs: Sequence[Leg]) -> tuple[int, ...] | None:
    """Return the flow where double precision settles it beyond doubt, else None."""
    owners, omegas, caps, stocks = zip(*legs, strict=True)
    ratios = [above / below for above, below in omegas]
    rates: list[float] = []
    rate = 1.0
    try:
        if len(set(owners)) == len(legs):
            effort = prod(ratios) ** (-1.0 / len(legs))
            for ratio in ratios:
                rate *= ratio * effort
                rates.append(rate)
        else:
            omega = prod(ratios)
            for ratio, share in zip(ratios, _shares(legs), strict=True):
                rate *= ratio * omega ** (-1.0 / share)
                rates.append(rate)
        room = [stock / rate for stock, rate in zip(stocks, rates, strict=True)]
    except (OverflowError, ZeroDivisionError):
        return None
    tight = min(room)
    real = [tight * rate for rate in rates]
    doubt = _ERROR * max(real) * len(real)
    if not doubt < _DOUBT_MAX or sorted(room)[1] <= tight * (1 + doubt):
        return None  # too large for doubles, or another is used up as well
    y = _quick_rounding(stocks, real, room.index(tight), doubt)
    if y is None:
        return None
    received = y[-1]
    for cap, given in zip(caps, y, strict=True):
        if cap is not None and given * cap[1] > received * cap[0]:
            return None
        received = given
    return tuple(y)


def _quick_rounding(stocks: Sequence[int], real: Sequence[float], used_up: int, doubt: float) -> list[int] | None:
    """Return the vector of smallest angle without regard to bounds, or None when a double cannot tell.

    With d = y - x the squared sine of the angle is (|d|^2 - (x.d)^2 / |x|^2) / |y|^2. As in ``rounding`` the best y
    is the nearest to x / s for some s > 0; with two choices each there are no more of them than bids, and they
    differ by one component in the order in which s makes them step up.
    """
    y: list[int] = []
    steps: list[tuple[float, int]] = []
    length = dot = square = 0.0
    for i, x in enumerate(real):
        length += x * x
        below = int(x)
        part = x - below
        if i == used_up:
            below, part = stocks[i], 0.0
        elif not doubt < part < 1 - doubt:
            return None  # a whole number, or nearly
        elif not below:
            below, part = 1, part - 1
        elif below < stocks[i]:
            steps.append((x / (below + 0.5), i))
        y.append(below)
        dot -= x * part
        square += part * part
    taken = _steps_up(real, y, steps, (length, dot, square), doubt)
    if taken is None:
        return None
    for _, i in steps[:taken]:
        y[i] += 1
    return y


def _steps_up(
    real: Sequence[float],
    y: Sequence[int],
    steps: list[tuple[float, int]],
    sums: tuple[float, float, float],
    doubt: float,
) -> int | None:
    """Sort the steps, and return how many of them lead to the smallest angle, or None when a double cannot tell.

    The sums are |x|^2, x.d and |d|^2 before the first step.
    """
    length, dot, square = sums
    steps.sort(reverse=True)
    best, second, taken = (square - dot * dot / length) / (length + 2 * dot + square), _FAR, 0
    for count, (_, i) in enumerate(steps, 1):
        x = real[i]
        dot += x
        square += 1 - 2 * (x - y[i])
        sine = (square - dot * dot / length) / (length + 2 * dot + square)
        if sine < best:
            best, second, taken = sine, best, count
        elif sine < second:
            second = sine
    alike = 0 < taken < len(steps) and steps[taken - 1][0] - steps[taken][0] <= doubt
    if alike or (second - best) * length <= doubt:
        return None
    return taken


def _exact_flow(legs: Sequence[Leg]) -> tuple[int, ...] | None:
    real = _rational_flow(legs)
    if real is None:
        real = _decimal_flow(legs)
    x, unit, used_up = real
    choices = [
        (leg.stock,) if i == used_up else tuple(y for y in (each // unit, each // unit + 1) if 1 <= y <= leg.stock)
        for i, (each, leg) in enumerate(zip(x, legs, strict=True))
    ]
    if not all(choices):
        return None
    return Rounding(x, unit, choices, [leg.cap for leg in legs], used_up).best()


def _rational_flow(legs: Sequence[Leg]) -> tuple[list[int], int, int] | None:
    """Return x in whole numbers of a unit, that unit, and the used up bid, where every root of Omega is a fraction."""
    omega, shares = product(legs), _shares(legs)
    roots = dict[int, Fraction]()
    for share in set(shares):
        above, below = _root(omega.numerator, share), _root(omega.denominator, share)
        if above is None or below is None:
            return None
        roots[share] = Fraction(above, below)
    rates, rate = list[Fraction](), Fraction(1)
    for leg, share in zip(legs, shares, strict=True):
        rate = rate * Fraction(*leg.omega) / roots[share]
        rates.append(rate)
    room = [leg.stock / rate for leg, rate in zip(legs, rates, strict=True)]
    used_up = room.index(min(room))
    real = [rate * room[used_up] for rate in rates]
    unit = lcm(*(x.denominator for x in real))
    return [int(x * unit) for x in real], unit, used_up


def _root(number: int, degree: int) -> int | None:
    """Return the root when it is a whole number, else None."""
    if number == 1 or degree == 1:
        return number
    bits = number.bit_length()
    if bits <= degree or bits > _ROOT_BITS_MAX:
        return None
    while degree % 2 == 0:
        half = isqrt(number)
        if half * half != number:
            return None
        number, degree = half, degree // 2
    low, high = 1, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= number else (low, middle - 1)
    return low if low**degree == number else None


def _decimal_flow(legs: Sequence[Leg]) -> tuple[list[int], int, int]:
    omega, shares = product(legs), _shares(legs)
    with localcontext(Context(prec=_DIGITS, Emax=10**9, Emin=-(10**9))):
        log = (Decimal(omega.numerator) / Decimal(omega.denominator)).ln()
        effort = {share: (-log / share).exp() for share in set(shares)}
        rates, rate = list[Decimal](), Decimal(1)
        for leg, share in zip(legs, shares, strict=True):
            rate = rate * leg.omega[0] / leg.omega[1] * effort[share]
            rates.append(rate)
        room = [leg.stock / rate for leg, rate in zip(legs, rates, strict=True)]
        tight = min(room)
        used_up = next(i for i, r in enumerate(room) if r <= tight * (1 + _SNAP))
        real = [_snapped(rate * tight) for rate in rates]
        return [int((x * 2**_SCALE_BITS).to_integral_value()) for x in real], 2**_SCALE_BITS, used_up


def _snapped(x: Decimal) -> Decimal:
    nearest = x.to_integral_value()
    return nearest if abs(x - nearest) <= _SNAP * max(nearest, Decimal(1)) else x
