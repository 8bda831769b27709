"""A cycle of bids: what it is worth, and what each bid in it would give."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from nanobarter.matching.bids import PAR, Bid, Ratio
from nanobarter.matching.openbarter import openbarter_flow
from nanobarter.matching.quantities import Leg, flow, raw_product
from nanobarter.matching.rules import OWN, Rules


@dataclass(frozen=True)
class Cycle:
    """Bids in ring order: each gives to the next, the last to the first. The bid that was searched for is last."""

    bids: tuple[Bid, ...]
    legs: tuple[Leg, ...]
    product: Ratio
    """The product of the omegas of the legs, not reduced."""

    @cached_property
    def omega(self) -> Fraction:
        """Return the product of the omegas. It is made when it is asked for: mostly nobody does."""
        return Fraction(*self.product)

    @property
    def rank(self) -> tuple[object, ...]:
        """The order of preference, smallest first: Omega, fewest partners, then bid by bid the oldest, the id."""
        return (
            -self.omega,
            len(self.bids),
            tuple(bid.seniority for bid in self.bids),
        )


def times(one: Ratio, other: Ratio) -> Ratio:
    """Return the product of two ratios, not reduced."""
    return (one[0] * other[0], one[1] * other[1])


def legs_of(bids: Sequence[Bid], *, floors: bool = True) -> list[Leg]:
    """Return the legs of a ring, with or without the floors of best bids.

    Every bid must accept what the one before it gives.
    """
    legs: list[Leg] = []
    before = bids[-1]
    for bid in bids:
        discount = bid.wants.accepts(before.gives)
        if discount is None:
            raise ValueError(f"bid {bid.id!r} does not accept {before.gives!r}")
        legs.append(leg_of(bid, discount, floors=floors))
        before = bid
    return legs


def leg_of(bid: Bid, discount: Ratio = PAR, *, floors: bool = True) -> Leg:
    """Return the leg of a bid that receives something under a discount."""
    omega = (bid.provided, bid.required)
    cap = omega if bid.limit else bid.floor if floors else None
    if discount is not PAR:
        omega = times(omega, discount)
        cap = None if cap is None else times(cap, discount)
    return Leg(bid.owner, omega, cap, bid.quantity)


def cycle_of(bids: Sequence[Bid], rules: Rules = OWN) -> Cycle:
    """Return the cycle of these bids in ring order."""
    legs = tuple(legs_of(bids, floors=rules.floors))
    return Cycle(tuple(bids), legs, raw_product(legs))


def quantities_of(cycle: Cycle, rules: Rules = OWN) -> tuple[int, ...] | None:
    """Return what each bid of the cycle gives, or None when it cannot be executed."""
    if cycle.product[0] < cycle.product[1] and any(bid.limit for bid in cycle.bids):
        return None
    return openbarter_flow(cycle.legs) if rules.double_precision else flow(cycle.legs)
