"""The network between nodes: questions and answers that are late, lost, repeated and overtake each other."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from nanobarter.core.ids import NodeId
from nanobarter.core.units import Span
from nanobarter.sim.clock import Act, Scheduler
from nanobarter.sim.luck import Luck
from nanobarter.sim.node import Node

T = TypeVar("T")
Answer = Callable[[T], None]


class Post:
    """Carries between all nodes of a world. ``apart`` is the half that a partition has cut off."""

    def __init__(self, scheduler: Scheduler, random: Random, luck: Luck, timeout: Span) -> None:
        self.scheduler, self.random, self.luck, self.timeout = scheduler, random, luck, timeout
        self.nodes = dict[NodeId, Node]()
        self.apart = frozenset[NodeId]()
        self.sent = 0
        self.lose: int | None = None
        """The number of the one message to lose, where losses are enumerated and not drawn."""
        self.slow = dict[tuple[NodeId, NodeId], int]()
        """A line that takes so long, whatever the luck says: for forced schedules."""

    def cut(self, half: frozenset[NodeId]) -> None:
        """Let the nodes of one half hear only one another (the empty half: all hear all)."""
        self.apart = half
        rest = len(self.nodes) - len(half)
        for node in self.nodes.values():
            alone = len(half) == 1 if node.node in half else rest == 1
            node.cut_off(deaf=bool(half) and alone)

    def ask(
        self,
        sender: Node,
        to: NodeId,
        question: Callable[[Node, Answer[T]], None],
        answered: Answer[T],
        silent: Act | None = None,
    ) -> None:
        """Put a question to a node, and take the first answer; ``silent`` when none came in time.

        A node's questions to itself do not travel.
        """
        other, waiting, life = self.nodes[to], [True], sender.life

        def take(answer: T) -> None:
            if waiting and sender.life == life:
                waiting.clear()
                answered(answer)

        def give(answer: T) -> None:
            self._carry(other, sender, lambda: take(answer))

        def give_up() -> None:
            if waiting and silent is not None:
                waiting.clear()
                silent()

        if silent is not None:
            sender.later(self.timeout, give_up)
        if other is sender:
            question(other, take)
        else:
            self._carry(sender, other, lambda: question(other, give))

    def _carry(self, sender: Node, to: Node, act: Act) -> None:
        self.sent += 1
        lost = self.luck.loss > 0 and self.random.random() < self.luck.loss
        if lost or self.sent == self.lose:
            return

        def arrive() -> None:
            together = (sender.node in self.apart) == (to.node in self.apart)
            if to.up and together:
                act()

        copies = 2 if self.luck.repeat and self.random.random() < self.luck.repeat else 1
        for _ in range(copies):
            self.scheduler.later(self._delay(sender, to), arrive)

    def _delay(self, sender: Node, to: Node) -> int:
        forced = self.slow.get((sender.node, to.node))
        if forced is not None:
            return forced
        if self.luck.late and self.random.random() < self.luck.late:
            return self.random.randint(self.luck.delay[1], self.luck.late_max)
        return self.random.randint(*self.luck.delay)
