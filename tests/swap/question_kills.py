"""Nodes killed at any write while persons are asked: no word is lost or doubled, and the ring comes about all the same.

    python -m tests.swap.question_kills [--runs N] [--seed S]

Whole nodes on a memory network, with virtual time. The last line is one JSON object.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio
import trio.testing

from nanobarter.core.errors import Refused, Unreachable
from nanobarter.core.ids import DraftId
from nanobarter.core.units import Quantity
from nanobarter.swap.events import Asked
from tests.swap.whole import Node, World, quiet, world_of

SECONDS: Final = 900  # of virtual time: two tries that end at T_vote, and the pauses between them
POINTS: Final = 24  # writes of a node from the first question to the end of the ring


Said = dict[int, dict[DraftId, int]]
"""What each node's person granted, by question."""


@dataclass(frozen=True)
class Told:
    """What one run came to."""

    seed: int
    kills: int
    settled: bool
    problems: tuple[str, ...]


async def answer(node: Node, luck: random.Random, said: "Said") -> None:
    """Let a node's person answer what is before her; she may grant less, once."""
    for known, question in list(node.swap.questions.questions().items()):
        if not question.waits_for_us:
            continue
        asked = question.draft.arcs[question.index].quantity
        less = luck.random() < 0.3 and not said[node.number]
        granted = luck.randint(asked // 2, asked) if less else asked
        with contextlib.suppress(Unreachable):  # killed as she said it: it may or may not be on disk
            said[node.number][known] = granted
            assert not isinstance(await node.swap.questions.say(known, Quantity(granted)), Refused)


async def play(seed: int, path: Path, clock: trio.testing.MockClock) -> Told:
    """Ask, kill, answer, and look at the end."""
    luck = random.Random(f"question kills/{seed}")
    n, kills = luck.choice((2, 2, 3, 4)), 0
    said: Said = {number: {} for number in range(1, n + 1)}
    async with world_of(path, n, clock) as world:
        parties = world.nodes
        ask = luck.sample(parties, luck.randint(1, n))
        for victim in luck.sample(parties, luck.choice((1, 1, 2))):
            victim.plug = (victim.writes + luck.randint(1, POINTS), luck.random() < 0.5)
        match, bids = world.ring(parties, parties, ask=ask)
        while True:  # the market proposes again, as long as nobody is asked
            await world.propose(parties[0], match, bids)
            if isinstance(world.outcome, Asked) and parties[0].up:
                break
            await _pass(world, 5)
        for _ in range(SECONDS):
            await _pass(world, 1)
            up = [party for party in parties if party.up]
            for party in up:
                await answer(party, luck, said)
            if len(up) == n and not any(p.swap.questions.questions() or p.swap.drafts() for p in parties):
                break
        for party in parties:
            party.plug = None
        await _pass(world, 5)
        kills = sum(party.lives - 1 for party in parties)
        settled = all(sum(p.held(other) for other in parties if other is not p) for p in parties)
        return Told(seed, kills, settled, tuple(await _problems(world, ask, said)))


async def _pass(world: World, seconds: float) -> None:
    for _ in range(int(2 * seconds)):
        await quiet()
        world.jump(0.5)
    await quiet()


async def _problems(world: World, ask: Sequence[Node], said: Said) -> list[str]:
    parties, found = world.nodes, list[str]()
    held = [sum(p.held(other) for other in parties if other is not p) for p in parties]
    if any(held) and not all(held):
        found.append(f"torn: {held}")
    gave = [parties[(i + 1) % len(parties)].held(p) for i, p in enumerate(parties)]
    for i, party in enumerate(parties):
        granted = list(said[party.number].values())
        if party in ask and gave[i] > sum(granted):  # a word serves one ring, and a kill may lose the news of the first
            found.append(f"node {party.number} gave {gave[i]} MiB, its person granted {granted}")
        found += [f"node {party.number} still asks" for q in party.swap.questions.questions().values() if q]
        found += [f"node {party.number} blames: {fault}" for fault in party.faults]
    try:
        await world.check()
    except AssertionError as error:
        found.append(f"the books do not agree: {error}")
    return found


def campaign(runs: int, seed: int) -> list[Told]:
    """Play many runs."""
    told = list[Told]()
    for number in range(seed, seed + runs):
        with tempfile.TemporaryDirectory(prefix="nb-question-kills-") as folder:
            clock = trio.testing.MockClock()
            told.append(trio.run(play, number, Path(folder), clock, clock=clock))
    return told


def main(argv: Sequence[str] | None = None) -> None:
    """Play a campaign and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    told = campaign(asked.runs, asked.seed)
    counts = Counter("settled" if one.settled else "not settled" for one in told)
    failures = {one.seed: one.problems for one in told if one.problems}
    unsettled = [one.seed for one in told if not one.settled]
    answer = {"runs": len(told), "kills": sum(one.kills for one in told), **counts}
    print(json.dumps({**answer, "unsettled": unsettled, "failures": failures}))  # noqa: T201 - a command's answer
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
