"""The terms of orders that a config describes."""

import re

from nanobarter.core.ids import parse_node
from nanobarter.daemon.config import PRICE_AUTO, Config
from nanobarter.matching.wire import Ratio
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


def parse_price(text: str) -> Ratio | None:
    """Return the ratio of ``"3/2"``, None for ``"auto"``. Raises ValueError, naming the text."""
    if text == PRICE_AUTO:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})(?:/([1-9][0-9]{0,5}))?", text)
    if found is None:
        raise ValueError(f'{text!r} is not a price; write "auto", or what to give for what is received, like "3/2"')
    return int(found[1]), int(found[2] or 1)
