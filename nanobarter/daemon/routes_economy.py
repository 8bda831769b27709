"""The routes of the book, of reliability and of policies."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade_economy import EconomyFacade, ExportFormat
from nanobarter.daemon.routing import Asked, Nothing, one


class _Export(Asked, frozen=True):
    format: ExportFormat = "hledger"


class _Peer(Asked, frozen=True):
    node: str = ""


def economy_routes(economy: EconomyFacade) -> Routes:
    """Return the routes that serve this economy."""
    return {
        ("GET", "/v1/peers/reliability"): one(_Peer, lambda asked: economy.reliability(asked.node)),
        ("GET", "/v1/rates"): one(Nothing, lambda _: economy.rates()),
        ("GET", "/v1/market/graph"): one(Nothing, lambda _: economy.graph()),
        ("GET", "/v1/ledger/export"): one(_Export, lambda asked: economy.export(asked.format)),
    }
