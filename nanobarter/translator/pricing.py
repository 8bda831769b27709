"""Orders at a price: what a node gives at most for a note, by how far its issuer can be relied on.

As many units of two qualities make equally safe redundancy as their values v(r) are worth (``rates``), so a node that
gives its own space at par for whatever is offered gets the worst of it. Three modes:

- ``ticket``: named issuers only, one for one: nothing that could be passed on to somebody else is wanted;
- ``par``: one for one; what is ordered of anybody leaves out whom we know to be below ``PAR_RELIABILITY``. A named
  issuer that is no better still gets its order, since a share there is better than none;
- ``discount``: at v(r) of each issuer times what our own notes have to give for it (``markup``), up to the reserve
  price; strangers as in ``par``.

What one's own notes are worth to others nobody can know but by asking: the markup rises while orders wait in vain and
falls while they are filled, so that it comes to rest where others take them.

Ratios are rounded down to thousandths: never is more given than the estimate says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from nanobarter.core.ids import NodeId
from nanobarter.core.units import Quantity
from nanobarter.matching.wire import Ratio
from nanobarter.translator.orders import Order
from nanobarter.translator.rates import REFERENCE_RELIABILITY, value_by_reliability
from nanobarter.translator.vetting import Trust

Mode = Literal["ticket", "par", "discount"]
GRAIN: Final = 1000  # of ratios: finer than any estimate
PATTERN_MAX: Final = 64  # issuers that one bid may name
MARKUP_UP: Final = 1.1
MARKUP_DOWN: Final = 0.97
MARKUP_MAX: Final = 16.0
PAR_RELIABILITY: Final = 0.8  # v(0.8) = 0.58: below it a note is worth little more than half of one's own
_PAR: Final[Ratio] = (1, 1)


@dataclass(frozen=True)
class Terms:
    """On which terms to order: the mode, the most to give for one received, and whom to prefer or refuse."""

    mode: Mode = "par"
    reserve_price: Ratio | None = None
    """None: par, or twice par where orders are priced; there it bounds the markup, so that the bad stay cheap."""
    refused: frozenset[NodeId] = frozenset()
    preferred: tuple[NodeId, ...] = ()
    markup: float = 1.0

    @property
    def most(self) -> Ratio:
        """The most to give for one received."""
        return self.reserve_price or ((2, 1) if self.mode == "discount" else _PAR)


PLAIN_TERMS: Final = Terms()
"""One for one."""


def next_markup(markup: float, *, filled: bool) -> float:
    """Return how much more of our own notes to give for the same, after a span in which orders were filled or not."""
    return min(MARKUP_MAX, markup * MARKUP_UP) if not filled else max(1 / MARKUP_MAX, markup * MARKUP_DOWN)


def worth(reliability: float) -> Ratio:
    """Return v(r) as a ratio, rounded down, at least one in a thousand."""
    return (max(1, int(GRAIN * value_by_reliability(min(max(reliability, 0.0), 1.0)))), GRAIN)


def price_of(reliability: float | None, terms: Terms) -> Ratio:
    """Return what to give at most for one note of an issuer; of one that is not judged yet, as for the reference."""
    if terms.mode != "discount":
        return terms.most
    value = worth(REFERENCE_RELIABILITY if reliability is None else reliability)
    markup = min(terms.markup, terms.most[0] / terms.most[1])
    return (max(1, int(value[0] * markup)), value[1])


def priced(orders: Iterable[Order], terms: Terms, trust: Trust) -> list[Order]:
    """Return the orders as they go out on these terms; those that the terms forbid are left out."""
    found = (_priced(order, terms, trust) for order in orders)
    return [order for order in found if order is not None and order.quantity > 0]


def _priced(order: Order, terms: Terms, trust: Trust) -> Order | None:
    if order.issuer is None:
        return None if terms.mode == "ticket" else _any_issuer(order, terms, trust)
    if order.issuer in terms.refused:
        return None
    known = trust.reliability.get(order.issuer)
    judged = order.issuer in trust.vetted or trust.caps.lots
    price = price_of(known if judged else None, terms)
    given = -(-order.quantity * price[0] // price[1])
    return replace(order, omega=price, quantity=Quantity(given))


def _any_issuer(order: Order, terms: Terms, trust: Trust) -> Order:
    """Let an order for anybody's notes leave out whom the terms refuse, and whom we know for unreliable."""
    judged = trust.reliability if trust.caps.lots else {n: r for n, r in trust.reliability.items() if n in trust.vetted}
    known = sorted(judged.items(), key=lambda pair: (pair[1], pair[0]))
    bad = [node for node, r in known if r < PAR_RELIABILITY and node not in terms.refused]
    refused = [*sorted(terms.refused), *bad]
    discounts = list[tuple[NodeId, Ratio]]()
    if terms.mode == "discount":
        discounts = [(node, worth(r)) for node, r in known if node not in terms.refused and r < REFERENCE_RELIABILITY]
        refused = sorted(terms.refused)
    if trust.caps.lots:
        refused += [node for node in trust.caps.lots if node not in refused]
    return replace(
        order,
        omega=price_of(REFERENCE_RELIABILITY, terms),
        refused=tuple(refused[: PATTERN_MAX - 2]),  # two places are for ourselves and for whose notes we give
        discounts=tuple(discounts[:PATTERN_MAX]),
    )


def preferring(offering: Sequence[NodeId], terms: Terms) -> list[NodeId]:
    """Return who offers, the preferred first, without the refused."""
    first = [node for node in terms.preferred if node in offering and node not in terms.refused]
    return [*first, *(node for node in offering if node not in first and node not in terms.refused)]


def share_values(held: Mapping[NodeId, int], trust: Trust) -> float:
    """Return what is held in units of a reference note: each MiB at v(r), of strangers at nothing."""
    return sum(value_by_reliability(trust.reliability.get(node, 0.0)) * quantity for node, quantity in held.items())
