"""The story ``away`` of ``swarm``: machines that were off or asleep come back to a book in which nothing is as it was.

Some are killed, as many are stopped (SIGSTOP), as a laptop is that is closed. The others take all their bids back and
post new ones, until long after the last connection to the sleepers was given up: for a node it makes no difference
whether that took two minutes or an hour, since bids outlive both. Those who come back must hold every new bid and none
that was taken back. What nobody can shorten is how long the others wait before they give a sleeper up.
"""

import os
import random
import signal
import time

from nanobarter.cli.demo_nodes import Node, Stage, free_address
from tests.e2e.swarm_nodes import bring_up, build, each, post_all, take_back, wait_all_know, wait_parted

AWAY = 4  # half of them killed, half asleep
ROUNDS = 3  # of new bids while they are away


def away(stage: Stage, *, nodes: int, seed: int, wait: float) -> dict[str, object]:
    """Run the story; return the figures."""
    build(stage, [free_address() for _ in range(nodes)])
    each(stage.nodes, bring_up)
    old = post_all(stage.nodes)
    _, missing = wait_all_know(stage.nodes, set(old.values()), wait)
    gone = random.Random(seed).sample(stage.nodes, AWAY)
    killed, asleep = gone[: AWAY // 2], gone[AWAY // 2 :]
    stay = [node for node in stage.nodes if node not in gone]
    each(killed, Node.kill)
    for node in asleep:
        _signal(node, signal.SIGSTOP)
    left = time.monotonic()
    taken_back, bids = set[str](), {node.name: old[node.name] for node in stay}
    for _ in range(ROUNDS):
        for node in stay:
            take_back(node, bids[node.name])
            taken_back.add(bids[node.name])
        bids = post_all(stay)
    wanted = set(bids.values()) | {old[node.name] for node in gone}
    _, wrong = wait_all_know(stay, wanted, wait, gone=taken_back)
    wait_parted(stay, gone, wait)
    was_away = time.monotonic() - left
    for node in asleep:
        _signal(node, signal.SIGCONT)
    asleep_s, asleep_wrong = wait_all_know(asleep, wanted, wait, gone=taken_back)
    each(killed, bring_up)
    killed_s, killed_wrong = wait_all_know(killed, wanted, wait, gone=taken_back)
    return {
        "type": "swarm",
        "story": "away",
        "ok": not (missing or wrong or asleep_wrong or killed_wrong),
        "nodes": nodes,
        "away": len(gone),
        "away_s": round(was_away, 1),
        "bids": len(wanted),
        "taken_back": len(taken_back),
        "asleep_know_s": round(asleep_s, 1),
        "killed_know_s": round(killed_s, 1),
        "missing": missing + wrong + asleep_wrong + killed_wrong,
    }


def _signal(node: Node, number: int) -> None:
    assert node.process is not None
    os.kill(node.process.pid, number)
