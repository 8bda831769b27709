"""The arguments of the commands about snapshots; ``main`` takes them in. Only argparse, as there."""

import argparse
from collections.abc import Callable

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""


def add_storage(commands: object, add: Add) -> None:
    """Add the commands that keep, check and show snapshots."""
    forget = add(commands, "forget", "forget snapshots, by name or by policy", "storage:forget", json=True)
    forget.add_argument(
        "snapshots", nargs="*", metavar="ID", help="these (default: those that the policy does not keep)"
    )
    forget.add_argument("--keep", default="", metavar="POLICY", help="like 'daily 7, weekly 4' (default: the config's)")
    forget.add_argument("--dry-run", action="store_true", help="only tell what would be forgotten")
    forget.add_argument("--prune", action="store_true", help="then free the space")
    prune = add(commands, "prune", "free the space of what no snapshot needs", "storage:prune", json=True)
    prune.add_argument("--dry-run", action="store_true", help="only tell what would be freed")
