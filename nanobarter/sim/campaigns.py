"""The campaigns: which rings, which bad luck and which cheats one numbered run has."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from nanobarter.sim.check import Verdict, judge
from nanobarter.sim.luck import Luck
from nanobarter.sim.people import QUANTITIES
from nanobarter.sim.rings import Ring
from nanobarter.sim.world import Line, World

CALM: Final = Luck(loss=0.05, repeat=0.05, skew=2_000)
BUMPY: Final = Luck(loss=0.05, repeat=0.1, late=0.01, late_max=5_000, skew=2_000, down=(500, 20_000))


@dataclass(frozen=True)
class Run:
    """One run and what the checker says of it."""

    seed: int
    size: int
    verdict: Verdict
    lines: tuple[Line, ...] = ()


Setup = Callable[[Random, Ring], World]


def ring_of(random: Random, low: int, high: int, fresh: float) -> Ring:
    """Draw a ring: how many parties, and whether an arc gives the giver's own notes, a party's or a third node's.

    No two arcs are of one quality: the matcher would find a shorter way round.
    """
    size = random.randint(low, high)
    names = [f"party {i}" for i in range(size)]
    others = [i for i in range(size) if random.random() >= fresh]
    for place, index in enumerate(others):
        turned = others[place - 1]  # the notes of another of those who do not give their own
        swapped = len(others) > 2 and turned != (index + 1) % size and random.random() < 0.5  # noqa: PLR2004
        names[index] = f"party {turned}" if swapped else f"issuer {index}"
    return Ring(tuple(names), random.choice(QUANTITIES))


def _honest(random: Random, ring: Ring) -> World:
    return World(ring, random.getrandbits(32), CALM)


def _crashes(random: Random, ring: Ring) -> World:
    """Everybody crashes at some point and comes back; some do again, a clock jumps, the network falls apart."""
    luck = replace(
        BUMPY,
        crash=0.004,
        crashes_max=random.choice((0, 0, 4)),
        jumps=random.choice((0, 0, 1)),
        partitions=random.choice((0, 0, 1)),
        partition_max=20_000,
    )
    world = World(ring, random.getrandbits(32), luck)
    for node in world.nodes:
        world.armed[node.name] = random.randint(1, 30 + 8 * ring.size)
    return world


CAMPAIGNS: Final[dict[str, Setup]] = {"honest": _honest, "crashes": _crashes}


def run(campaign: str, seed: int, parties: tuple[int, int], *, trace: bool = False) -> Run:
    """Run one numbered world; the same number gives the same world."""
    random = Random(f"{campaign}/{seed}")  # noqa: S311 - repeatable luck, no secrets
    ring = ring_of(random, *parties, fresh=random.choice((0.3, 0.8, 1.0)))
    world = CAMPAIGNS[campaign](random, ring)
    if trace:
        world.lines = []
    try:
        world.propose()
        world.run()
        return Run(seed, ring.size, judge(world), tuple(world.lines or ()))
    finally:
        world.close()
