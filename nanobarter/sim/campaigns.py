"""The campaigns: which rings, which bad luck and which cheats one numbered run has."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from nanobarter.core.units import SECOND, Quantity
from nanobarter.sim.backups import put_back
from nanobarter.sim.check import Verdict, judge
from nanobarter.sim.coalition import STYLES, Coalition
from nanobarter.sim.luck import Luck
from nanobarter.sim.people import QUANTITIES
from nanobarter.sim.rings import Ring
from nanobarter.sim.rogue import Rogue
from nanobarter.sim.world import TIMES, Line, World

CALM: Final = Luck(loss=0.05, repeat=0.05, skew=2_000)
BUMPY: Final = Luck(loss=0.05, repeat=0.1, late=0.01, late_max=5_000, skew=2_000, down=(500, 20_000))


@dataclass(frozen=True)
class Run:
    """One run and what the checker says of it."""

    seed: int
    size: int
    verdict: Verdict
    lines: tuple[Line, ...] = ()


Setup = Callable[[Random, Ring, bool], World]


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


def _honest(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    return World(ring, random.getrandbits(32), CALM, trace=trace)


def _crashes(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """Everybody crashes at some point and comes back; some do again, a clock jumps, the network falls apart."""
    luck = replace(
        BUMPY,
        crash=0.004,
        crashes_max=random.choice((0, 0, 4)),
        jumps=random.choice((0, 0, 1)),
        partitions=random.choice((0, 0, 1)),
        partition_max=20_000,
    )
    world = World(ring, random.getrandbits(32), luck, trace=trace)
    for node in world.nodes:
        world.armed[node.name] = random.randint(1, 30 + 8 * ring.size)
    return world


def _byzantine(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """One to all but one of the parties cheat together; now and then the mints that they own do too."""
    luck = replace(BUMPY, loss=random.choice((0.0, 0.05)), partitions=random.choice((0, 0, 1)))
    world = World(ring, random.getrandbits(32), luck, trace=trace)
    style = random.choice(list(STYLES))
    most = ring.size - 1 if style == "mixed" or random.random() < 0.5 else max(1, ring.size - 2)  # noqa: PLR2004
    cheats = random.sample(ring.parties, random.randint(1, most) if style == "mixed" else most)
    if (style != "mixed" or random.random() < 0.3) and "party 0" not in cheats:  # noqa: PLR2004 - P_0 can do most
        cheats[0] = "party 0"
    friends = Coalition(world, cheats, random, STYLES[style])
    if random.random() < 0.3:  # noqa: PLR2004 - else their mints keep to the rules, and all others are protected
        for name in cheats:
            world.replace_issuer(Rogue(world, world.by_name[name], friends, random))
    return world


def _issuers(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """Issuers are away for up to three deltas; some are rogues, mostly with friends among the parties."""
    luck = replace(
        BUMPY,
        loss=random.choice((0.0, 0.05)),
        crash=random.choice((0.0, 0.01)),
        crashes_max=2,
        down=(500, 3 * TIMES.delta),
        outages=random.choice((0, 1, 2)),
        outage_max=3 * TIMES.delta,
    )
    if ring.size > 2 and random.random() < 0.4:  # noqa: PLR2004 - a good part of them
        return _waylaid(random, ring, replace(luck, crash=0.0, outages=0), trace)
    world = World(ring, random.getrandbits(32), luck, trace=trace)
    rogues = random.sample(ring.issuers, random.choice((0, 1, 1, 2) if ring.size > 2 else (0, 1)))  # noqa: PLR2004
    allies = random.sample(ring.parties, random.randint(0, ring.size - 1))
    owners = [name for name in rogues if name in ring.parties]
    names = list(dict.fromkeys((*owners, *allies)))[: ring.size - 1]
    friends = Coalition(world, names, random, random.choice(list(STYLES.values())))
    for name in rogues:
        world.replace_issuer(Rogue(world, world.by_name[name], friends, random))
    return world


def _waylaid(random: Random, ring: Ring, luck: Luck, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """Put a party between two cheats, and take the issuer that shall pay it away just when it must be asked."""
    world = World(ring, random.getrandbits(32), luck, trace=trace)
    victim = random.randint(1, ring.size - 1)
    Coalition(world, [name for name in ring.parties if name != f"party {victim}"], random, STYLES["last moment"])
    start = TIMES.vote + (ring.size - victim) * TIMES.delta - random.randint(0, 60_000)
    payer, span = world.by_name[ring.issuers[victim - 1]], TIMES.delta + random.randint(60_000, 2 * TIMES.delta)
    world.scheduler.later(start, lambda: world.outage(payer, span))
    return world


def _sleepers(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """Parties fall asleep once they have voted, for longer than all deadlines; others do not pay on by themselves."""
    luck = replace(CALM, proposals_max=1)
    world = World(ring, random.getrandbits(32), luck, trace=trace)
    able = [name for name in ring.parties if name not in ring.issuers]
    sleepers = [name for name in able if random.random() < 0.5]  # noqa: PLR2004 - half of those who are no issuers
    others = [name for name in ring.parties if name not in sleepers]
    greedy = [name for name in others if random.random() < 0.5][: ring.size - 1]  # noqa: PLR2004 - half of the others
    Coalition(world, greedy, random, {"greedy": 1.0, "hold": 0.2})
    for name in sleepers:
        node, span = world.by_name[name], (ring.size + 2) * TIMES.delta
        world.asleep[name] = span
        if random.random() < 0.2:  # noqa: PLR2004 - some also at any moment
            world.scheduler.later(random.randint(0, 6_000), lambda node=node, span=span: node.crash(span))
    return world


def _restored(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """Put an honest node back from an old copy of its disk; half of the time others cheat."""
    luck = replace(BUMPY, loss=random.choice((0.0, 0.05)), proposals_max=3)
    world = World(ring, random.getrandbits(32), luck, trace=trace)
    victim = world.by_name[random.choice(ring.people)]
    if random.random() < 0.5:  # noqa: PLR2004 - half of them
        others = [name for name in ring.parties if name != victim.name]
        Coalition(
            world, random.sample(others, random.randint(1, len(others))), random, random.choice(list(STYLES.values()))
        )
    end = TIMES.vote + (ring.size + 1) * TIMES.delta
    copied = random.choice((random.randint(0, 4 * SECOND), random.randint(0, end)))
    later = random.choice((random.randint(1, 4 * SECOND), random.randint(1, end)))
    put_back(
        world, victim, copied, copied + later, random.choice((random.randint(500, 20_000), random.randint(1, end)))
    )
    return world


def _twice(random: Random, ring: Ring, trace: bool) -> World:  # noqa: FBT001 - see ``run``
    """Cheats let rings hang past their vote, and more are drafted through the same bids, which offer two."""
    world = _byzantine(random, replace(ring, offered=Quantity(2 * ring.quantity)), trace)
    world.more = 3
    return world


CAMPAIGNS: Final[dict[str, Setup]] = {
    "honest": _honest,
    "byzantine": _byzantine,
    "crashes": _crashes,
    "issuers": _issuers,
    "sleepers": _sleepers,
    "restored": _restored,
    "twice": _twice,
}


def run(campaign: str, seed: int, parties: tuple[int, int], *, trace: bool = False) -> Run:
    """Run one numbered world; the same number gives the same world."""
    random = Random(f"{campaign}/{seed}")  # noqa: S311 - repeatable luck, no secrets
    ring = ring_of(random, *parties, fresh=0.2 if campaign == "sleepers" else random.choice((0.0, 0.3, 0.8, 1.0)))
    world = CAMPAIGNS[campaign](random, ring, trace)
    try:
        world.propose()
        world.run()
        return Run(seed, ring.size, judge(world), tuple(world.lines or ()))
    finally:
        world.close()
