"""What a policy may give of the own space in all: for the folders at the prices asked, and beside them.

Beside the folders go the orders of the config and the reserve; a bargain bounds what the folders may cost.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from nanobarter.core.units import MIB, show_size
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_orders import show_bargain
from nanobarter.daemon.terms import standings_of, terms_of
from nanobarter.translator.plan import Plan
from nanobarter.translator.pricing import own_value, price_of
from nanobarter.translator.standing import price_of_backup

KNOWN: Final = 0.93  # what is believed of a good peer after some weeks: bounds lie below the truth
ALWAYS: Final = 24


def planned_bytes(config: Config, folder_bytes: int) -> int:
    """Return for how many bytes of folders the keeper plans: a bargain may ask for more than there is."""
    return folder_bytes if config.market.bargain is None else max(folder_bytes, config.market.bargain[0])


def lent_at(config: Config, plan: Plan, hours: int) -> int:
    """Return about how many bytes are lent for a plan by a machine that is on for so many hours a day."""
    terms = replace(terms_of(config), own=own_value(KNOWN * hours / ALWAYS))
    bargain = config.market.bargain
    if bargain is not None:
        terms = replace(terms, reserve_price=price_of_backup(plan.lent, bargain[1], terms.most))
    price = price_of(KNOWN, terms)
    return plan.lent * MIB * price[0] // price[1]


def reserve_of(config: Config) -> int:
    """Return how many bytes may go for a reserve of others' space."""
    market = config.market
    if config.bots.keeper == "off" or (market.mode == "ticket" and not market.wants):
        return 0  # nobody orders it, and with tickets nothing is ordered of anybody
    return market.reserve_bytes(config.offer.space_bytes) // MIB * MIB


@dataclass(frozen=True)
class Beside:
    """What may be given in bytes: for the folders, for the orders, for the reserve; of so much that is offered."""

    folders: int
    orders: int
    reserve: int
    offered: int

    @property
    def together(self) -> int:
        """All that may be given, if there were room for it."""
        return self.folders + self.orders + self.reserve

    def told(self) -> Iterator[str]:
        """Tell of the reserve, and what everything may come to."""
        yield show_reserve(self.reserve)
        if not (self.reserve or self.orders):
            return
        parts = [("folders", self.folders), ("orders", self.orders), ("reserve", self.reserve)]
        sums = ", ".join(f"{name} {show_size(size)}" for name, size in parts if size)
        yield f"all together that may come to {show_size(self.together)} of your space ({sums}){self._beyond()}"

    def _beyond(self) -> str:
        if self.together <= self.offered:
            return ""
        return (
            f", of which no more than the {show_size(self.offered)} that you offer is given; folders are ordered first"
        )


def beside(config: Config, plan: Plan) -> Beside:
    """Return what a config may give for this plan, by a machine that is always on, and beside it."""
    priced = lent_at(config, plan, ALWAYS)
    folders = priced if config.market.bargain is not None else max(plan.lent * MIB, priced)
    orders = sum(order.give for order in standings_of(config)) * MIB
    return Beside(folders, orders, reserve_of(config), config.offer.space_bytes)


def show_reserve(size: int) -> str:
    """Tell how much of the own space a reserve of others' may take."""
    if not size:
        return "no reserve of others' space is kept beside that; `reserve` in [market] sets it"
    return (
        f"beside that up to {show_size(size)} of your space goes for a reserve of others' space, at par, which renews"
        " leases; `reserve` in [market] sets it"
    )


def bargain_lines(config: Config, plan: Plan) -> Iterator[str]:
    """Tell what a bargain plans for, and the price that follows."""
    bargain = config.market.bargain
    if bargain is not None:
        price = price_of_backup(plan.lent, bargain[1], terms_of(config).most)
        yield show_bargain(plan.folder_bytes, plan.lent * MIB, bargain[1] * MIB, price)
