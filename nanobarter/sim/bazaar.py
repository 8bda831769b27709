"""A market of nodes that only hear of each other: each with its own book, under virtual time.

What a node decides is the daemon's own code: which ring it proposes (``translator.choosing``, ``matching.network``),
whether a draft holds (``swap.objections``, ``translator.lastlook``). What happens between those decisions is written
down here as the swap does it on a network that loses nothing: a draft that is looked at asks both issuers first, a
bid is in one draft at a time, who is refused tells the others, and a ring that all approve settles after the messages
of RING-COMMIT have gone their ways. Notes, locks and signatures of drafts are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from msgspec import structs

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import AgreementId, BidId, DraftId, NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, INSTANT_MAX, Instant, Quantity, Span, after
from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, bid_from_item
from nanobarter.matching.wire import BidBody, bid_id_for, bid_id_of
from nanobarter.sim.clock import Scheduler
from nanobarter.swap.events import DraftRefused, Outcome, Settled
from nanobarter.swap.messages import Draft, DraftArc
from nanobarter.swap.objections import draft_objection
from nanobarter.swap.terms import SwapTimes
from nanobarter.translator.choosing import Chooser
from nanobarter.translator.lastlook import outdated
from nanobarter.translator.market_ports import Pace

DELAY: Final = (20, 400)
"""Milliseconds that a message takes, drawn anew for each."""
BID_LIFE: Final = Span(DAY)  # longer than any run
_NOBODY: Final = DraftId(bytes(32))


@dataclass
class Counts:
    """What happened in a market. ``cleared``: when how much changed hands."""

    drafts: int = 0
    agreements: int = 0
    refusals: dict[str, int] = field(default_factory=dict[str, int])
    expired: int = 0
    cleared: list[tuple[Instant, int]] = field(default_factory=list[tuple[Instant, int]])
    rings: list[tuple[DraftArc, ...]] = field(default_factory=list[tuple[DraftArc, ...]])

    @property
    def volume(self) -> int:
        """All that changed hands."""
        return sum(quantity for _, quantity in self.cleared)


@dataclass(eq=False)
class _Ring:
    """One draft on its way. ``match`` is what its proposer found."""

    draft: Draft
    match: Match
    approved: set[int] = field(default_factory=set[int])
    arrives: dict[int, Instant] = field(default_factory=dict[int, Instant])
    looked: dict[int, Instant] = field(default_factory=dict[int, Instant])
    """When a party has the draft, and when it has looked at it."""
    over: bool = False
    """Its proposer has no more use for answers."""


@dataclass
class _Own:
    """An own bid: what it says now, and the draft that holds it."""

    body: BidBody
    item: Item
    ring: _Ring | None = None


class Node:
    """One node: what it heard, what it wants, and what it is busy with."""

    def __init__(self, bazaar: "Bazaar", key: SigningKey, number: int) -> None:
        self.bazaar, self.key, self.me = bazaar, key, key.node_id
        self.book = Book()
        self.items = dict[BidId, Item]()
        self.own = dict[BidId, _Own]()
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
            self.own[bid_id] = _Own(body, item)
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
            if own.ring is not None:
                continue
            found = self.chooser.next(self.book, bid_id, now)
            if isinstance(found, Match):
                self._propose(own, found)
            else:
                again = min(again, found)
        if again < INSTANT_MAX:
            self.think(again)

    def _propose(self, own: _Own, match: Match) -> None:
        bazaar = self.bazaar
        arcs = tuple(DraftArc(arc.bid, arc.giver, arc.quality, arc.quantity) for arc in match.arcs)
        items = tuple(self.items[arc.bid] for arc in match.arcs)
        if len({arc.giver for arc in arcs}) < len(arcs):
            self.chooser.ended(match, None, _versions(items), bazaar.clock.now)
            self.think()
            return
        ring = _Ring(Draft(arcs, items, bazaar.times.pace, bytes(32), bazaar.clock.now), match)
        bazaar.counts.drafts += 1
        refused = self._objection(ring, 0)
        if refused is not None:
            bazaar.end(ring, DraftRefused(_NOBODY, arcs[0].bid, self.me, refused.reason, refused.detail))
            return
        own.ring = ring
        bazaar.clock.at(after(bazaar.clock.now, bazaar.times.approve), partial(bazaar.expire, ring))
        bazaar.clock.later(bazaar.look(ring, 0), partial(bazaar.offer, ring))

    # -- answering

    def consider(self, ring: _Ring, index: int) -> None:
        """Answer a draft that has arrived."""
        bazaar, refused = self.bazaar, self._objection(ring, index)
        if refused is not None:
            bazaar.clock.later(bazaar.delay(), partial(bazaar.refused, ring, self.me, refused))
            return
        self.own[ring.draft.arcs[index].bid].ring = ring
        ring.looked[index] = after(bazaar.clock.now, Span(bazaar.look(ring, index)))
        bazaar.clock.at(after(ring.looked[index], Span(bazaar.delay())), partial(bazaar.approved, ring, index))

    def _objection(self, ring: _Ring, index: int) -> Refused | None:
        own = self.own.get(ring.draft.arcs[index].bid)
        if own is not None and own.ring is not None:
            return Refused(Reason.BUSY, "another draft holds the bid")
        objection = draft_objection(ring.draft, index, self.bazaar.times, self.bazaar.clock.now)
        return objection or outdated(ring.draft, index, self)

    def release(self, ring: _Ring, index: int) -> None:
        """Let go of a bid that a draft held."""
        own = self.own.get(ring.draft.arcs[index].bid)
        if own is not None and own.ring is ring:
            own.ring = None
            self.think()

    def settle(self, ring: _Ring, index: int) -> None:
        """Take what the ring gave off the bid, and say what is left."""
        arc = ring.draft.arcs[index]
        own = self.own[arc.bid]
        left = Quantity(own.body.quantity - arc.quantity)
        self.post(own.item.key, structs.replace(own.body, quantity=left))


class Bazaar:
    """The nodes, the messages between them, and the count of what they do."""

    def __init__(self, keys: list[SigningKey], seed: str, pace: Pace) -> None:
        self.clock, self.counts, self.times = Scheduler(), Counts(), SwapTimes()
        self.seed, self.pace = seed, pace
        self._chance = Random(f"{seed}/delays")  # noqa: S311 - repeatable
        self.nodes = [Node(self, key, number) for number, key in enumerate(keys)]
        self._by_id: Mapping[NodeId, Node] = {node.me: node for node in self.nodes}

    def delay(self) -> int:
        """Return how long the next message takes."""
        return self._chance.randint(*DELAY)

    def spread(self, author: Node, item: Item) -> None:
        """Bring an item to all, to each after a time of its own."""
        bid_id, bid = bid_id_of(item), bid_from_item(item)
        author.hear(bid_id, item, bid)
        for node in self.nodes:
            if node is not author:
                self.clock.later(self.delay(), partial(node.hear, bid_id, item, bid))

    def look(self, ring: _Ring, index: int) -> int:
        """Return how long a party takes to look: a ping to who shall pay it, and both issuers' terms, all at once."""
        arcs = ring.draft.arcs
        me, gives, gets = arcs[index].giver, arcs[index].quality.issuer, arcs[index - 1].quality.issuer
        return max(self._ask(me, gets), self._ask(me, gives), self._ask(me, gets))

    def _ask(self, who: NodeId, whom: NodeId) -> int:
        return 0 if who == whom else self.delay() + self.delay()

    def offer(self, ring: _Ring) -> None:
        """Let the draft go to all other parties."""
        ring.approved.add(0)
        for index, arc in enumerate(ring.draft.arcs):
            if index:
                ring.arrives[index] = after(self.clock.now, Span(self.delay()))
                self.clock.at(ring.arrives[index], partial(self._by_id[arc.giver].consider, ring, index))

    def approved(self, ring: _Ring, index: int) -> None:
        """Tell the proposer of an approval; with all of them there is an agreement."""
        if ring.over:
            return
        ring.approved.add(index)
        if len(ring.approved) == len(ring.draft.arcs):
            ring.over = True
            self._agree(ring)

    def refused(self, ring: _Ring, by: NodeId, refused: Refused) -> None:
        """Tell the proposer of a refusal, who ends the draft and tells the others."""
        if ring.over:
            return
        self.counts.refusals[refused.reason.name] = self.counts.refusals.get(refused.reason.name, 0) + 1
        self.end(ring, DraftRefused(_NOBODY, ring.draft.arcs[0].bid, by, refused.reason, refused.detail))

    def expire(self, ring: _Ring) -> None:
        """End a draft that not all have answered in time."""
        if not ring.over:
            self.counts.expired += 1
            self.end(ring, DraftRefused(_NOBODY, ring.draft.arcs[0].bid, None, Reason.EXPIRED, "not all approved"))

    def end(self, ring: _Ring, outcome: Outcome) -> None:
        """Let the proposer learn from a draft that came to nothing, and all let go of their bids."""
        ring.over = True
        draft = ring.draft
        proposer = self._by_id[draft.arcs[0].giver]
        proposer.release(ring, 0)
        proposer.chooser.ended(ring.match, outcome, _versions(draft.bids), self.clock.now)
        proposer.think()
        for index in ring.arrives:
            self.clock.at(
                max(after(self.clock.now, Span(self.delay())), ring.arrives[index]), partial(self._cancel, ring, index)
            )

    def _cancel(self, ring: _Ring, index: int) -> None:
        """Let a party hear that a draft is off; while it still looks at it, the word is repeated."""
        party = self._by_id[ring.draft.arcs[index].giver]
        looked = ring.looked.get(index, self.clock.now)
        if looked <= self.clock.now:
            party.release(ring, index)
        else:
            again = self._chance.randint(0, LIMITS.swap_retry_first)
            self.clock.at(after(looked, Span(again)), partial(party.release, ring, index))

    def _agree(self, ring: _Ring) -> None:
        """Let each party settle when the messages of an agreement have gone their ways."""
        self.counts.agreements += 1
        for index, span in enumerate(self._settling(ring)):
            self.clock.later(span, partial(self._settle, ring, index))

    def _settling(self, ring: _Ring) -> list[int]:
        """Return how long after AGREED each party has its notes: locks, votes, the first open, the push, the take."""
        arcs = ring.draft.arcs
        locked = [
            (self.delay() if index else 0) + self._ask(arc.giver, arc.quality.issuer) for index, arc in enumerate(arcs)
        ]
        seen = [max(at + (self.delay() if k != j else 0) for j, at in enumerate(locked)) for k in range(len(arcs))]
        voted = max(seen[0], *(at + self.delay() for at in seen[1:]))
        opened = voted + self._ask(arcs[0].giver, arcs[-1].quality.issuer)
        ends = list[int]()
        for index, arc in enumerate(arcs):
            paying = arcs[index - 1].quality.issuer
            told = opened + (self.delay() if index else 0)
            collected = told + (self._ask(arc.giver, paying) if index else 0)
            ends.append(collected + max(self._ask(arc.giver, paying), self._ask(arc.giver, arc.quality.issuer)))
        return ends

    def _settle(self, ring: _Ring, index: int) -> None:
        arc = ring.draft.arcs[index]
        if index == 0:
            self.counts.rings.append(ring.draft.arcs)
            gets = ring.draft.arcs[-1]
            outcome = Settled(
                _NOBODY,
                arc.bid,
                AgreementId(bytes(32)),
                (arc.quality, arc.quantity),
                (gets.quality, gets.quantity),
                tuple(each.giver for each in ring.draft.arcs),
            )
            self._by_id[arc.giver].chooser.ended(ring.match, outcome, _versions(ring.draft.bids), self.clock.now)
        self.counts.cleared.append((self.clock.now, arc.quantity))
        self._by_id[arc.giver].settle(ring, index)


def _versions(items: tuple[Item, ...]) -> dict[BidId, int]:
    return {bid_id_of(item): item.sequence for item in items}
