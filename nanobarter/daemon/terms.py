"""The terms of orders that a config describes."""

from dataclasses import replace

from nanobarter.core.ids import parse_node
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_orders import parse_price
from nanobarter.translator.pricing import Terms
from nanobarter.translator.standing import Standing


def terms_of(config: Config) -> Terms:
    """Return on which terms the keeper orders."""
    market = config.market
    return Terms(
        mode=market.mode,
        reserve_price=parse_price(market.price),
        preferred=tuple(map(parse_node, market.prefer)),
        refused=frozenset(map(parse_node, market.refuse)),
    )


def standings_of(config: Config) -> list[Standing]:
    """Return the orders of the config, within whom it wants and refuses at all."""
    market, own = config.market, config.offer.lease_kinds[0]
    never = tuple(map(parse_node, market.refuse))
    found = (row.standing(own) for row in config.order)
    return [replace(order, refused=(*order.refused, *never), wanted=market.wanted_issuers) for order in found]
