"""``python -m tests.storage.crashes --deed back_up``: the owner's machine dies at each durable write of a deed in turn.

The deed is a backup, a prune or a repair over peers in memory with real SQLite files, or a restore
(``restore_crashes``). After each death the machine starts again and does the deed once more; then every snapshot that
nobody asked away must come back. Each write is met twice: dying before it, and after it but before anybody learns.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from tests.storage import restore_crashes
from tests.storage.mortal import Life
from tests.storage.oracle import World


async def _changed(world: World) -> None:
    for name in range(3, 7):
        world.edit(name, 60_000)


async def _forgotten(world: World) -> None:
    for name in range(3):
        world.edit(name, 0)
    await world.back_up()
    await world.forget(0)


async def _harmed(world: World) -> None:
    await world.lose_peer(1)
    await world.flip_bit(7)


DEEDS: Final[dict[str, Callable[[World], Awaitable[None]]]] = {
    "back_up": _changed,
    "prune": _forgotten,
    "repair": _harmed,
}
"""What goes before each deed, so that it has something to do."""


async def dies(deed: str, life: Life, folder: Path) -> bool:
    """Do a deed on a mortal machine, and again on the next one; tell whether it died."""
    async with trio.open_nursery() as nursery:
        world = World(folder, nursery, random.Random(5))
        await world.start()
        for name in range(4):
            world.edit(name, 50_000)
        await world.back_up()
        await DEEDS[deed](world)
        world.life = life
        await getattr(world, deed)()
        await getattr(world, deed)()
        await world.check()
        await world.close()
        nursery.cancel_scope.cancel()
    return life.dead


async def sweep(deed: str, *, first: int = 0, step: int = 1) -> int:
    """Let it die at each ``step``-th write from ``first`` on, until one is survived; return how many deaths."""
    deaths, left = 0, first
    for after in (False, True):
        left = first
        while True:
            with tempfile.TemporaryDirectory(prefix="nb-crash-") as folder:
                if not await dies(deed, Life(left, after=after), Path(folder)):
                    break
            deaths, left = deaths + 1, left + step
    return deaths


def main(arguments: list[str]) -> int:
    """Sweep one deed or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deed", choices=[*DEEDS, "restore", "all"], default="all")
    parser.add_argument("--step", type=int, default=1)
    asked = parser.parse_args(arguments)
    for deed in [*DEEDS, "restore"] if asked.deed == "all" else [asked.deed]:
        if deed == "restore":
            deaths = restore_crashes.run(asked.step)
        else:
            deaths = trio.run(lambda name=deed: sweep(name, step=asked.step))
        print(f"{deed}: {deaths} deaths, and every kept snapshot came back after each", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
