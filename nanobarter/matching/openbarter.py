"""Whole quantities as openBarter 2.1.0 finds them, for replaying what it did.

It works in double precision throughout: x is computed, and angles are compared, with 53 bits. Beyond some 10^8 the
angles of neighbouring vectors are the same double, and then the order of its enumeration decides: bit i of a counter
rounds quantity i up, and the first of equal ones stays. Here the same sums are made in the same order, over the
vectors that are allowed at all (whole bounds, nothing zero, both decided on integers, which openBarter does not).
"""

from collections.abc import Iterator, Sequence
from math import floor, prod, sqrt

from nanobarter.matching.quantities import Leg, flow

STOCK_MAX = 2**50  # above it a double cannot tell whole quantities apart well enough to be of use
ENUMERATED_MAX = 12  # bids in a cycle: 2^11 vectors; beyond, doubles are given up for the exact search


def openbarter_flow(legs: Sequence[Leg]) -> tuple[int, ...] | None:
    """Return what each bid gives under openBarter's rules, or None where no integers serve."""
    stocks = [leg.stock for leg in legs]
    if len(legs) > ENUMERATED_MAX or not 0 < min(stocks) <= max(stocks) <= STOCK_MAX:
        return flow(legs)
    real, used_up = _real_flow(legs)
    choices = [
        (leg.stock,) if i == used_up else tuple(y for y in (floor(x), floor(x) + 1) if 1 <= y <= leg.stock)
        for i, (x, leg) in enumerate(zip(real, legs, strict=True))
    ]
    best, best_cosine = None, 0.0
    for y in _counted(choices):
        if not _within(y, legs):
            continue
        dot = square = 0.0
        for x, quantity in zip(real, map(float, y), strict=True):
            dot += quantity * x
            square += quantity * quantity
        if best is None or dot / sqrt(square) > best_cosine:
            best, best_cosine = y, dot / sqrt(square)
    return best


def _real_flow(legs: Sequence[Leg]) -> tuple[list[float], int]:
    owners = [leg.owner for leg in legs]
    omegas = [leg.omega[0] / leg.omega[1] for leg in legs]
    gain = prod(omegas) ** (1.0 / len(set(owners)))
    rates, rate = list[float](), 1.0
    for i, (owner, omega) in enumerate(zip(owners, omegas, strict=True)):
        count = owners.count(owner)
        rate *= (omega / (gain if count == 1 else gain ** (1.0 / count))) if i else 1.0
        rates.append(rate)
    room = [leg.stock / rate for leg, rate in zip(legs, rates, strict=True)]
    used_up = room.index(min(room))
    return [room[used_up] * rate for rate in rates], used_up


def _counted(choices: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield every vector, the first component changing fastest."""
    if not choices:
        yield ()
        return
    for rest in _counted(choices[1:]):
        for quantity in choices[0]:
            yield (quantity, *rest)


def _within(y: Sequence[int], legs: Sequence[Leg]) -> bool:
    return all(
        leg.cap is None or given * leg.cap[1] <= received * leg.cap[0]
        for leg, given, received in zip(legs, y, (y[-1], *y[:-1]), strict=True)
    )
