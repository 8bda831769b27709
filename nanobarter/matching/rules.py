"""What a cycle must hold, and the bounds of a search."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """How a market trades. The defaults are this network's; ``OPENBARTER`` holds those of openBarter 2.1.0."""

    partners_max: int = 8
    self_trade: bool = False
    floors: bool = True
    """Hold the floors of best bids."""
    movements_max: int | None = None
    """The most transfers that one submitted bid may cause, or None."""
    double_precision: bool = False
    """Compare angles in double precision (``openbarter``) instead of exactly."""
    tries_max: int = 1000
    """The most cycles that are tried and set aside for want of whole quantities, half a second at worst."""
    steps_max: int = 20_000
    """The most partial cycles that one search looks at, about a second; past it the answer says so."""

    ends_from: int = 64
    """How many qualities make it worth while to look from both ends instead of keeping tables of bounds.

    The answer is the same; tables of few qualities are soon made, and last.
    """


OWN = Rules()
OPENBARTER = Rules(partners_max=64, self_trade=True, floors=False, movements_max=128, double_precision=True)
