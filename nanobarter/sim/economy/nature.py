"""What is hidden from the nodes: how reliable each of them really is, and what happens to it."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from nanobarter.core.ids import NodeId, sha256

Shock = Literal["silent", "ring", "flood", "exit", "drop", "mute", "leave", "through", "disk", "wash", "faces", "line"]
SHOCKS: Final[tuple[Shock, ...]] = ("silent", "ring", "flood", "exit")
"""What comes over a network unless something else is asked for; the others are games (``players``)."""
SILENT_DAY: Final = 60
FLOOD_DAY: Final = 75
EXIT_DAY: Final = 120
TERM_DAYS: Final = 30
FAILED: Final = 0.3  # what availability falls to in a silent failure


@dataclass
class Nature:
    """One node as it really is: ``up`` of the time it answers, ``keeps`` of what it took it has, daily it may die."""

    node: NodeId
    number: int
    up: float
    keeps: float = 1.0
    hazard: float = 0.0
    born: int = 0
    dead_on: int | None = None
    failed_on: int | None = None
    cheat: str = ""
    mute: bool = False
    """Asked for what it dropped it says nothing, since a wrong answer is signed and heard by all."""
    disk: int | None = None
    """On which disk it is, where that has other names besides."""
    place: str = ""
    """The line on which it is seen, where others are too."""
    plays: bool = False
    """Is one of the players, or came with them; deals with nobody."""
    last_days: dict[str, int] = field(default_factory=dict[str, int])

    def alive(self, day: int) -> bool:
        """Tell whether it is there at all on a day."""
        return self.born <= day and (self.dead_on is None or day < self.dead_on)

    def truth(self, day: int) -> float:
        """Return the probability that a share stored there today can be had at a time of the next term."""
        if not self.alive(day):
            return 0.0
        leaves = self.last_days.get("leaves")
        if leaves is not None and day + TERM_DAYS > leaves:
            return self.up * self.keeps * max(0, leaves - day) / TERM_DAYS
        return self.up * self.keeps * math.exp(-self.hazard * TERM_DAYS)


def name_of(seed: int, number: int) -> NodeId:
    """Return the id of a node of a run."""
    return NodeId(sha256(b"economy/%d/%d" % (seed, number)))


def people(count: int, seed: int, random: Random) -> list[Nature]:
    """Return the nodes of a run: most are home machines that are mostly on, some are hardly ever."""
    found = list[Nature]()
    for number in range(count):
        kind = random.random()
        if kind < 0.7:  # noqa: PLR2004 - seven in ten: a small server, a NAS, a machine that stays on
            up = random.uniform(0.93, 0.998)
        elif kind < 0.9:  # noqa: PLR2004 - two in ten: on most of the day
            up = random.uniform(0.75, 0.93)
        else:  # the rest: on now and then
            up = random.uniform(0.2, 0.6)
        hazard = random.choice((0.0002, 0.0002, 0.0005, 0.001))
        found.append(Nature(name_of(seed, number), number, up, hazard=hazard))
    return found


def shocked(nodes: list[Nature], shocks: frozenset[Shock], seed: int, random: Random) -> list[Nature]:
    """Plan what will happen to whom; returns all nodes, those who come later too."""
    honest = [n for n in nodes if n.up > FAILED]
    random.shuffle(honest)
    if "silent" in shocks:
        for node in honest[: len(nodes) // 20]:
            node.failed_on, node.cheat = SILENT_DAY, "silent failure"
    if "ring" in shocks:
        for node in honest[len(nodes) // 20 : len(nodes) // 10]:
            node.keeps, node.up, node.cheat = 0.3, 0.99, "drops data"
    if "exit" in shocks:
        for node in honest[len(nodes) // 10 : len(nodes) // 5]:
            node.dead_on, node.cheat = EXIT_DAY, "leaves"
            node.last_days["leaves"] = EXIT_DAY
    if "flood" in shocks:
        nodes += _flood(len(nodes), seed, random)
    return nodes


def _flood(count: int, seed: int, random: Random) -> list[Nature]:
    """Return a quarter as many newcomers, half of them bad."""
    found = list[Nature]()
    for number in range(count, count + count // 4):
        up = random.choice((random.uniform(0.2, 0.5), random.uniform(0.9, 0.99)))
        newcomer = Nature(name_of(seed, number), number, up, born=FLOOD_DAY)
        newcomer.cheat = "newcomer" if up > 0.5 else "bad newcomer"  # noqa: PLR2004 - which half it is of
        found.append(newcomer)
    return found


def passes(nodes: list[Nature], day: int, random: Random) -> list[Nature]:
    """Let a day pass; returns who died or failed on it."""
    changed = list[Nature]()
    for node in nodes:
        if node.failed_on == day:
            node.up = FAILED
            changed.append(node)
        if node.alive(day) and node.dead_on is None and random.random() < node.hazard:
            node.dead_on = day
            changed.append(node)
    return changed
