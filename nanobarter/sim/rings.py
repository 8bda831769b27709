"""Which ring a world is about: bids of its people, the production matcher's cycle through them, and the draft."""

from dataclasses import dataclass
from functools import cache

from nanobarter.core.canonical import encode
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import Signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, Quantity
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, bid_from_item, find
from nanobarter.matching.wire import BidBody, Want, bid_id_of
from nanobarter.sim.clock import START
from nanobarter.sim.people import KIND, key_of, party_key
from nanobarter.swap.making import make_draft
from nanobarter.swap.messages import Draft, DraftArc
from nanobarter.swap.terms import SwapTimes


@dataclass(frozen=True)
class Ring:
    """P_0 .. P_{n-1} and, arc by arc, by name, whose notes are given; all arcs are of one quantity."""

    issuers: tuple[str, ...]
    quantity: Quantity
    offered: Quantity | None = None
    """What each bid offers, if that is more."""

    @property
    def size(self) -> int:
        """The number of parties."""
        return len(self.issuers)

    @property
    def parties(self) -> tuple[str, ...]:
        """The parties by name."""
        return tuple(f"party {i}" for i in range(self.size))

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody: parties, then issuers that are none."""
        return (*self.parties, *dict.fromkeys(name for name in self.issuers if name not in self.parties))


@cache
def matched(ring: Ring) -> tuple[Match, tuple[Item, ...]]:
    """Return the match that P_0 finds in a book of all bids, and the bids in its order."""
    items = [_bid(ring, i) for i in range(ring.size)]
    book = Book()
    for item in items:
        bid = bid_from_item(item)
        if bid is not None:
            book.insert(bid)
    match = find(book, bid_id_of(items[0]))
    if match is None or len(match.arcs) != ring.size:
        raise ValueError(f"the bids of {ring} do not make a ring")
    by_id = {bid_id_of(item): item for item in items}
    return match, tuple(by_id[arc.bid] for arc in match.arcs)


def _bid(ring: Ring, index: int) -> Item:
    gives = Quality(key_of(ring.issuers[index]).node_id, KIND)
    wants = Want(KIND, key_of(ring.issuers[index - 1]).node_id, (), ())
    body = encode(BidBody("limit", gives, wants, (1, 1), ring.offered or ring.quantity, None))
    return make_item(
        party_key(index), "bid", bytes([index]) * 16, sequence=1, expires=Instant(START + 10 * DAY), body=body
    )


def draft_of(ring: Ring, times: SwapTimes, nonce: bytes, now: Instant) -> Signed:
    """Return the draft of the ring, signed by P_0, as ``Swap.propose`` makes it."""
    match, items = matched(ring)
    arcs = tuple(DraftArc(a.bid, a.giver, a.quality, ring.quantity) for a in match.arcs)
    return make_draft(party_key(0), Draft(arcs, items, times.pace, nonce, now))
