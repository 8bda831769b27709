"""Several kinds of leases: under which a node keeps its folders, and what it bids for notes of the others.

As a daemon has it: the folders are kept under the first kind that is offered, and the keeper pays with notes of that
kind. Space of another kind is had by an ``[[order]]`` of the config, paid for with the first kind; own space of another
kind is given by hand alone. So of each further kind a person here wants some in hand, and offers as much by hand for
anybody's notes of its first kind. Notes of further kinds wait in the wallet until they run out: no folder uses them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.translator.orders import Order
from nanobarter.translator.standing import Standing

KIND: Final = LeaseKind("30d")
DAYS: Final = {KIND: 30, LeaseKind("90d"): 90, LeaseKind("365d"): 365}
HAND: Final = 2048  # MiB of each further kind: to have in hand, and to offer
_PAR: Final = (1, 1)


def kinds_for(number: int, count: int) -> tuple[LeaseKind, ...]:
    """Return the kinds that a node offers, of so many that there are: the first is another from node to node."""
    kinds, first = tuple(DAYS)[:count], number % count
    return (*kinds[first:], *kinds[:first])


@dataclass
class Further:
    """What one node has to do with kinds other than its first: own notes out, and others' in hand by their end."""

    kinds: tuple[LeaseKind, ...] = ()
    out: dict[LeaseKind, int] = field(default_factory=dict[LeaseKind, int])
    hand: dict[Quality, list[tuple[int, int]]] = field(default_factory=dict[Quality, list[tuple[int, int]]])

    @property
    def pledged(self) -> int:
        """What is offered of all of them."""
        return HAND * len(self.kinds)

    def free(self, kind: LeaseKind) -> int:
        """How much of what is offered of a kind is not promised."""
        return HAND - self.out.get(kind, 0) if kind in self.kinds else 0

    def orders(self, me: NodeId, first: LeaseKind) -> list[Order]:
        """Return the orders of the config, and the bids by hand."""
        in_hand = {quality: sum(q for _, q in lots) for quality, lots in self.hand.items()}
        found = list[Order]()
        for kind in self.kinds:
            found += Standing(Quantity(HAND), kind, first, _PAR).orders(in_hand, 0, me)
            key = sha256(b"hand/" + kind.encode())[:16]
            found.append(Order(first, None, Quantity(self.free(kind)), key=key, gives=Quality(me, kind)))
        return found

    def ended(self, day: int) -> Iterator[tuple[Quality, int]]:
        """Drop the notes in hand that ran out, and yield them."""
        for quality, lots in list(self.hand.items()):
            self.hand[quality] = [(end, q) for end, q in lots if end > day]
            yield quality, sum(q for end, q in lots if end <= day)
