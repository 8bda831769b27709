"""Which path of the local API asks what of the node. The table is the documentation: docs/cli.md lists it."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade import NodeFacade
from nanobarter.daemon.friends import friend_routes
from nanobarter.daemon.leave_desk import leave_routes
from nanobarter.daemon.routes_bots import bot_routes
from nanobarter.daemon.routes_drafts import draft_routes
from nanobarter.daemon.routes_economy import economy_routes
from nanobarter.daemon.routes_notes import note_routes
from nanobarter.daemon.routes_pledge import pledge_routes
from nanobarter.daemon.routing import Asked, Nothing, many, one
from nanobarter.daemon.storage_routes import storage_routes_of


class _Backup(Asked, frozen=True):
    folders: tuple[str, ...] = ()


class _Quote(Asked, frozen=True):
    gives: str = ""
    wants: str = ""
    quantity: str = ""
    omega: str = ""


class _Bid(Asked, frozen=True):
    quantity: str
    gives: str = ""
    wants: str = ""
    omega: str = ""
    floor: str = ""
    best: bool = False


class _Withdraw(Asked, frozen=True):
    bid: str


class _Report(Asked, frozen=True):
    month: str = ""


def routes_of(node: NodeFacade) -> Routes:
    """Return the routes that serve this node."""
    return {
        **storage_routes_of(node.storage),
        ("GET", "/v1/status"): one(Nothing, lambda _: node.status()),
        ("GET", "/v1/doctor"): one(Nothing, lambda _: node.doctor()),
        ("GET", "/v1/peers"): one(Nothing, lambda _: node.peers()),
        ("GET", "/v1/market"): one(Nothing, lambda _: node.market()),
        ("GET", "/v1/market/book"): one(Nothing, lambda _: node.market_book()),
        ("GET", "/v1/market/quote"): one(
            _Quote, lambda asked: node.market_quote(asked.gives, asked.wants, asked.quantity, asked.omega)
        ),
        ("GET", "/v1/market/rates"): one(Nothing, lambda _: node.market_rates()),
        ("POST", "/v1/market/bid"): one(
            _Bid,
            lambda a: node.market_bid(a.gives, a.wants, a.quantity, a.omega, a.floor, best=a.best),
        ),
        ("POST", "/v1/market/withdraw"): one(_Withdraw, lambda asked: node.market_withdraw(asked.bid)),
        ("GET", "/v1/wallet"): one(Nothing, lambda _: node.wallet()),
        ("GET", "/v1/mint/status"): one(Nothing, lambda _: node.mint_status()),
        ("GET", "/v1/mint/audit"): one(Nothing, lambda _: node.mint_audit()),
        ("GET", "/v1/snapshots"): one(Nothing, lambda _: node.snapshots()),
        ("GET", "/v1/ledger"): one(Nothing, lambda _: node.ledger()),
        ("GET", "/v1/balance"): one(Nothing, lambda _: node.balance()),
        ("GET", "/v1/report"): one(_Report, lambda asked: node.report(asked.month)),
        ("GET", "/v1/leases"): one(Nothing, lambda _: node.leases()),
        ("GET", "/v1/health"): one(Nothing, lambda _: node.health()),
        ("POST", "/v1/audit"): one(Nothing, lambda _: node.audit_now()),
        ("GET", "/v1/plan"): one(Nothing, lambda _: node.plan()),
        ("POST", "/v1/backup"): many(_Backup, lambda asked: node.backup(asked.folders)),
        **note_routes(node.notes),
        **friend_routes(node.circle),
        **pledge_routes(node.pledge),
        **draft_routes(node.drafts),
        **leave_routes(node.leaving),
        **economy_routes(node.economy),
        **bot_routes(node.bots),
    }
