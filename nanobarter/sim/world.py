"""One ring in one world: everybody in it, what goes wrong, and what there is to see of it afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.units import HOUR, MINUTE, SECOND, Span, after
from nanobarter.mint.messages import Body
from nanobarter.mint.outcomes import Case
from nanobarter.sim.clock import START, Scheduler
from nanobarter.sim.issuer import Issuer
from nanobarter.sim.luck import Luck
from nanobarter.sim.node import Node
from nanobarter.sim.party import Party
from nanobarter.sim.people import Person, person
from nanobarter.sim.post import Post
from nanobarter.sim.rings import Ring, draft_of
from nanobarter.swap import tables
from nanobarter.swap.messages import Draft, draft_id_of, open_draft
from nanobarter.swap.states import Ended, State, Voted
from nanobarter.swap.terms import SwapTimes

TIMES: Final = SwapTimes(delta=Span(5 * MINUTE), more_deltas=())
CALL_TIMEOUT: Final = SECOND  # above the longest round trip: a lost message is noticed after it, as by a transport
LONGEST: Final = Span(60 * HOUR)  # 24 h after the last outage, and much slack


@dataclass(frozen=True)
class Line:
    """One step of a run, for a person to read."""

    at: int
    who: str
    text: str


@dataclass(frozen=True)
class Word:
    """Something that an issuer signed, and the request that it answers, if it is an answer."""

    signed: Signed
    body: Body | None


class World:
    """See the module. ``crash_at`` is the number of the one point to crash at, where points are enumerated."""

    def __init__(
        self, ring: Ring, seed: int, luck: Luck, *, times: SwapTimes = TIMES, looks: bool = True, trace: bool = False
    ) -> None:
        self.ring, self.luck, self.times, self.looks = ring, luck, times, looks
        self.random = Random(seed)  # noqa: S311 - repeatable luck, no secrets
        self.scheduler = Scheduler()
        self.post = Post(self.scheduler, self.random, luck, CALL_TIMEOUT)
        self.points, self.crashes, self.crash_at = 0, 0, 0
        self.armed = dict[str, int]()
        """Nodes that will crash at so many more of their own points."""
        self.asleep = dict[str, int]()
        """Parties that fall asleep for so long as soon as they have voted."""
        self.proposals = 0
        self.more = 0
        """How many more rings P_0 proposes through the same bids while an earlier one hangs."""
        self.words = dict[NodeId, list[Word]]()
        """What each node has read of issuers' signed words, for the checker."""
        self.agreed = dict[Signed, None]()
        self.overhear: Callable[[Node, str, Signed], None] = lambda _node, _method, _signed: None
        self.read: Callable[[Node, Signed], None] = lambda _node, _signed: None
        self.lines: list[Line] | None = [] if trace else None
        self.draft: Signed | None = None
        self.drafts = dict[DraftId, Draft]()
        """All that P_0 proposed, for the checker."""
        self.nodes = [Node(person(n), self.scheduler, self.random, luck, self._crashes) for n in ring.people]
        self.people: dict[NodeId, Person] = {node.node: node.person for node in self.nodes}
        self.post.nodes = {node.node: node for node in self.nodes}
        self.by_name = {node.name: node for node in self.nodes}
        self.issuers = dict[NodeId, Issuer]()
        self.parties = dict[NodeId, Party]()
        for node in self.nodes:
            issuer = self.issuers[node.node] = Issuer(node, self.post, self.tell, self.mint)
            self.parties[node.node] = Party(node, self, issuer.watch)
        self._bad_luck()

    def close(self) -> None:
        """Undo what this world did to the people's tables, so that the next finds them as they were."""
        for node in self.nodes:
            node.close()

    # -- what seats and issuers need

    def mint(self, other: Node, case: Case, give: Callable[[Signed], None]) -> None:
        """Put a request to the mint of a node."""
        self.issuers[other.node].handle(case, give)

    def tell(self, other: Node, method: str, signed: Signed, give: Callable[[bool], None]) -> None:
        """Hand a message to the party of a node."""
        if method == "swap.agreed":
            self.agreed[signed] = None
        self.overhear(other, method, signed)
        self.parties[other.node].hear(method, signed, give)

    def saw(self, node: Node, signed: Signed, body: Body | None = None) -> None:
        """Keep what a node has read that an issuer signed, with the question that it answers."""
        self.words.setdefault(node.node, []).append(Word(signed, body))
        self.read(node, signed)

    def replace_issuer(self, issuer: Issuer) -> None:
        """Put another issuer in the place of a node's."""
        self.issuers[issuer.node.node] = issuer
        self.parties[issuer.node.node].watch = issuer.watch

    def moved(self, node: Node, state: State) -> None:
        """Hear that a party of a node came to a state."""
        self.parties[node.node].moved(state)
        if isinstance(state, Voted) and (span := self.asleep.pop(node.name, 0)):
            soon = self.random.randint(self.luck.delay[1], 2 * self.luck.delay[1])  # its vote is under way
            self.scheduler.later(soon, lambda: node.crash(span))

    def trace(self, node: Node, text: str) -> None:
        """Note a step, if somebody wants to read it."""
        if self.lines is not None:
            self.lines.append(Line(self.scheduler.now - START, node.name, text))

    # -- bad luck

    def _crashes(self, node: Node) -> bool:
        """Tell whether a node crashes at this point between a write and a send; if so, it has."""
        self.points += 1
        self.armed[node.name] = self.armed.get(node.name, 0) - 1
        drawn = self.crashes < self.luck.crashes_max and node.honest and self.random.random() < self.luck.crash
        if not drawn and self.points != self.crash_at and self.armed[node.name] != 0:
            return False
        self.crashes += 1
        down = self.random.randint(*self.luck.down)
        self.trace(node, f"crashes, for {down / SECOND:.1f} s")
        node.crash(down)
        return True

    def _bad_luck(self) -> None:
        luck, random = self.luck, self.random
        end = self.times.vote + self.ring.size * self.times.delta
        for _ in range(luck.partitions):
            half = frozenset(n.node for n in self.nodes if random.random() < 0.5)  # noqa: PLR2004 - two halves
            start, span = self._moment(end), random.randint(1, luck.partition_max)
            self.scheduler.later(start, lambda half=half: self._cut(half))
            self.scheduler.later(start + span, lambda: self._cut(frozenset()))
        for _ in range(luck.jumps):
            node, span = random.choice(self.nodes), random.randint(-luck.jump_max, luck.jump_max)
            self.scheduler.later(self._moment(end), lambda node=node, span=span: self._jump(node, span))
        for _ in range(luck.outages):
            issuer = self.by_name[random.choice(self.ring.issuers)]
            start, span = self._moment(end), random.randint(1, luck.outage_max)
            self.scheduler.later(start, lambda issuer=issuer, span=span: self.outage(issuer, span))

    def _moment(self, end: int) -> int:
        """Draw when something happens: while the ring is made, or around one of its deadlines."""
        random, times = self.random, self.times
        if random.random() < 0.5:  # noqa: PLR2004 - half of them in the first seconds, where most messages are
            return random.randint(0, 6 * SECOND)
        if random.random() < 0.3:  # noqa: PLR2004 - some anywhere
            return random.randint(0, end)
        deadline = times.vote + random.randint(0, self.ring.size) * times.delta
        return max(0, deadline + random.randint(-times.delta, 30 * SECOND))

    def _cut(self, half: frozenset[NodeId]) -> None:
        names = ", ".join(node.name for node in self.nodes if node.node in half)
        self.trace(self.nodes[0], f"the network falls apart; cut off: {names}" if half else "the network is whole")
        self.post.cut(half)

    def _jump(self, node: Node, span: int) -> None:
        if node.up:
            self.trace(node, f"its clock jumps by {span / SECOND:.1f} s")
            node.jump(span)

    def outage(self, node: Node, span: int) -> None:
        """Let a node be away for so long from now on."""
        self.trace(node, f"is away for {span / SECOND:.1f} s")
        node.crash(span)

    # -- the run

    def propose(self) -> None:
        """Let P_0 draft the ring and take its seat."""
        proposer = self.by_name["party 0"]
        self.proposals += 1
        self.draft = draft_of(self.ring, self.times, self.random.randbytes(32), proposer.now)
        self.drafts[draft_id_of(self.draft)] = open_draft(self.draft)
        self.parties[proposer.node].propose(self.draft)

    def run(self) -> None:
        """Let time pass until every honest party has come to its end, or for much longer than it may take.

        A draft that ended before an agreement is proposed anew, a few times, as the daemon's market does.
        """
        end = after(START, LONGEST)
        while self.scheduler.now < end and not self.over():
            passed = self.scheduler.now - START
            step = 5 * SECOND if passed < 3 * MINUTE else MINUTE if passed < HOUR else 30 * MINUTE
            self.scheduler.run(after(self.scheduler.now, Span(step)))
            if self._may_propose() and self.random.random() < 0.5:  # noqa: PLR2004 - a random backoff
                self.propose()
            elif self.more and self._may_go_on():
                self.more -= 1
                self.propose()

    def _may_propose(self) -> bool:
        proposer = self.by_name["party 0"]
        able = proposer.honest and proposer.up and not proposer.restored
        tried = self.proposals >= self.luck.proposals_max or not able
        return (
            not tried
            and not self.parties[proposer.node].busy()
            and not tables.watched(proposer.db)
            and not self.parties[proposer.node].agreed()
        )

    def _may_go_on(self) -> bool:
        proposer = self.by_name["party 0"]
        party = self.parties[proposer.node]
        return proposer.up and not proposer.restored and party.hanging() and not party.busy()

    def over(self) -> bool:
        """Tell whether nothing that matters can happen any more."""
        honest = [self.parties[node.node] for node in self.nodes if node.honest]
        seats = [seat for party in honest for seat in party.seats.values()]
        quiet = all(node.up for node in self.nodes) and all(isinstance(s.state, Ended) for s in seats)
        quiet = quiet and not any(party.busy() for party in honest)
        young = self.scheduler.now < after(START, Span(self.times.approve + 10 * SECOND))
        return quiet and bool(seats or not young) and not self._may_propose()


def still(luck: Luck) -> Luck:
    """Return the luck of a world where nothing at all goes wrong: every message takes the same time."""
    return replace(luck, loss=0, repeat=0, late=0, crash=0, skew=0, jumps=0, partitions=0, outages=0)
