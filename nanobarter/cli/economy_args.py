"""The arguments of the commands about the economy; ``main`` takes them in. Only argparse, as there."""

import argparse
from collections.abc import Callable
from pathlib import Path

from nanobarter.cli.whole import seed, whole

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""
REGIMES = ("par", "bots", "priced", "alone", "audits", "all")
SHOCKS = (
    "none",
    "silent",
    "ring",
    "flood",
    "exit",
    "drop",
    "mute",
    "leave",
    "through",
    "disk",
    "wash",
    "faces",
    "line",
    "games",
    "all",
)
EXPORTS = ("hledger", "beancount", "csv")


def add_economy(commands: object, add: Add) -> None:
    """Add the commands about the book."""
    peers = add(commands, "peers", "every node we know of", "reading:read", json=True)
    peers.set_defaults(path="/v1/peers")
    text = "how far peers can be relied on, and what that was learned from"
    learned = add(peers.add_subparsers(metavar="WHAT"), "reliability", text, "economy:reliability", json=True)
    learned.add_argument("node", nargs="?", default="", metavar="NODE", help="only the one whose id begins so")
    ledger = add(commands, "ledger", "what happened, entry by entry", "reading:read", json=True)
    ledger.set_defaults(path="/v1/ledger")
    export = add(
        ledger.add_subparsers(metavar="WHAT"), "export", "the whole book for another program", "economy:export",
        json=True,
    )  # fmt: skip
    export.add_argument("--format", default="hledger", choices=EXPORTS, help="whose words (default hledger)")
    export.add_argument("--out", type=Path, metavar="FILE", help="write it here instead of to stdout")
    report = add(commands, "report", "one month in few lines, and small charts", "economy:report", json=True)
    report.add_argument("--month", default="", metavar="YYYY-MM", help="which month (default: this one)")
    report.add_argument("--svg", type=Path, metavar="FILE", help="also draw it into a new .svg file")
    rates = add(commands, "rates", "what a gigabyte of each peer's space is worth, and why", "reading:read", json=True)
    rates.set_defaults(path="/v1/rates")
    bots = add(commands, "bots", "what each bot does or would do, and what its limits are", "reading:read", json=True)
    bots.set_defaults(path="/v1/bots")


def add_policy(commands: object, add: Add) -> None:
    """Add the commands about the policy in the config."""
    policy = add(commands, "policy", "what the config asks and gives, in plain words", "policy:show", json=True)
    what = policy.add_subparsers(metavar="WHAT")
    add(what, "show", "the policy in words", "policy:show", json=True)
    explain = add(
        what, "explain", "what it will cost and how safe it is, before it is accepted", "policy:explain", json=True
    )
    test = add(what, "test", "what another config would mean; nothing is changed", "policy:test", json=True)
    test.add_argument("file", type=Path, metavar="FILE", help="the other config.toml")
    for command in (explain, test):
        command.add_argument("--peers", type=int, default=6, metavar="N", help="other nodes to expect (default 6)")


def add_market_sim(sims: object, add: Add) -> None:
    """Add the simulation of months of barter."""
    market = add(sims, "market", "months of barter, and who gains by it", "simulate_market:market", json=True)
    market.add_argument("--nodes", type=whole(2, 2000), default=80, metavar="N", help="how many nodes (default 80)")
    market.add_argument("--days", type=whole(1, 3650), default=180, metavar="D", help="for how long (default 180)")
    market.add_argument("--seed", type=seed, default=1, metavar="S", help="the number of the first run (default 1)")
    market.add_argument("--runs", type=whole(1, 1000), default=1, metavar="R", help="how many seeds (default 1)")
    market.add_argument("--regime", default="audits", choices=REGIMES, help="how nodes barter (default audits)")
    market.add_argument(
        "--shock", default="all", choices=SHOCKS, help="what happens to them (default all but the games)"
    )
    market.add_argument("--since", type=whole(0, 3649), metavar="D", help="when players come (default day 30)")
    market.add_argument(
        "--partners", type=whole(2, 8), default=3, metavar="P", help="nodes in a ring at most (default 3)"
    )
    market.add_argument("--kinds", type=int, default=1, metavar="L", help="kinds of leases, up to three (default 1)")
    market.add_argument("--charts", type=Path, metavar="DIR", help="also write SVG charts here")
