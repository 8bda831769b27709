"""The commands of somebody who approves drafts by hand."""

import argparse

from nanobarter.cli.exits import Exit
from nanobarter.cli.reading import client_of, put


def show(asked: argparse.Namespace) -> int:
    """Show one draft."""
    put(client_of(asked).get("/v1/draft/show", {"draft": asked.draft}), as_json=asked.json)
    return Exit.DONE


def approve(asked: argparse.Namespace) -> int:
    """Agree to a draft, or to less of it."""
    terms = {"draft": asked.draft, "quantity": asked.quantity}
    put(client_of(asked).post("/v1/draft/approve", terms), as_json=asked.json)
    return Exit.DONE


def refuse(asked: argparse.Namespace) -> int:
    """Refuse a draft."""
    put(client_of(asked).post("/v1/draft/refuse", {"draft": asked.draft}), as_json=asked.json)
    return Exit.DONE
