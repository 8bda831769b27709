"""The judge of the matcher: enumerates every cycle and every whole vector, slow and obvious, and shares no search.

It follows docs/spec/matching.md sentence by sentence. Only the bids' own dataclasses come from the package.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product
from math import prod

from msgspec.structs import replace

from nanobarter.matching.bids import Bid

Agreed = tuple[tuple[object, int], ...]
"""Bid ids and what each gives, in ring order, the submitted bid last."""

ALIKE = Decimal(10) ** -60


def clear(bids: Sequence[Bid], partners_max: int = 8) -> tuple[list[Agreed], list[Fraction], dict[object, int]]:
    """Submit the bids in order; return the agreements, their Omegas, and what is left of each bid."""
    left = dict[object, Bid]()
    agreements, omegas = list[Agreed](), list[Fraction]()
    for bid in bids:
        left[bid.id] = bid
        while (best := _best(left, bid.id, partners_max)) is not None:
            cycle, given = best
            agreements.append(tuple((each.id, quantity) for each, quantity in zip(cycle, given, strict=True)))
            omegas.append(omega_of(cycle))
            for each, quantity in zip(cycle, given, strict=True):
                left[each.id] = replace(each, quantity=each.quantity - quantity)
    return agreements, omegas, {name: bid.quantity for name, bid in left.items()}


def _best(left: dict[object, Bid], own: object, partners_max: int) -> tuple[list[Bid], tuple[int, ...]] | None:
    bids = [bid for bid in left.values() if bid.quantity > 0]
    cycles = [cycle for cycle in every_cycle(bids, left[own], partners_max) if left[own].quantity > 0]
    cycles.sort(key=lambda cycle: (-omega_of(cycle), len(cycle), [(bid.age, bid.id) for bid in cycle]))
    for cycle in cycles:
        given = quantities(cycle)
        if given is not None:
            return cycle, given
    return None


def every_cycle(bids: Sequence[Bid], own: Bid, partners_max: int) -> Iterator[list[Bid]]:
    def extended(chain: list[Bid]) -> Iterator[list[Bid]]:
        for bid in bids:
            if bid.id in (own.id, *(other.id for other in chain)) or not flows(chain[-1] if chain else own, bid):
                continue
            if flows(bid, own):
                yield [*chain, bid, own]
            if len(chain) + 2 < partners_max:
                yield from extended([*chain, bid])

    yield from extended([])


def flows(giver: Bid, taker: Bid) -> bool:
    return giver.owner != taker.owner and discount(giver, taker) is not None


def discount(giver: Bid, taker: Bid) -> Fraction | None:
    want, quality = taker.wants, giver.gives
    issuer = quality.split(":", 1)[1] if ":" in quality else quality
    fits = quality.startswith(want.text) if want.any_issuer else quality == want.text
    if not fits or issuer in want.refused:
        return None
    return Fraction(*dict(want.discounts).get(issuer, (1, 1)))


def omegas_of(cycle: Sequence[Bid]) -> list[Fraction]:
    return [
        Fraction(bid.provided, bid.required) * (discount(before, bid) or 0)
        for before, bid in zip([cycle[-1], *cycle[:-1]], cycle, strict=True)
    ]


def omega_of(cycle: Sequence[Bid]) -> Fraction:
    return prod(omegas_of(cycle), start=Fraction(1))


def holds(cycle: Sequence[Bid], given: Sequence[int]) -> bool:
    """No bid gives more for a unit than its limit, or its floor, times the discount."""
    for place, bid in enumerate(cycle):
        bound = (bid.provided, bid.required) if bid.limit else bid.floor
        if bound is None:
            continue
        if Fraction(given[place], given[place - 1]) > Fraction(*bound) * (discount(cycle[place - 1], bid) or 0):
            return False
    return True


def quantities(cycle: Sequence[Bid]) -> tuple[int, ...] | None:
    if omega_of(cycle) < 1 and any(bid.limit for bid in cycle):
        return None
    with localcontext() as context:
        context.prec = 150
        real, used_up = _real(cycle)
        choices = list[list[int]]()
        for place, (x, bid) in enumerate(zip(real, cycle, strict=True)):
            whole = int(x) if abs(x - round(x)) > ALIKE else round(x)
            both = [y for y in (whole, whole + 1) if 1 <= y <= bid.quantity]
            choices.append([bid.quantity] if place == used_up else both)
        best: tuple[int, ...] | None = None
        best_cosine = Decimal(0)
        for y in product(*choices):
            if not holds(cycle, y):
                continue
            cosine = (
                sum((a * b for a, b in zip(real, y, strict=True)), Decimal(0)) / Decimal(sum(b * b for b in y)).sqrt()
            )
            nearer = best is None or cosine > best_cosine * (1 + ALIKE)
            alike = best is not None and abs(cosine - best_cosine) <= best_cosine * ALIKE
            if nearer or (alike and best is not None and turned(y, used_up) < turned(best, used_up)):
                best, best_cosine = y, cosine
        return best


def turned(y: tuple[int, ...], start: int) -> tuple[int, ...]:
    return y[start:] + y[:start]


def _real(cycle: Sequence[Bid]) -> tuple[list[Decimal], int]:
    omega = omega_of(cycle)
    owners = [bid.owner for bid in cycle]
    rates, rate = list[Decimal](), Decimal(1)
    log = (Decimal(omega.numerator) / Decimal(omega.denominator)).ln()
    for bid, own in zip(cycle, omegas_of(cycle), strict=True):
        share = (-log / (len(set(owners)) * owners.count(bid.owner))).exp()
        rate = rate * own.numerator / own.denominator * share
        rates.append(rate)
    room = [bid.quantity / rate for bid, rate in zip(cycle, rates, strict=True)]
    used_up = next(i for i, r in enumerate(room) if r <= min(room) * (1 + ALIKE))
    return [rate * room[used_up] for rate in rates], used_up
