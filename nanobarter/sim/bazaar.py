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

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import AgreementId, NodeId
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import Instant, Span, after
from nanobarter.matching.network import bid_from_item
from nanobarter.matching.wire import bid_id_of
from nanobarter.sim.clock import Scheduler
from nanobarter.sim.stall import NOBODY, Ring, Stall, versions_of
from nanobarter.swap.events import DraftRefused, Outcome, Settled
from nanobarter.swap.messages import DraftArc
from nanobarter.swap.terms import SwapTimes
from nanobarter.translator.market_ports import Pace

DELAY: Final = (20, 400)
"""Milliseconds that a message takes, drawn anew for each."""


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


class Bazaar:
    """The nodes, the messages between them, and the count of what they do."""

    def __init__(self, keys: list[SigningKey], seed: str, pace: Pace) -> None:
        self.clock, self.counts, self.times = Scheduler(), Counts(), SwapTimes()
        self.seed, self.pace = seed, pace
        self._chance = Random(f"{seed}/delays")  # noqa: S311 - repeatable
        self.nodes = [Stall(self, key, number) for number, key in enumerate(keys)]
        self._by_id: Mapping[NodeId, Stall] = {node.me: node for node in self.nodes}

    def delay(self) -> int:
        """Return how long the next message takes."""
        return self._chance.randint(*DELAY)

    def begun(self) -> None:
        """Count a draft."""
        self.counts.drafts += 1

    def spread(self, author: Stall, item: Item) -> None:
        """Bring an item to all, to each after a time of its own."""
        bid_id, bid = bid_id_of(item), bid_from_item(item)
        author.hear(bid_id, item, bid)
        for node in self.nodes:
            if node is not author:
                self.clock.later(self.delay(), partial(node.hear, bid_id, item, bid))

    def look(self, ring: Ring, index: int) -> int:
        """Return how long a party takes to look: a ping to who shall pay it, and both issuers' terms, all at once."""
        arcs = ring.draft.arcs
        me, gives, gets = arcs[index].giver, arcs[index].quality.issuer, arcs[index - 1].quality.issuer
        return max(self._ask(me, gets), self._ask(me, gives), self._ask(me, gets))

    def _ask(self, who: NodeId, whom: NodeId) -> int:
        return 0 if who == whom else self.delay() + self.delay()

    def offer(self, ring: Ring) -> None:
        """Let the draft go to all other parties."""
        ring.approved.add(0)
        for index, arc in enumerate(ring.draft.arcs):
            if index:
                ring.arrives[index] = after(self.clock.now, Span(self.delay()))
                self.clock.at(ring.arrives[index], partial(self._by_id[arc.giver].consider, ring, index))

    def approved(self, ring: Ring, index: int) -> None:
        """Tell the proposer of an approval; with all of them there is an agreement."""
        if ring.over:
            return
        ring.approved.add(index)
        if len(ring.approved) == len(ring.draft.arcs):
            ring.over = True
            self._agree(ring)

    def refused(self, ring: Ring, by: NodeId, refused: Refused) -> None:
        """Tell the proposer of a refusal, who ends the draft and tells the others."""
        if ring.over:
            return
        self.counts.refusals[refused.reason.name] = self.counts.refusals.get(refused.reason.name, 0) + 1
        self.end(ring, DraftRefused(NOBODY, ring.draft.arcs[0].bid, by, refused.reason, refused.detail))

    def expire(self, ring: Ring) -> None:
        """End a draft that not all have answered in time."""
        if not ring.over:
            self.counts.expired += 1
            self.end(ring, DraftRefused(NOBODY, ring.draft.arcs[0].bid, None, Reason.EXPIRED, "not all approved"))

    def end(self, ring: Ring, outcome: Outcome) -> None:
        """Let the proposer learn from a draft that came to nothing, and all let go of their bids."""
        ring.over = True
        draft = ring.draft
        proposer = self._by_id[draft.arcs[0].giver]
        proposer.release(ring, 0)
        proposer.chooser.ended(ring.match, outcome, versions_of(draft.bids), self.clock.now)
        proposer.think()
        for index in ring.arrives:
            self.clock.at(
                max(after(self.clock.now, Span(self.delay())), ring.arrives[index]), partial(self._cancel, ring, index)
            )

    def _cancel(self, ring: Ring, index: int) -> None:
        """Let a party hear that a draft is off: it looks at it no longer."""
        ring.cancelled.add(index)
        self._by_id[ring.draft.arcs[index].giver].release(ring, index)

    def _agree(self, ring: Ring) -> None:
        """Let each party settle when the messages of an agreement have gone their ways."""
        self.counts.agreements += 1
        for index, span in enumerate(self._settling(ring)):
            self.clock.later(span, partial(self._settle, ring, index))

    def _settling(self, ring: Ring) -> list[int]:
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

    def _settle(self, ring: Ring, index: int) -> None:
        arc = ring.draft.arcs[index]
        if index == 0:
            self.counts.rings.append(ring.draft.arcs)
            gets = ring.draft.arcs[-1]
            outcome = Settled(
                NOBODY,
                arc.bid,
                AgreementId(bytes(32)),
                (arc.quality, arc.quantity),
                (gets.quality, gets.quantity),
                tuple(each.giver for each in ring.draft.arcs),
            )
            self._by_id[arc.giver].chooser.ended(ring.match, outcome, versions_of(ring.draft.bids), self.clock.now)
        self.counts.cleared.append((self.clock.now, arc.quantity))
        self._by_id[arc.giver].settle(ring, index)
