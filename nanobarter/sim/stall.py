"""One node of a simulated market: its book, its own bids, which ring it proposes, and what it answers to drafts.

What it decides is the daemon's own code: which ring it proposes (``translator.choosing``, ``matching.network``), and
whether a draft holds (``swap.objections``, ``translator.lastlook``).
"""

from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final, Protocol

from msgspec import structs

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, INSTANT_MAX, Instant, Quantity, Span, after
from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match
from nanobarter.matching.wire import BidBody, bid_id_for, bid_id_of
from nanobarter.sim.clock import Scheduler
from nanobarter.swap.events import DraftRefused, Outcome
from nanobarter.swap.messages import Draft, DraftArc
from nanobarter.swap.objections import draft_objection
from nanobarter.swap.terms import SwapTimes
from nanobarter.translator.choosing import Chooser
from nanobarter.translator.lastlook import outdated
from nanobarter.translator.market_ports import Pace

BID_LIFE: Final = Span(DAY)  # longer than any run
NOBODY: Final = DraftId(bytes(32))


@dataclass(eq=False)
class Ring:
    """One draft on its way. ``match`` is what its proposer found."""

    draft: Draft
    match: Match
    approved: set[int] = field(default_factory=set[int])
    arrives: dict[int, Instant] = field(default_factory=dict[int, Instant])
    """When a party has the draft."""
    cancelled: set[int] = field(default_factory=set[int])
    """Parties who know that it is off."""
    over: bool = False
    """Its proposer has no more use for answers."""


@dataclass
class Own:
    """An own bid: what it says now, the draft that holds it, and one of our own that we look at before we say it."""

    body: BidBody
    item: Item
    ring: Ring | None = None
    looks: bool = False


class Roads(Protocol):
    """What a node needs of the market around it: the time, and ways for what it says."""

    clock: Scheduler
    times: SwapTimes
    pace: Pace
    seed: str

    def delay(self) -> int:
        """Return how long the next message takes."""
        ...

    def look(self, ring: Ring, index: int) -> int:
        """Return how long a party takes to look at a draft."""
        ...

    def spread(self, author: "Stall", item: Item) -> None:
        """Bring an item to all."""
        ...

    def begun(self) -> None:
        """Count a draft."""
        ...

    def offer(self, ring: Ring) -> None:
        """Let a draft go to all other parties."""
        ...

    def approved(self, ring: Ring, index: int) -> None:
        """Tell the proposer of an approval."""
        ...

    def refused(self, ring: Ring, by: NodeId, refused: Refused) -> None:
        """Tell the proposer of a refusal."""
        ...

    def expire(self, ring: Ring) -> None:
        """End a draft that not all have answered in time."""
        ...

    def end(self, ring: Ring, outcome: Outcome) -> None:
        """Let all know of a draft that came to nothing."""
        ...


