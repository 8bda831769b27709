"""The arguments of the commands of the market and of drafts; ``main`` takes them in. Only argparse, as there."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""
Commands = Any
"""What argparse calls its subparsers; its own class is private."""


def add_market(commands: Commands, add: Add) -> None:
    """Add the commands about the book, quotes, rates and bids by hand."""
    market = add(commands, "market", "bids heard and agreements made", "reading:read", json=True)
    market.set_defaults(path="/v1/market")
    what = market.add_subparsers(metavar="WHAT")
    add(what, "show", "bids heard and agreements made", "reading:read", json=True).set_defaults(path="/v1/market")
    _add_trading(what, add)
    clear = add(what, "clear", "match the books of a file", "reading:market_clear", json=True)
    clear.add_argument("book", type=Path, metavar="BOOK.json", help="the books")
    clear.add_argument(
        "--rules", default="nanobarter", choices=("nanobarter", "openbarter"), help="by which rules to match"
    )
    flow = add(what, "flow", "compute the quantities of the cycles of a file", "reading:market_flow", json=True)
    flow.add_argument("file", type=Path, metavar="F.json", help="the cycles")


def _add_trading(what: Commands, add: Add) -> None:
    book = add(what, "book", "the live bids, with every term", "trading:book", json=True)
    book.add_argument("--own", action="store_true", help="only those of this node")
    quote = add(what, "quote", "what could be had for what, the best price first", "trading:quote", json=True)
    _add_qualities(quote)
    quote.add_argument(
        "--quantity", default="", metavar="SIZE", help="also the bid that gets so much (MiB, or a size like 1GB)"
    )
    quote.add_argument(
        "--omega", default="", metavar="A/B", help="also the bid that gives A for B received (default: what it costs)"
    )
    bid = add(what, "bid", "post a bid by hand, or take one back", "trading:bid", json=True)
    _add_qualities(bid)
    bid.add_argument("--quantity", default="", metavar="SIZE", help="the most to give (MiB, or a size like 1GB)")
    bid.add_argument("--omega", default="", metavar="A/B", help="give at most A for B received (default 1/1)")
    bid.add_argument("--best", action="store_true", help="take the best there is, down to the floor")
    bid.add_argument("--floor", default="", metavar="A/B", help="with --best: the most to give, A for B received")
    bid.add_argument("--withdraw", default="", metavar="ID", help="take this bid by hand back")
    own = add(what, "bids", "the live bids of this node", "trading:book", json=True)
    own.set_defaults(own=True)
    add(
        what, "graph", "which pairs of qualities are offered and were exchanged", "reading:read", json=True
    ).set_defaults(path="/v1/market/graph")
    add(what, "rates", "rates of the agreements made here", "reading:read", json=True).set_defaults(
        path="/v1/market/rates"
    )


def add_drafts(commands: Commands, add: Add) -> None:
    """Add the commands by which a person approves drafts."""
    draft = add(commands, "draft", "agreements that wait for your word", "reading:read", json=True)
    draft.set_defaults(path="/v1/draft/list")
    what = draft.add_subparsers(metavar="WHAT")
    add(what, "list", "the drafts that have not ended", "reading:read", json=True).set_defaults(path="/v1/draft/list")
    for name, text in (
        ("show", "one draft with its ring"),
        ("approve", "agree to a draft, or to less of it"),
        ("refuse", "refuse a draft, also one that you approved, until your vote is out"),
    ):
        command = add(what, name, text, f"drafts:{name}", json=True)
        command.add_argument("draft", metavar="ID", help="the beginning of its id")
        if name == "approve":
            command.add_argument(
                "--quantity", default="", metavar="SIZE", help="give at most so much (MiB, or a size like 1GB)"
            )


def _add_qualities(command: argparse.ArgumentParser) -> None:
    command.add_argument("--gives", default="", metavar="KIND[@NODE]", help="what is given (default: own space)")
    command.add_argument(
        "--wants", default="", metavar="KIND[@NODE]", help="what is wanted; NODE a node id or any (default: any)"
    )
