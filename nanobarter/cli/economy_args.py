"""The arguments of the commands about the economy; ``main`` takes them in. Only argparse, as there."""

import argparse
from collections.abc import Callable
from pathlib import Path

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""
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
