"""How nodes barter in a run: whether they price, learn, audit and deal."""

from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.translator.pricing import Mode

Regime = Literal["par", "bots", "priced", "alone", "audits"]
REGIMES: Final[tuple[Regime, ...]] = ("par", "bots", "priced", "alone", "audits")
DEALERS: Final = 10  # one node in so many deals, where bots are allowed


@dataclass(frozen=True)
class Manner:
    """How a node barters: how it prices, whether it learns, whether it audits, whether it deals."""

    mode: Mode = "par"
    learns: bool = True
    audits: bool = True
    deals: bool = False


def manner_of(regime: Regime, number: int) -> Manner:
    """Return how a node of a run barters."""
    deals = number % DEALERS == 0
    match regime:
        case "par":
            return Manner("par", learns=False)
        case "bots":
            return Manner("discount", deals=True) if deals else Manner("par", learns=False)
        case "priced":
            return Manner("discount", audits=False, deals=deals)
        case "alone":
            return Manner("discount")
        case "audits":
            return Manner("discount", deals=deals)
