"""``python -m tests.storage.size --files 100000 --large-mb 5000``: what large folders take.

Many small files and one large one, made of random bytes, are backed up to a folder of packs as 3-of-6, backed up again
unchanged, restored, and compared by rsync. Each step runs in a process of its own, whose peak of memory is told.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import trio

from nanobarter.storage.local import DirectoryPacks
from tests.storage.engine import opened
from tests.storage.test_backup import rsync_says

STEPS: Final = ("back up", "again", "restore")
_BLOCK: Final = 16 * 1024 * 1024


def make(folder: Path, files: int, large_mb: int) -> None:
    """Write so many small files, a hundred to a folder, and a large one."""
    draw = random.Random(1)
    for number in range(files):
        if number % 100 == 0:
            (folder / f"{number // 10_000}" / f"{number // 100}").mkdir(parents=True)
        path = folder / f"{number // 10_000}" / f"{number // 100}" / f"note {number}"
        path.write_bytes(draw.randbytes(draw.randrange(4000)))
    with (folder / "large").open("wb") as file:
        for _ in range(large_mb * 1_000_000 // _BLOCK):
            file.write(os.urandom(_BLOCK))


async def step(name: str, place: Path) -> None:
    """Do one step on the engine."""
    async with opened(place / "home") as engine:
        engine.packs, engine.geometry = DirectoryPacks(place / "packs"), (3, 6)
        if name == "restore":
            (line,) = (await engine.catalog.snapshots())[-1:]
            done = await engine.restore(engine.snapshot(line), place / "back")
            assert done.lost == ()
        else:
            made = await engine.backup(place / "source")
            assert made.complete


def main(arguments: list[str]) -> int:
    """Make the folder, do the steps, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--large-mb", type=int, default=5000)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--place", type=Path)
    asked = parser.parse_args(arguments)
    if asked.step:
        began = time.monotonic()
        trio.run(step, asked.step, asked.place)
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {"step": asked.step, "seconds": round(time.monotonic() - began, 1)}
        told |= {"cpu_seconds": round(used.ru_utime + used.ru_stime, 1), "peak_mb": round(used.ru_maxrss / 1000)}
        print(json.dumps(told), flush=True)  # noqa: T201 - a command
        return 0
    with tempfile.TemporaryDirectory(prefix="nb-size-", dir=asked.place) as folder:
        place = Path(folder)
        (place / "source").mkdir()
        make(place / "source", asked.files, asked.large_mb)
        for name in STEPS:
            command = [sys.executable, "-m", "tests.storage.size", "--step", name, "--place", str(place)]
            subprocess.run(command, check=True)
        differences = rsync_says(place / "source", place / "back")
        print(json.dumps({"files": asked.files, "large_mb": asked.large_mb, "rsync_says": differences[:1000]}))  # noqa: T201
        shutil.rmtree(place / "back")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
