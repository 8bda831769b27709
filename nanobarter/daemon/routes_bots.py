"""The routes of the bots."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade_bots import BotsFacade
from nanobarter.daemon.routing import Nothing, one


def bot_routes(bots: BotsFacade) -> Routes:
    """Return the routes that serve these bots."""
    return {("GET", "/v1/bots"): one(Nothing, lambda _: bots.bots())}
