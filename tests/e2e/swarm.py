"""``python -m tests.e2e.swarm --nodes 100 --json``: 30 % of many real daemons are killed; the rest must know all bids.

Every survivor posts a bid by hand that nobody can meet, right after the deaths; then every survivor's book must hold
every such bid. Then some of the dead return with the store they died with, and must hold every bid, too. The last line
is one JSON object; exit 1 when one is missing after ``--wait`` seconds. About 80 MB for each node.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nanobarter.cli.demo_nodes import Node, Stage, free_address
from nanobarter.daemon.config import Config, Market, Offer
from nanobarter.daemon.config_network import Network

FIRST = 3  # nodes that the others know at their start
TOGETHER = 8  # asked or started at once
RETURN = 5  # of the dead


def build(stage: Stage, count: int) -> None:
    """Make the homes; each node knows the first three."""
    addresses = [free_address() for _ in range(count)]
    for number, address in enumerate(addresses):
        network = Network(listen=address, bootstrap=tuple(addresses[:FIRST]), same_host_ok=True)
        # Nothing is wanted beyond the folders, of which there are none: only the bids by hand are in the book.
        config = Config(offer=Offer(space="1GB"), market=Market(reserve="0B"), network=network)
        stage.add(f"n{number}", config, address)


def each(nodes: list[Node], do: Callable[[Node], Any]) -> list[Any]:
    """Do something with every node, some at once."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(do, nodes))


def bring_up(node: Node) -> None:
    node.start()
    node.wait_up()


def post(node: Node) -> str:
    """Post a bid that gives next to nothing, so that nobody meets it; return its id."""
    asked = {"quantity": "1MiB", "omega": "1/1000", "gives": "", "wants": "", "floor": "", "best": False}
    return str(node.client.post("/v1/market/bid", asked)["bid"]["bid"])


def book(node: Node) -> set[str]:
    told = node.ask("/v1/market/book")
    return {row["bid"] for row in told["bids"]} if told else set[str]()


def wait_all_know(nodes: list[Node], bids: set[str], seconds: float) -> tuple[float, int]:
    """Return how long it took until all books held all bids, and how many were missing at the end."""
    began = time.monotonic()
    while True:
        missing = sum(len(bids - known) for known in each(nodes, book))
        took = time.monotonic() - began
        if not missing or took > seconds:
            return took, missing
        time.sleep(0.5)


def connected(node: Node) -> int:
    told = node.ask("/v1/status")
    return int(told["peers_connected"]) if told else 0


def rss_mb(node: Node) -> float:
    assert node.process is not None
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def campaign(stage: Stage, *, nodes: int, kill: float, seed: int, wait: float) -> dict[str, object]:
    """Run the whole story; return the figures."""
    build(stage, nodes)
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
        "connected_min": min(each(alive, connected)),
    }


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.swarm")
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--kill", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wait", type=float, default=300)
    parser.add_argument("--json", action="store_true", help="accepted: the answer is JSON anyway")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "stage")
        stage.folder.mkdir()
        try:
            told = campaign(stage, nodes=asked.nodes, kill=asked.kill, seed=asked.seed, wait=asked.wait)
        finally:
            stage.close(keep=False)
    print(json.dumps(told))  # noqa: T201 - the line that other programs read
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
