"""Many random honest histories, every other one restored: ``python -m tests.mint.honest_campaign --runs N --seed S``.

Prints one line per run and ends with 1 when any proof convicts. A run takes a second or two.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import trio

from nanobarter.mint import keysets
from tests.mint.test_honest import Life
from tests.mint.test_law import OPERATIONS

STEPS = 45
STEP_NAMES = [*OPERATIONS, "ask", "sign", "sign", "jump", "late"]


async def run(seed: int) -> list[str]:
    """Live one history, and return what could be proven against the honest mint."""
    dice = random.Random(seed)
    restored = seed % 2 == 1
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(keysets, "GENERATION", 0, raising=False)  # a restored life leaves a higher one behind
        life = Life(Path(folder))
        for part in range(3):
            async with life.awake():
                for _ in range(STEPS // 3):
                    name = dice.choice(STEP_NAMES)
                    if not (restored and part == 2 and name == "repeat"):
                        await life.step(name, dice.randrange(2**16))
            if restored and part == 0:
                shutil.copy(life.bench.path, life.backup)
            if restored and part == 1:
                life.restore()
        async with life.awake():
            await life.step("sign", 2)
            return await life.convictions()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    bad = 0
    for seed in range(asked.seed, asked.seed + asked.runs):
        found = trio.run(run, seed)
        bad += bool(found)
        sys.stdout.write(f"{seed} {'; '.join(found) or 'nothing'}\n")
    sys.stdout.write(f"{bad} of {asked.runs} honest mints convicted\n")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
