"""How many round trips a swap takes, in a world where every message takes the same time and nothing else takes any.

python -m tests.sim.rounds
"""

from dataclasses import dataclass

from nanobarter.core.units import Quantity, Span
from nanobarter.mint import rows
from nanobarter.sim.clock import START
from nanobarter.sim.luck import Luck
from nanobarter.sim.rings import Ring
from nanobarter.sim.world import World

ONE_WAY = 100
LEVEL = Luck(delay=(ONE_WAY, ONE_WAY), disk=(0, 0))


@dataclass(frozen=True)
class Rounds:
    """Round trips from the draft's leaving until all arcs are opened, and until the last receiver has its notes."""

    opened: float
    taken: float


def rounds(size: int, *, third: bool, looks: bool) -> Rounds:
    """Measure one ring. ``third``: all issuers are no parties; ``looks``: parties ask them before they approve."""
    ring = Ring(tuple(f"{'issuer' if third else 'party'} {i}" for i in range(size)), Quantity(64))
    world = World(ring, 1, LEVEL, looks=looks, trace=True)
    try:
        world.propose()
        world.run()
        lines = world.lines or []
        begun = next(line.at for line in lines if line.text.startswith("takes a seat"))
        settled = [line.at for line in lines if line.text.startswith("Opened -> Ended(settled)")]
        opened = [
            lock.outcome_at - START
            for node in world.nodes
            for (lock_id,) in node.db.execute("SELECT lock_id FROM mint_locks").fetchall()
            if (lock := rows.find_lock(node.db, lock_id)) is not None and lock.outcome == "opened"
        ]
        if len(settled) != size or len(opened) != size:
            raise AssertionError(f"a ring of {size} did not complete: {lines[-5:]}")
        trip = Span(2 * ONE_WAY)
        return Rounds((max(opened) - begun) / trip, (max(settled) - begun) / trip)
    finally:
        world.close()


def main() -> None:
    """Print a table in Markdown."""
    print("| n | own notes: opened, taken | with a look | third issuers: opened, taken | with a look |")  # noqa: T201
    for size in range(2, 9):
        cells = [rounds(size, third=third, looks=looks) for third in (False, True) for looks in (False, True)]
        text = " | ".join(f"{cell.opened:g}, {cell.taken:g}" for cell in cells)
        print(f"| {size} | {text} |")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
