"""kill -9 at any moment: what was answered stands, what was not is whole or absent, and nothing counts twice."""

import subprocess
import sys
from pathlib import Path

from tests.mint.purse import NODE, PLEDGED, Bench, stored_keys

KILLS = 3
ROOT = Path(__file__).parent.parent.parent


async def test_what_was_answered_before_a_kill_is_answered_again(tmp_path: Path) -> None:
    path = tmp_path / "store"
    answered = list[list[bytes]]()
    for life in range(KILLS):
        command = [sys.executable, "-m", "tests.mint.victim", str(path), str(life)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as victim:  # noqa: ASYNC220 - nothing else runs meanwhile
            assert victim.stdout is not None
            for _ in range(30 + 17 * life):
                answered.append([bytes.fromhex(part.decode()) for part in victim.stdout.readline().split()])
            victim.kill()
        bench = Bench(path, stored_keys())
        async with bench.open() as mint:
            assert mint.audit() == []
            for request, answer in answered:
                assert await mint.handle(NODE.node_id, request) == answer
            assert mint.audit() == []
            assert all(c.free >= 0 and c.pledged == PLEDGED[c.kind] for c in mint.capacity())
