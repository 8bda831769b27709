"""Schedules in which one rule alone stands between an honest party and its loss; random search hardly meets them.

Each is a small world whose seed draws everything but the one coincidence. All nodes are honest; where parties cheat is
in ``plots``.
"""

# pyright: reportPrivateUsage=false
from collections.abc import Callable
from random import Random
from typing import Final

from nanobarter.core.units import SECOND, Quantity
from nanobarter.sim.campaigns import Run
from nanobarter.sim.check import judge
from nanobarter.sim.luck import Luck
from nanobarter.sim.node import Node
from nanobarter.sim.rings import Ring
from nanobarter.sim.tally import Tally
from nanobarter.sim.world import World
from nanobarter.swap.orders import Send
from nanobarter.swap.positions import agreement_in
from nanobarter.swap.states import Committing, Locking, State
from nanobarter.swap.terms import Agreement
from tests.swap.plots import PLOTS

LUCK: Final = Luck(delay=(20, 150), disk=(1, 5), torn=1.0, proposals_max=1)


class Forced(World):
    """A ring in which something happens as soon as the proposer has committed.

    Its issuers are no parties, or (``own``) everybody gives notes of its own.
    """

    def __init__(self, seed: int, act: "Act", *, own: bool = False) -> None:
        self.drawn = Random(f"forced/{seed}")
        size, issuer = self.drawn.randint(2, 8), "party" if own else "issuer"
        super().__init__(Ring(tuple(f"{issuer} {i}" for i in range(size)), Quantity(96)), seed, LUCK)
        self._act: Act | None = act

    def moved(self, node: Node, state: State) -> None:
        """Let the one thing happen, once."""
        super().moved(node, state)
        agreement = agreement_in(state)
        if self._act is not None and agreement is not None and isinstance(state, Committing):
            self._act(self, agreement)
            self._act = None


class LateVote(Forced):
    """The vote of P_1 reaches the proposer some time after T_vote."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, lambda _world, _agreement: None)
        self._late = self.drawn.randint(2_000, 60_000)

    def moved(self, node: Node, state: State) -> None:
        """Slow the line down as soon as P_1 has an agreement."""
        super().moved(node, state)
        agreement = agreement_in(state)
        if node.name == "party 1" and agreement is not None and isinstance(state, Locking):
            self.post.slow[node.node, agreement.nodes[0]] = agreement.vote_by - node.now + self._late


class TornVote(Forced):
    """P_1 crashes between its vote and what comes after it, and is back just after T_vote.

    Its vote reaches the proposer in the last moment, and all others are slow to reach the issuer that pays P_1.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed, lambda _world, _agreement: None)
        self._votes_with: Agreement | None = None
        self._points = 0

    def moved(self, node: Node, state: State) -> None:
        """Prepare the lines as soon as P_1 has an agreement."""
        super().moved(node, state)
        agreement = agreement_in(state)
        if node.name != "party 1" or agreement is None or self._votes_with is not None:
            return
        self._votes_with = agreement
        left = agreement.vote_by - node.now
        self.post.slow[node.node, agreement.nodes[0]] = left - self.drawn.randint(900, 1_000)
        self.scheduler.later(left - 2_000, lambda: self._hold_back(node, agreement))
        self.scheduler.later(left + 20_000, self.post.slow.clear)

    def _hold_back(self, victim: Node, agreement: Agreement) -> None:
        for other in self.nodes:
            if other is not victim:
                self.post.slow[other.node, agreement.issuers[0]] = 5_000

    def _crashes(self, node: Node) -> bool:
        """Crash P_1 at the second point after it was told to vote: the first is before the vote is sent."""
        agreement = self._votes_with
        if node.name != "party 1" or agreement is None or self._points > 1:
            return False
        orders = (order for seat in self.parties[node.node].seats.values() for order in seat._standing)
        self._points += any(isinstance(order, Send) and order.method == "swap.vote" for order in orders)
        if self._points > 1:
            node.crash(agreement.vote_by - node.now + self.drawn.randint(1, 50))
        return self._points > 1


