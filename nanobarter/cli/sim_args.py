"""The arguments of the simulations; ``main`` takes them in. Only argparse, as there."""

import argparse
from collections.abc import Callable
from typing import Any

from nanobarter.cli.economy_args import add_market_sim
from nanobarter.cli.whole import seed, whole

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""

SimParent = Any  # argparse's class of subparsers is private

SIM_CAMPAIGNS = ("honest", "byzantine", "crashes", "issuers", "sleepers", "restored", "twice")
SIM_ATTACKS = ("none", "stormy", "mute", "garbage", "eclipse", "sybils", "equivocation", "replay", "partition")


def add_sim(commands: SimParent, add: Add) -> None:
    """Add the simulations."""
    text = "whole networks in virtual time, on this machine alone"
    what = commands.add_parser("sim", help=text, description=text).add_subparsers(metavar="WHAT", required=True)
    swap = add(what, "swap", "many swaps with bad luck and cheats, and who lost", "simulate:swap", json=True)
    swap.add_argument("--parties", default="2..8", metavar="N[..M]", help="how many in a ring (default 2..8)")
    swap.add_argument("--runs", type=whole(1, 1_000_000), default=100, metavar="N", help="how many swaps (default 100)")
    swap.add_argument("--seed", type=seed, default=1, metavar="S", help="the number of the first run (default 1)")
    swap.add_argument("--campaign", default="honest", choices=SIM_CAMPAIGNS, help="what goes wrong (default honest)")
    swap.add_argument("--replay", type=seed, metavar="SEED", help="tell this one run step by step")
    text = "what is said on a network: how fast, how dear, how many hear, also under attack"
    gossip = add(what, "gossip", text, "simulate_gossip:gossip", json=True)
    gossip.add_argument("--nodes", type=whole(20, 5000), default=1000, metavar="N", help="how many (default 1000)")
    gossip.add_argument(
        "--items", type=whole(1, 200), default=40, metavar="N", help="how many things are said (default 40)"
    )
    gossip.add_argument("--seed", type=seed, default=1, metavar="S", help="the number of the world (default 1)")
    gossip.add_argument("--attack", default="none", choices=SIM_ATTACKS, help="what goes wrong (default none)")
    name = "market-efficiency"
    efficiency = add(what, name, "what many matchers clear of what one would", "simulate_market:efficiency", json=True)
    efficiency.add_argument("--nodes", default="50,100,200,500", metavar="N,N", help="sizes (default 50,100,200,500)")
    efficiency.add_argument("--seed", type=seed, default=1, metavar="S", help="where the numbers come from (default 1)")
    efficiency.add_argument(
        "--runs", type=whole(1, 1000), default=3, metavar="R", help="markets of each size (default 3)"
    )
    add_market_sim(what, add)
    efficiency.add_argument(
        "--market", default="mixed", choices=("mixed", "named", "anybody", "traded"), help="what bids there are"
    )
