"""Orders at a price: what a node gives at most for a note, by how far its issuer can be relied on.

As many units of two qualities make equally safe redundancy as their values v(r) are worth (``rates``), so a node that
gives its own space at par for whatever is offered gets the worst of it. Three modes:

- ``ticket``: named issuers only, one for one: nothing that could be passed on to somebody else is wanted;
- ``par``: one for one; what is ordered of anybody leaves out whom we know to be below ``PAR_RELIABILITY``. A named
  issuer that is no better still gets its order, since a share there is better than none;
- ``discount``: at v(r) of each issuer by what our own notes are worth, up to the reserve price. Strangers are worth
  what the first observations of them say, which is little; so are our own notes at first.

What our own notes are worth to others begins with what they can see of us, which we see too: how long we are here and
how much of the time we were on (``own``). The rest nobody can know but by asking: the markup rises while orders wait
in vain and falls while they are filled, so that it comes to rest where others take them.

Ratios are rounded down to thousandths: never is more given than the estimate says.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from msgspec.structs import replace

from nanobarter.core.ids import NodeId
from nanobarter.core.units import Quantity
from nanobarter.matching.wire import Ratio
from nanobarter.translator.orders import Order
from nanobarter.translator.rates import value_by_reliability
from nanobarter.translator.vetting import Trust

Mode = Literal["ticket", "par", "discount"]
GRAIN: Final = 1000  # of ratios: finer than any estimate
PATTERN_MAX: Final = 64  # issuers that one bid may name
MARKUP_UP: Final = 1.1
MARKUP_DOWN: Final = 0.9
PRESSING: Final = 5  # a fifth of the plan
UNFAIR: Final = 0.75  # of what our own notes are worth: who says no better of his is not taken one for one
SCARCE: Final = 4  # a quarter of the plan
BARGAIN: Final = 0.8  # of its worth is what a reserve gives for somebody whom the plan does not need
MARKUP_FIRST: Final = 1.2  # others know us for less long than we do, and their bounds are as much lower
MARKUP_MAX: Final = 8.0  # somebody in whom others see what he does not see in himself
STRANGER_RELIABILITY: Final = 0.3  # of one that was never seen: what the first look at anybody says
MOST_DISCOUNT: Final[Ratio] = (10, 1)  # v(0.99) : v(0.3), who is hardly ever on against who always is
OWN_RELIABILITY_MIN: Final = 0.1  # somebody who is never on could give everything and be wanted by nobody
PAR_RELIABILITY: Final = 0.8  # v(0.8) = 0.58: below it a note is worth little more than half of one's own
_PAR: Final[Ratio] = (1, 1)


@dataclass(frozen=True)
class Terms:
    """On which terms to order: the mode, the most to give for one received, and whom to prefer or refuse."""

    mode: Mode = "par"
    reserve_price: Ratio | None = None
    """None: par, or ``MOST_DISCOUNT`` where orders are priced."""
    refused: frozenset[NodeId] = frozenset()
    preferred: tuple[NodeId, ...] = ()
    markup: float = MARKUP_FIRST
    own: float = 1.0
    """What one of our own notes is worth to others, as far as we can see: v(r) of ourselves."""

    @property
    def most(self) -> Ratio:
        """The most to give for one received."""
        return self.reserve_price or (MOST_DISCOUNT if self.mode == "discount" else _PAR)


PLAIN_TERMS: Final = Terms()
"""One for one."""


def next_markup(markup: float, *, filled: bool) -> float:
    """Return how much more of our own notes to give for the same, after a span in which orders were filled or not."""
    return min(MARKUP_MAX, markup * MARKUP_UP) if not filled else max(MARKUP_FIRST, markup * MARKUP_DOWN)


def is_pressing(missing: int, wanted: int) -> bool:
    """Tell whether so much is missing of what is wanted in all that it is worth giving more.

    Where a few leases come up for renewal and nobody happens to need our notes today, waiting costs nothing.
    """
    return missing * PRESSING > wanted


def is_scarce(room: int | None, wanted: int) -> bool:
    """Tell whether so little of our own space is free that it is kept for what the plan needs. None: nobody counts it.

    Who must give two and three for one has all of his space out in the end; what then lies in a reserve, and in places
    beyond the plan, is missing when a lease is due.
    """
    return room is not None and room * SCARCE < wanted


def worth(reliability: float) -> Ratio:
    """Return v(r) as a ratio, rounded down, at least one in a thousand."""
    return (max(1, int(GRAIN * value_by_reliability(min(max(reliability, 0.0), 1.0)))), GRAIN)


def own_value(reliability: float | None) -> float:
    """Return what our notes are worth by what we saw of ourselves; before we saw anything, as of any stranger."""
    return value_by_reliability(STRANGER_RELIABILITY if reliability is None else max(reliability, OWN_RELIABILITY_MIN))


def price_of(reliability: float | None, terms: Terms, word: float | None = None) -> Ratio:
    """Return what to give at most for one note of an issuer, None for one that was never seen.

    ``word``: the most that it is worth by what the issuer itself asks for it.
    """
    if terms.mode != "discount":
        return terms.most
    value = worth(STRANGER_RELIABILITY if reliability is None else reliability)
    known = value[0] / value[1] if word is None else min(value[0] / value[1], word)
    ratio = min(known * terms.markup / terms.own, terms.most[0] / terms.most[1])
    return (max(1, int(ratio * GRAIN)), GRAIN)


def priced(orders: Iterable[Order], terms: Terms, trust: Trust) -> list[Order]:
    """Return the orders as they go out on these terms; those that the terms forbid are left out."""
    found = (_priced(order, terms, trust) for order in orders)
    return [order for order in found if order is not None and order.quantity > 0]


def _priced(order: Order, terms: Terms, trust: Trust) -> Order | None:
    if order.issuer is None:
        return None if terms.mode == "ticket" else _any_issuer(order, terms, trust)
    if order.issuer in terms.refused or (order.bargain and terms.mode != "discount"):
        return None
    word = trust.at_most(order.issuer) if terms.mode == "discount" else None
    price = price_of(trust.reliability.get(order.issuer), terms, word)
    if terms.mode != "discount":
        return replace(order, omega=price, quantity=Quantity(-(-order.quantity * price[0] // price[1])))
    if order.bargain:
        price = (max(1, int(price[0] * BARGAIN)), price[1])
    return replace(order, omega=price, quantity=given_for(order.quantity, price))


def given_for(wanted: int, price: Ratio) -> Quantity:
    """Return how much to put into an order for so much: what it takes when both sides share what the price leaves.

    A ring takes all that is put in, at a price that is better than the worst we accept; put in at the worst, it would
    bring twice and thrice what is wanted. What is missing afterwards is ordered again; it always pays for one unit at
    the worst, since a few MiB that are missing would else be ordered in vain for ever.
    """
    if price[0] <= price[1]:
        return Quantity(-(-wanted * price[0] // price[1]))
    return Quantity(max(math.ceil(wanted * math.sqrt(price[0] / price[1])), -(-price[0] // price[1])))


def _any_issuer(order: Order, terms: Terms, trust: Trust) -> Order:
    """Let an order for anybody's notes leave out whom the terms refuse, and whom we know for unreliable.

    Where orders are priced, such an order is for young networks, in which all are strangers and nobody is worth more.
    """
    known = trust.reliability
    judged = known if trust.caps.lots else trust.vetted
    bad = [n for n, r in known.items() if r < PAR_RELIABILITY and (n in judged or trust.is_bad(n))]
    bad.sort(key=lambda n: (known[n], n))
    asking = sorted(trust.asks) if terms.mode == "discount" else ()
    words = ((n, trust.at_most(n)) for n in asking)
    unfair = (n for n, word in words if word is not None and word < UNFAIR * terms.own)
    refused = dict[NodeId, None]()
    for node in chain(sorted(terms.refused), bad, unfair, trust.caps.lots):
        refused[node] = None
        if len(refused) == PATTERN_MAX - 2:  # two places are for ourselves and for whose notes we give
            break
    return replace(
        order,
        omega=min(terms.most, _PAR, key=lambda ratio: ratio[0] / ratio[1]),
        refused=tuple(refused),
    )


def preferring(offering: Sequence[NodeId], terms: Terms) -> list[NodeId]:
    """Return who offers, the preferred first, without the refused."""
    first = [node for node in terms.preferred if node in offering and node not in terms.refused]
    return [*first, *(node for node in offering if node not in first and node not in terms.refused)]