Act = Callable[[Forced, Agreement], None]


def _late_open(world: Forced, agreement: Agreement) -> None:
    """M_{n-1} hears the proposer only when P_{n-1} has its arc back, and P_{n-1} is slow to give up what pays it."""
    last, nodes = agreement.incoming(0), world.post.nodes
    proposer, issuer = nodes[agreement.nodes[0]], nodes[agreement.issuers[last]]
    late = agreement.deadline(last) - proposer.now + world.drawn.randint(500, 3_000)
    world.post.slow[proposer.node, issuer.node] = late
    world.post.slow[agreement.nodes[last], agreement.issuers[agreement.incoming(last)]] = 20 * SECOND


def _late_own(world: Forced, agreement: Agreement) -> None:
    """P_{n-1}, its own issuer, has its arc back and cannot yet give up what pays it when the proposer's open comes."""
    last, nodes = agreement.incoming(0), world.post.nodes
    proposer, giver = nodes[agreement.nodes[0]], agreement.nodes[last]
    left = agreement.deadline(last) - proposer.now
    world.post.slow[proposer.node, giver] = left + world.drawn.randint(4_200, 5_500)
    releases = giver, agreement.issuers[agreement.incoming(last)]
    world.scheduler.later(left - 5_000, lambda: world.post.slow.update({releases: 20 * SECOND}))
    world.scheduler.later(left + 4_000, lambda: world.post.slow.update({releases: 100}))


def _cut_off(world: Forced, agreement: Agreement) -> None:
    """P_{n-1} and the issuer of its arc hear only each other, until a while after D_{n-1}."""
    last = agreement.incoming(0)
    world.post.cut(frozenset((agreement.nodes[last], agreement.issuers[last])))
    span = agreement.deadline(last) - world.scheduler.now + world.drawn.randint(2_000, 60_000)
    world.scheduler.later(span, lambda: world.post.cut(frozenset()))


def _restart(world: Forced, agreement: Agreement) -> None:
    """As when it is cut off, and the proposer crashes before it has opened anything."""
    _cut_off(world, agreement)
    world.post.nodes[agreement.nodes[0]].crash(world.drawn.randint(500, 5_000))


def _late_commit(world: Forced, agreement: Agreement) -> None:
    """The proposer's open comes through long after T_vote."""
    proposer, issuer = agreement.nodes[0], agreement.issuers[agreement.incoming(0)]
    left = agreement.vote_by - world.scheduler.now
    world.post.slow[proposer, issuer] = left + world.drawn.randint(30_000, 60_000)
    world.scheduler.later(left + 90_000, world.post.slow.clear)


def _forced(make: Callable[[int], World]) -> Callable[[int], Run]:
    def run(seed: int) -> Run:
        world = make(seed)
        try:
            world.propose()
            world.run()
            return Run(seed, world.ring.size, judge(world))
        finally:
            world.close()

    return run


SCHEDULES: Final[dict[str, Callable[[int], Run]]] = {
    "late open": _forced(lambda seed: Forced(seed, _late_open)),
    "late open, own": _forced(lambda seed: Forced(seed, _late_own, own=True)),
    "cut off": _forced(lambda seed: Forced(seed, _cut_off)),
    "torn vote": _forced(TornVote),
    "cut off, restart": _forced(lambda seed: Forced(seed, _restart)),
    "late commit": _forced(lambda seed: Forced(seed, _late_commit)),
    "late vote": _forced(LateVote),
    **{name: _forced(plot) for name, plot in PLOTS.items()},
}


def schedule(name: str, runs: int, seed: int) -> Tally:
    """Play a schedule many times and count, as a campaign does."""
    tally = Tally(name, (2, 8), seed)
    for number in range(seed, seed + runs):
        tally.add(SCHEDULES[name](number))
    return tally
