"""What gossip does in a crowd, in figures: how fast, how dear, and how many are reached, honest and under attack.

The time line: links come up, meshes form for some seconds, the attack begins, items are said one after the
other by honest nodes drawn by lot, and the world goes on until a minute after the last.
"""

from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.item import Item
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.units import Span
from nanobarter.gossip.machine import Compare
from nanobarter.sim.crowd import Crowd, Weather, size_of
from nanobarter.sim.member import Member

BODY_BYTES: Final = 450  # with the envelope an item of some 600 bytes: a bid with a table of ten discounts
SETTLE: Final = Span(10_000)
GAP: Final = 250  # between two items
AFTER: Final = Span(60_000)


@dataclass(frozen=True)
class Plan:
    """Who there is and what goes wrong. Shares are of all nodes."""

    nodes: int = 1000
    degree: int = LIMITS.peers_target
    items: int = 40
    killed: float = 0.0
    silent: float = 0.0
    garbage: float = 0.0
    loss: float = 0.0
    after: Span = AFTER


ATTACK: Final = Plan(killed=0.3, silent=0.2, loss=0.05)


@dataclass(frozen=True)
class Spread:
    """What came of it. Times in ms; ``bytes_per_byte`` on the wire for each byte of an item that a node accepted."""

    nodes: int
    honest: int
    items: int
    p50_ms: int
    p99_ms: int
    max_ms: int
    reach: float
    reach_1s: float
    bytes_per_byte: float
    messages: int
    events: int


@dataclass
class World:
    """A crowd with its members, and when who heard what."""

    crowd: Crowd
    members: list[Member]
    heard: dict[Hash, dict[NodeId, int]] = field(default_factory=dict[Hash, dict[NodeId, int]])
    said: dict[Hash, int] = field(default_factory=dict[Hash, int])
    items: dict[Hash, Item] = field(default_factory=dict[Hash, Item])

    def publish(self, member: Member, item: Item) -> None:
        """Let a member say an item, and watch it."""
        self.said[item.item_id] = self.crowd.now
        self.items[item.item_id] = item
        member.say(item)

    def honest(self) -> list[Member]:
        """Return those who live and keep the rules."""
        return [member for member in self.members if member.alive and member.kind == "honest"]

    def spread(self) -> Spread:
        """Return how far and how fast the watched items went among the honest."""
        honest = {member.node for member in self.honest()}
        delays = sorted(
            at - began
            for item_id, began in self.said.items()
            for node, at in self.heard.get(item_id, {}).items()
            if node in honest
        )
        accepted = sum(size_of(item) * len(self.heard.get(item_id, {})) for item_id, item in self.items.items())
        possible = len(honest) * len(self.said)
        return Spread(
            nodes=len(self.members),
            honest=len(honest),
            items=len(self.said),
            p50_ms=delays[len(delays) // 2],
            p99_ms=delays[len(delays) * 99 // 100],
            max_ms=delays[-1],
            reach=len(delays) / possible,
            reach_1s=sum(delay <= 1000 for delay in delays) / possible,  # noqa: PLR2004 - what the name says
            bytes_per_byte=self.crowd.bytes / accepted,
            messages=self.crowd.messages,
            events=self.crowd.scheduler.passed,
        )


def found(plan: Plan, seed: int, limits: Limits = LIMITS) -> World:
    """Return a world whose members are linked and have formed their meshes."""
    crowd = Crowd(seed, Weather(loss=0.0), limits)
    others: dict[NodeId, Member] = {}
    world = World(crowd, [])

    def heard(node: NodeId, item_id: Hash, at: int) -> None:
        world.heard.setdefault(item_id, {})[node] = at

    world.members = [Member(crowd, number, others, heard) for number in range(plan.nodes)]
    others.update({member.node: member for member in world.members})
    for node, peers in crowd.links(list(others), plan.degree).items():
        for peer in sorted(peers):
            others[node].link(peer)
    for member in world.members:
        crowd.scheduler.later(crowd.random.randrange(1000), lambda member=member: member.carry_out([]))
        _compare_now_and_then(crowd, member)
    crowd.scheduler.run_for(SETTLE)
    return world


def _compare_now_and_then(crowd: Crowd, member: Member) -> None:
    """Compare with one peer after the other, as the service does."""
    rounds = member.rounds

    def again() -> None:
        if not member.alive:
            return
        peers = member.machine.peers
        peer = rounds.next(peers, crowd.random.randbytes(8))
        if peer is not None:
            member.carry_out([Compare(peer)])
        crowd.scheduler.later(round(1000 * rounds.pause(len(peers))), again)

    crowd.scheduler.later(crowd.random.randrange(round(1000 * rounds.pause(len(member.machine.peers)))), again)


def strike(world: World, plan: Plan) -> None:
    """Begin the attack: some are killed, some turn, messages are lost from now on."""
    crowd = world.crowd
    crowd.loss = plan.loss
    lot = list(world.members)
    crowd.random.shuffle(lot)
    killed, silent, garbage = (round(plan.nodes * share) for share in (plan.killed, plan.silent, plan.garbage))
    for member in lot[:killed]:
        member.kill()
    for member in lot[killed : killed + silent]:
        member.turn("silent")
    for member in lot[killed + silent : killed + silent + garbage]:
        member.turn("garbage")


def play(world: World, plan: Plan, speakers: list[Member] | None = None) -> Spread:
    """Let honest members say items, drawn by lot, and return what came of them a minute after the last."""
    crowd = world.crowd
    crowd.bytes = crowd.messages = 0
    speakers = speakers or world.honest()
    for number in range(plan.items):
        member = crowd.random.choice(speakers)
        item = member.make(number.to_bytes(4, "big"), crowd.random.randbytes(BODY_BYTES))
        crowd.scheduler.later(number * GAP, lambda m=member, i=item: world.publish(m, i))
    crowd.scheduler.run_for(Span(plan.items * GAP + plan.after))
    return world.spread()


def run(plan: Plan, seed: int, limits: Limits = LIMITS) -> Spread:
    """Return the figures of one world; the same number gives the same world."""
    world = found(plan, seed, limits)
    strike(world, plan)
    return play(world, plan)
