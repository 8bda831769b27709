"""The commands of somebody who trades by hand: what stands in the book, and what could be had."""

import argparse
from urllib.parse import urlencode

from nanobarter.cli.exits import Exit
from nanobarter.cli.reading import client_of, put


def book(asked: argparse.Namespace) -> int:
    """Show the live bids."""
    answer = client_of(asked).get("/v1/market/book")
    if asked.own:
        answer["bids"] = [bid for bid in answer["bids"] if bid["own"]]
    put(answer, as_json=asked.json)
    return Exit.DONE


def quote(asked: argparse.Namespace) -> int:
    """Show what could be had, and for a wish the bid that yields it."""
    words = {"gives": asked.gives, "wants": asked.wants, "quantity": asked.quantity, "omega": asked.omega}
    put(client_of(asked).get(f"/v1/market/quote?{urlencode(words)}"), as_json=asked.json)
    return Exit.DONE