class Stall:
    """One node: what it heard, what it wants, and what it is busy with."""

    def __init__(self, bazaar: Roads, key: SigningKey, number: int) -> None:
        self.bazaar, self.key, self.me = bazaar, key, key.node_id
        self.book = Book()
        self.items = dict[BidId, Item]()
        self.own = dict[BidId, Own]()
        self.chooser = Chooser(bazaar.pace, LIMITS, Random(f"{bazaar.seed}/node/{number}").randbytes)  # noqa: S311 - repeatable
        self._thinks_at = Instant(INSTANT_MAX)
        self._thought_at = Instant(0)

    # -- what the look at a draft asks

    def is_current(self, bid: BidId, item: Item) -> bool:
        """Tell whether this very version of an own bid stands now."""
        own = self.own.get(bid)
        return own is not None and own.item == item

    def item_of(self, bid: BidId) -> Item | None:
        """Return the live item of a bid."""
        return self.items.get(bid)

    # -- bids

    def post(self, key: bytes, body: BidBody) -> None:
        """Say a bid to all."""
        now = self.bazaar.clock.now
        before = self.own.get(bid_id_for(self.me, key))
        sequence = now if before is None else max(now, before.item.sequence + 1)
        text = b"" if not body.quantity else encode(body)
        item = make_item(self.key, "bid", key, sequence=sequence, expires=after(now, BID_LIFE), body=text)
        bid_id = bid_id_of(item)
        if body.quantity:
            self.own[bid_id] = Own(body, item)
            self.chooser.begin(bid_id)
        else:
            del self.own[bid_id]
            self.chooser.forget(bid_id)
        self.bazaar.spread(self, item)

    def hear(self, bid_id: BidId, item: Item, bid: Bid | None) -> None:
        """Take a version of a bid that gossip brings, unless a newer one came first."""
        known = self.items.get(bid_id)
        if known is not None and known.sequence >= item.sequence:
            return
        self.items[bid_id] = item
        if bid is None:
            self.book.withdraw(bid_id)
        else:
            self.book.insert(bid)
        self.think()

    # -- proposing

    def think(self, at: Instant | None = None) -> None:
        """Look at the book at an instant, or as soon as the pace allows."""
        due = max(at or self.bazaar.clock.now, after(self._thought_at, self.bazaar.pace.gather))
        if due < self._thinks_at:
            self._thinks_at = due
            self.bazaar.clock.at(due, partial(self._wake, due))

    def _wake(self, due: Instant) -> None:
        if due != self._thinks_at:
            return  # an earlier look has taken its place
        now = self._thought_at = self.bazaar.clock.now
        self._thinks_at = Instant(INSTANT_MAX)
        again = Instant(INSTANT_MAX)
        for bid_id, own in list(self.own.items()):
            if own.ring is not None or own.looks:
                continue
            found = self.chooser.next(self.book, bid_id, now)
            if isinstance(found, Match):
                self._propose(own, found)
            else:
                again = min(again, found)
        if again < INSTANT_MAX:
            self.think(again)

    def _propose(self, own: Own, match: Match) -> None:
        bazaar = self.bazaar
        arcs = tuple(DraftArc(arc.bid, arc.giver, arc.quality, arc.quantity) for arc in match.arcs)
        items = tuple(self.items[arc.bid] for arc in match.arcs)
        if len({arc.giver for arc in arcs}) < len(arcs):
            self.chooser.ended(match, None, versions_of(items), bazaar.clock.now)
            self.think()
            return
        ring = Ring(Draft(arcs, items, bazaar.times.pace, bytes(32), bazaar.clock.now), match)
        bazaar.begun()
        if not self._stands(ring):
            return
        own.looks = True
        bazaar.clock.at(after(bazaar.clock.now, bazaar.times.approve), partial(bazaar.expire, ring))
        bazaar.clock.later(bazaar.look(ring, 0), partial(self._say, ring, own))

    def _say(self, ring: Ring, own: Own) -> None:
        """Say a draft, unless another one took the bid while we looked."""
        own.looks = False
        if self._stands(ring):
            own.ring = ring
            self.bazaar.offer(ring)

    def _stands(self, ring: Ring) -> bool:
        """Tell whether an own draft can be said; if not it has ended."""
        refused = self._objection(ring, 0)
        if refused is not None:
            bid = ring.draft.arcs[0].bid
            self.bazaar.end(ring, DraftRefused(NOBODY, bid, self.me, refused.reason, refused.detail))
        return refused is None

    # -- answering

    def consider(self, ring: Ring, index: int) -> None:
        """Look at a draft that has arrived; whichever has been looked at first gets the bid."""
        bazaar, refused = self.bazaar, self._objection(ring, index)
        if refused is not None:
            bazaar.clock.later(bazaar.delay(), partial(bazaar.refused, ring, self.me, refused))
            return
        bazaar.clock.later(bazaar.look(ring, index), partial(self._approve, ring, index))

    def _approve(self, ring: Ring, index: int) -> None:
        """Answer a draft that was looked at, unless it is known to be off."""
        bazaar = self.bazaar
        if index in ring.cancelled:
            return
        refused = self._objection(ring, index)
        if refused is not None:
            bazaar.clock.later(bazaar.delay(), partial(bazaar.refused, ring, self.me, refused))
            return
        self.own[ring.draft.arcs[index].bid].ring = ring
        bazaar.clock.later(bazaar.delay(), partial(bazaar.approved, ring, index))

    def _objection(self, ring: Ring, index: int) -> Refused | None:
        own = self.own.get(ring.draft.arcs[index].bid)
        if own is not None and own.ring is not None:
            return Refused(Reason.BUSY, "another draft holds the bid")
        objection = draft_objection(ring.draft, index, self.bazaar.times, self.bazaar.clock.now)
        return objection or outdated(ring.draft, index, self)

    def release(self, ring: Ring, index: int) -> None:
        """Let go of a bid that a draft held."""
        own = self.own.get(ring.draft.arcs[index].bid)
        if own is not None and own.ring is ring:
            own.ring = None
            self.think()

    def settle(self, ring: Ring, index: int) -> None:
        """Take what the ring gave off the bid, and say what is left."""
        arc = ring.draft.arcs[index]
        own = self.own[arc.bid]
        left = Quantity(own.body.quantity - arc.quantity)
        self.post(own.item.key, structs.replace(own.body, quantity=left))


def versions_of(items: tuple[Item, ...]) -> dict[BidId, int]:
    """Return the sequences of these versions of bids."""
    return {bid_id_of(item): item.sequence for item in items}
