"""The terms of orders that a config describes."""

from dataclasses import replace

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId, parse_node, show_node
from nanobarter.core.units import MIB, show_size
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_orders import parse_price
from nanobarter.translator.market_ports import Issuers
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


def issuers_of(config: Config) -> Issuers:
    """Return whose notes are wanted at all."""
    return Issuers(frozenset(map(parse_node, config.market.refuse)), frozenset(config.market.wanted_issuers))


def unwanted(issuers: Issuers, wanted: NodeId | None) -> UsageError | None:
    """Return what stands in the config against a bid by hand for notes of a node (None: of anybody), or None."""
    if issuers.takes(wanted):
        return None
    if wanted is None:
        return UsageError(
            "[market] wants in config.toml names the only nodes whose notes are wanted",
            hint="name one of them: --wants KIND@NODE, or empty the list and restart the daemon",
        )
    if wanted in issuers.refused:
        return UsageError(
            f"[market] refuse in config.toml names {show_node(wanted)}: its notes are never wanted",
            hint="take it out there and restart the daemon, or want another's",
        )
    return UsageError(
        f"[market] wants in config.toml does not name {show_node(wanted)}, and no other notes are wanted",
        hint="put it there and restart the daemon, or want one's that is named",
    )


def beyond_offer(config: Config) -> str:
    """Return what to tell when the orders may give more of our space than is offered, else nothing."""
    orders, kind = standings_of(config), config.offer.lease_kinds[0]
    asked, offered = sum(order.give for order in orders) * MIB, config.offer.pledges[kind]
    if asked <= offered:
        return ""
    return (
        f"the orders may give {show_size(asked)} of your {kind} space, and {show_size(offered)} of it is offered: what"
        " is beyond waits; order less, or offer more"
    )


def standings_of(config: Config) -> list[Standing]:
    """Return the orders of the config, within whom it wants and refuses at all."""
    market, own = config.market, config.offer.lease_kinds[0]
    never = tuple(map(parse_node, market.refuse))
    found = (row.standing(own) for row in config.order)
    return [replace(order, refused=(*order.refused, *never), wanted=market.wanted_issuers) for order in found]
