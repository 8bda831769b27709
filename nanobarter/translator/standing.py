"""Orders that a person writes into her config: so much of others' space, of a kind, at most at a price, at whom.

A standing order keeps so much in hand: whenever less is there it orders what is missing. One that stands ``once`` is
over when it has given what it may give. They come after the keeper's, and count against the same budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from nanobarter.core.ids import BidId, NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.matching.wire import Ratio
from nanobarter.translator.orders import Order

STANDING_MAX: Final = 8  # in one config; with several nodes each, more bids than that
NODES_MAX: Final = 8
_NOTHING: Final[Mapping[BidId, int]] = MappingProxyType({})


@dataclass(frozen=True)
class Standing:
    """One order of the config. ``price`` is the most to give for one received; no ``at``: anybody's."""

    get: Quantity
    kind: LeaseKind
    gives: LeaseKind
    price: Ratio
    at: tuple[NodeId, ...] = ()
    refused: tuple[NodeId, ...] = ()
    once: bool = False
    name: str = ""
    """Tells two orders apart that say the same otherwise: another name is another order."""
    wanted: tuple[NodeId, ...] = ()
    """With no ``at``: those whose notes alone are wanted of anybody; none: anyone's. No part of what an order is."""

    @property
    def give(self) -> int:
        """How much of the own space it gives at most for all of it."""
        return -(-self.get * self.price[0] // self.price[1])

    def key(self, node: NodeId | None, place: int = 0) -> bytes:
        """Return the key of its bid: another order has another, so that what one gave does not count for the next.

        A bid for one of ``wanted`` goes by its place among them, so that an order that stands once stays the same one
        when others are wanted.
        """
        words = f"{self.get}/{self.kind}/{self.gives}/{self.price}/{self.once}".encode()
        name = b"name/" + self.name.encode() if self.name else b""
        whose = node if node is not None and self.at else b"any" + (b"%d" % place if place else b"")
        return sha256(b"standing/" + words + b"".join(self.at) + whose + name)[:16]

    def bids(self, me: NodeId) -> list[BidId]:
        """Return the ids of the bids that it makes."""
        return [self._order(place, node, 1, me).bid_id(me) for place, node in enumerate(self._asked(me))]

    def bids_ever(self, me: NodeId) -> list[BidId]:
        """Return the ids of the bids that it makes or made, whoever was wanted then."""
        if self.at:
            return self.bids(me)
        return [self._order(place, None, 1, me).bid_id(me) for place in range(NODES_MAX)]

    def _asked(self, me: NodeId) -> Sequence[NodeId | None]:
        """Return whose notes are asked for, one bid each: a pattern names one issuer or all of them."""
        among = [node for node in self.wanted if node != me and node not in self.refused][:NODES_MAX]
        return self.at or (among if self.wanted else (None,))

    def _order(self, place: int, node: NodeId | None, given: int, me: NodeId) -> Order:
        return Order(
            self.kind,
            node,
            Quantity(given),
            key=self.key(node, place),
            gives=Quality(me, self.gives),
            omega=self.price,
            refused=self.refused if node is None else (),
        )

    def orders(
        self,
        in_hand: Mapping[Quality, int],
        given: int,
        me: NodeId,
        promised: Mapping[BidId, int] = _NOTHING,
    ) -> list[Order]:
        """Return what is to be ordered now.

        ``in_hand``: the notes held; ``given``: what its bids have given so far; ``promised``: what rings under way may
        take of each bid. That stays with its bid, and only what is left beside is divided: else a ring that hangs at
        one node would have its part ordered once more at the others.
        """
        if self.once:
            left = self.give - given
        else:
            fitting = (size for q, size in in_hand.items() if q.kind == self.kind and self._takes(q.issuer, me))
            missing = max(0, self.get - sum(fitting))
            left = -(-missing * self.price[0] // self.price[1])
        nodes = self._asked(me)
        held = [promised.get(bid, 0) for bid in self.bids(me)]
        free = max(0, left - sum(held))
        shares = [of_ring + free // len(nodes) + (place < free % len(nodes)) for place, of_ring in enumerate(held)]
        divided = enumerate(zip(nodes, shares, strict=True))
        return [self._order(place, node, share, me) for place, (node, share) in divided if share > 0]

    def _takes(self, issuer: NodeId, me: NodeId) -> bool:
        if self.at or self.wanted:
            return issuer != me and issuer in (self.at or self.wanted) and issuer not in self.refused
        return issuer != me and issuer not in self.refused


def price_for(get: int, give: int | None, price: Ratio | None) -> Ratio:
    """Return the most to give for one received: the better of what is said in two ways, par when nothing is."""
    said = [Fraction(*price)] if price is not None else []
    said += [Fraction(give, get)] if give is not None else []
    best = min(said, default=Fraction(1))
    return best.numerator, best.denominator


def price_of_backup(lent: int, lend_most: int, usual: Ratio) -> Ratio:
    """Return the most to give for one received, when all that a plan wants may cost so much of the own space."""
    best = min(Fraction(*usual), Fraction(max(1, lend_most), max(1, lent)))
    return best.numerator, best.denominator
