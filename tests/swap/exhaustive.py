"""Every crash point and every single lost message of small rings, one after the other: enumerated, not sampled.

    python -m tests.swap.exhaustive [--parties 2,3] [--every K]

A crash point lies before and after each durable write and before each send, at every node. A node that crashes there
is away for 3 s (it comes back into the vote), 200 s (past T_vote) or 12 minutes (past deadlines, more than two
delta); what it was writing is lost, or, at the next point, on disk without anybody knowing. The last line is one JSON
object.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nanobarter.core.units import MINUTE, SECOND, Quantity
from nanobarter.sim.check import Verdict, judge
from nanobarter.sim.luck import Luck
from nanobarter.sim.memo import remembered_signatures
from nanobarter.sim.rings import Ring
from nanobarter.sim.world import World

LEVEL = Luck(delay=(100, 100), disk=(3, 3), torn=1.0, proposals_max=3)
DOWNS = (3 * SECOND, 200 * SECOND, 12 * MINUTE)


@dataclass(frozen=True)
class Case:
    """One world: which ring, and the one thing that goes wrong in it."""

    ring: Ring
    crash_at: int = 0
    down: int = 0
    lose: int = 0


def rings(size: int) -> tuple[Ring, Ring]:
    """Return a ring of own notes, and one whose issuers are no parties."""
    return (
        Ring(tuple(f"party {i}" for i in range(size)), Quantity(64)),
        Ring(tuple(f"issuer {i}" for i in range(size)), Quantity(96)),
    )


def play(case: Case) -> tuple[Verdict, World]:
    """Run one case."""
    world = World(case.ring, 1, replace(LEVEL, down=(case.down, case.down)))
    world.crash_at, world.post.lose = case.crash_at, case.lose or None
    try:
        world.propose()
        world.run()
        return judge(world), world
    finally:
        world.close()


def cases(size: int) -> Iterator[Case]:
    """Return all cases of rings of a size."""
    for ring in rings(size):
        _, quiet = play(Case(ring))
        for down in DOWNS:
            yield from (Case(ring, crash_at=point, down=down) for point in range(1, quiet.points + 1))
        yield from (Case(ring, lose=number) for number in range(1, quiet.post.sent + 1))


def main(argv: Sequence[str] | None = None) -> None:
    """Play all cases, or every k-th."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parties", default="2,3")
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args(argv)
    counts, failures, played = Counter[str](), list[str](), 0
    with remembered_signatures():
        for size in map(int, asked.parties.split(",")):
            for number, case in enumerate(cases(size)):
                if number % asked.every:
                    continue
                verdict, _ = play(case)
                played += 1
                kind = "lost message" if case.lose else f"crash of {case.down // SECOND} s"
                counts[f"{size} parties, {kind}: {'completed' if verdict.completed else verdict.outcome}"] += 1
                counts["owed by an honest party"] += len(verdict.owed)
                if verdict.failed:
                    failures.append(f"{case}: {verdict}")
                    print(failures[-1], file=sys.stderr)  # noqa: T201 - a command
    answer = {"cases": played, "failures": len(failures), "outcomes": dict(sorted(counts.items()))}
    print(json.dumps(answer))  # noqa: T201 - a command's answer
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
