"""The terms of orders that a config describes."""

from nanobarter.core.ids import parse_node
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_orders import parse_price
from nanobarter.translator.pricing import Terms


def terms_of(config: Config) -> Terms:
    """Return on which terms the keeper orders."""
    market = config.market
    return Terms(
        mode=market.mode,
        reserve_price=parse_price(market.price),
        preferred=tuple(map(parse_node, market.prefer)),
        refused=frozenset(map(parse_node, market.refuse)),
    )
