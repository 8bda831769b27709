"""``python -m tests.e2e.swarm --nodes 100 --json``: what becomes of the book of many real daemons when some fail.

Three stories (``--story``):

- ``kills``: 30 % are killed. Every survivor posts a bid by hand that nobody can meet, right after the deaths; then
  every survivor's book must hold every such bid, and so must some of the dead that return with their old store.
- ``away``: nodes that were off or asleep come back to a book that has changed (``swarm_away``).
- ``split``: a network is cut in halves and joined again (``swarm_split``), in namespaces; exit 77 where the machine
  does not allow them.

The last line is one JSON object; exit 1 when a bid is missing, or not gone, after ``--wait`` seconds. About 80 MB for
each node.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nanobarter.cli.demo_nodes import Node, Stage, free_address
from tests.e2e.nats import ALONE, SKIPPED, why_not
from tests.e2e.swarm_away import away
from tests.e2e.swarm_nodes import bring_up, build, each, peers_of, post, rss_mb, wait_all_know
from tests.e2e.swarm_split import split

RETURN = 5  # of the dead
STORIES = {"kills": 100, "away": 20, "split": 12}  # and how many nodes by default


def kills(stage: Stage, *, nodes: int, kill: float, seed: int, wait: float) -> dict[str, object]:
    """Run the story; return the figures."""
    build(stage, [free_address() for _ in range(nodes)])
    began = time.monotonic()
    each(stage.nodes, bring_up)
    up = time.monotonic() - began
    first = set(each(stage.nodes, post))
    spread_s, spread_missing = wait_all_know(stage.nodes, first, wait)
    memory = sorted(each(stage.nodes, rss_mb))
    dead = random.Random(seed).sample(stage.nodes, round(nodes * kill))
    each(dead, Node.kill)
    alive = [node for node in stage.nodes if node not in dead]
    fresh = set(each(alive, post))
    killed_s, killed_missing = wait_all_know(alive, fresh, wait)
    back = dead[:RETURN]
    each(back, bring_up)
    back_s, back_missing = wait_all_know(back, fresh, wait)
    return {
        "type": "swarm",
        "story": "kills",
        "ok": not spread_missing and not killed_missing and not back_missing,
        "nodes": nodes,
        "killed": len(dead),
        "up_s": round(up, 1),
        "all_know_s": round(spread_s, 1),
        "all_know_after_kill_s": round(killed_s, 1),
        "returned": len(back),
        "returned_know_s": round(back_s, 1),
        "missing": spread_missing + killed_missing + back_missing,
        "rss_mb_median": round(memory[len(memory) // 2], 1),
        "connected_min": min(len(peers) for peers in each(alive, peers_of)),
    }


def tell(asked: argparse.Namespace) -> dict[str, object]:
    """Run a story on a stage of its own."""
    nodes = asked.nodes or STORIES[asked.story]
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "stage")
        stage.folder.mkdir()
        try:
            match asked.story:
                case "away":
                    return away(stage, nodes=nodes, seed=asked.seed, wait=asked.wait)
                case "split":
                    return split(stage, nodes=nodes, wait=asked.wait)
                case _:
                    return kills(stage, nodes=nodes, kill=asked.kill, seed=asked.seed, wait=asked.wait)
        finally:
            stage.close(keep=False)


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.swarm")
    parser.add_argument("--story", choices=STORIES, default="kills")
    parser.add_argument("--nodes", type=int, default=0, help=f"how many; by default {STORIES}")
    parser.add_argument("--kill", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wait", type=float, default=300)
    parser.add_argument("--inside", action="store_true", help="a namespace for all was made already")
    parser.add_argument("--json", action="store_true", help="accepted: the answer is JSON anyway")
    asked = parser.parse_args()
    if asked.story == "split" and not asked.inside:
        if reason := why_not():
            print(json.dumps({"type": "swarm", "story": "split", "skipped": reason}))  # noqa: T201 - as below
            return SKIPPED
        again = [*ALONE, sys.executable, "-m", "tests.e2e.swarm", *sys.argv[1:], "--inside"]
        return subprocess.run(again, check=False).returncode
    told = tell(asked)
    print(json.dumps(told))  # noqa: T201 - the line that other programs read
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
