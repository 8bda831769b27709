"""The commands of somebody who trades by hand: what stands in the book, what could be had, bids by hand."""

import argparse

from nanobarter.cli.exits import CommandFailed, Exit
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
    put(client_of(asked).get("/v1/market/quote", words), as_json=asked.json)
    return Exit.DONE


def bid(asked: argparse.Namespace) -> int:
    """Post a bid by hand, or take one back."""
    terms = {"gives": asked.gives, "wants": asked.wants, "quantity": asked.quantity,
             "omega": asked.omega, "floor": asked.floor}  # fmt: skip
    if asked.withdraw:
        if asked.best or any(terms.values()):
            raise CommandFailed(
                "a bid is posted or taken back, not both", hint="--withdraw stands alone", code=Exit.USAGE
            )
        put(client_of(asked).post("/v1/market/withdraw", {"bid": asked.withdraw}), as_json=asked.json)
        return Exit.DONE
    if not asked.quantity:
        raise CommandFailed("how much is to be given is missing", hint="--quantity 1GB", code=Exit.USAGE)
    put(client_of(asked).post("/v1/market/bid", {**terms, "best": asked.best}), as_json=asked.json)
    return Exit.DONE
