"""What others offer at present, as rates: of all who would exchange two qualities, the one in the middle.

A quote costs nothing, so whoever posts a thousand of them, or one at a senseless price, must not move a rate by much:
each owner counts once for two qualities, at the best of his prices, and of the owners the median counts.
"""

from collections.abc import Iterable
from fractions import Fraction

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.item import ITEM_BODY_MAX, Item
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant
from nanobarter.matching.wire import BidBody
from nanobarter.translator.rates import Deal

Pair = tuple[Quality, Quality]
_GRAIN = 10**6


def quotes_of(bids: Iterable[Item], me: NodeId, now: Instant) -> list[Deal]:
    """Return one rate for each pair of qualities that others would exchange with us: what we would give for what."""
    found = dict[Pair, dict[NodeId, Fraction]]()
    for item in bids:
        if item.node == me or (body := _body(item)) is None:
            continue
        wants = body.wants
        ours = wants.issuer if wants.issuer is not None else me  # whoever takes anybody's takes ours
        if wants.issuer is None and me in wants.refused:
            continue
        pair = (Quality(ours, wants.kind), body.gives)
        price = Fraction(body.omega[1], body.omega[0])  # given by us for one that we receive
        owners = found.setdefault(pair, {})
        owners[item.node] = min(price, owners.get(item.node, price))
    return [_deal(pair, list(owners.values()), now) for pair, owners in found.items()]


def _body(item: Item) -> BidBody | None:
    try:
        return decode(item.body, BidBody, size_max=ITEM_BODY_MAX)
    except Malformed:
        return None


def _deal(pair: Pair, prices: list[Fraction], now: Instant) -> Deal:
    price = sorted(prices)[len(prices) // 2]
    given = max(1, int(_GRAIN * price))
    return Deal(pair[0], given, pair[1], _GRAIN, now, source="quote", many=len(prices))
