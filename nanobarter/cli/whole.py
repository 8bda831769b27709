"""Whole numbers that options take; each with its own bounds, told where the option is read. Only argparse, as there."""

import argparse
from collections.abc import Callable
from typing import Final

SEED_MAX: Final = 2**63 - 1
"""Seeds are told in JSON, and make names of 32 bytes with what else tells runs apart."""


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from ``low`` to ``high``; argparse names the option in the complaint."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is not from {low} to {high}")
        return number

    return read


seed = whole(0, SEED_MAX)
"""The sign of a seed would be lost: generators take its size only."""
