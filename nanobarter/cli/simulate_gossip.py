"""``nbctl sim gossip``: many gossiping nodes in virtual time. It needs no home and no daemon."""

import argparse
import time

from nanobarter.cli.exits import Exit
from nanobarter.cli.talk import answer_json


def gossip(asked: argparse.Namespace) -> int:
    """Run one world; the answer is one object."""
    from nanobarter.sim.gossip_attacks import ATTACKS  # noqa: PLC0415 - only who simulates loads the simulation
    from nanobarter.sim.gossiping import Plan  # noqa: PLC0415

    begun = time.process_time()
    row = ATTACKS[asked.attack](Plan(nodes=asked.nodes, items=asked.items), asked.seed)
    spent = round(time.process_time() - begun, 1)
    answer = {"type": "sim_gossip", "attack": asked.attack, "seed": asked.seed, **row, "cpu_s": spent}
    if asked.json:
        answer_json(answer)
    else:
        for name, value in answer.items():
            print(f"{name.replace('_', ' ')}: {value}")
    return Exit.DONE if row["reach"] == 1.0 else Exit.FAILED
