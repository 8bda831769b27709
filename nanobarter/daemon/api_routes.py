"""Which path of the local API asks what of the node. The table is the documentation: docs/cli.md lists it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from nanobarter.core.errors import UsageError
from nanobarter.daemon.api import Answer, Handler, Params, Routes, closing_job
from nanobarter.daemon.facade import NodeFacade, Shape

P = TypeVar("P", bound="_Params")


class _Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of what a request may carry."""


class _Nothing(_Params, frozen=True):
    pass


class _Backup(_Params, frozen=True):
    folders: tuple[str, ...] = ()


class _Restore(_Params, frozen=True):
    target: str
    snapshot: str = ""
    overwrite: bool = False


class _Quote(_Params, frozen=True):
    gives: str = ""
    wants: str = ""
    quantity: str = ""
    omega: str = ""


class _Bid(_Params, frozen=True):
    quantity: str
    gives: str = ""
    wants: str = ""
    omega: str = ""
    floor: str = ""
    best: bool = False


class _Withdraw(_Params, frozen=True):
    bid: str


class _Report(_Params, frozen=True):
    month: str = ""


def routes_of(node: NodeFacade) -> Routes:
    """Return the routes that serve this node."""
    return {
        ("GET", "/v1/status"): _one(_Nothing, lambda _: node.status()),
        ("GET", "/v1/peers"): _one(_Nothing, lambda _: node.peers()),
        ("GET", "/v1/market"): _one(_Nothing, lambda _: node.market()),
        ("GET", "/v1/market/book"): _one(_Nothing, lambda _: node.market_book()),
        ("GET", "/v1/market/quote"): _one(
            _Quote, lambda asked: node.market_quote(asked.gives, asked.wants, asked.quantity, asked.omega)
        ),
        ("GET", "/v1/market/rates"): _one(_Nothing, lambda _: node.market_rates()),
        ("POST", "/v1/market/bid"): _one(
            _Bid,
            lambda a: node.market_bid(a.gives, a.wants, a.quantity, a.omega, a.floor, best=a.best),
        ),
        ("POST", "/v1/market/withdraw"): _one(_Withdraw, lambda asked: node.market_withdraw(asked.bid)),
        ("GET", "/v1/wallet"): _one(_Nothing, lambda _: node.wallet()),
        ("GET", "/v1/mint/status"): _one(_Nothing, lambda _: node.mint_status()),
        ("GET", "/v1/mint/audit"): _one(_Nothing, lambda _: node.mint_audit()),
        ("GET", "/v1/snapshots"): _one(_Nothing, lambda _: node.snapshots()),
        ("GET", "/v1/ledger"): _one(_Nothing, lambda _: node.ledger()),
        ("GET", "/v1/balance"): _one(_Nothing, lambda _: node.balance()),
        ("GET", "/v1/report"): _one(_Report, lambda asked: node.report(asked.month)),
        ("GET", "/v1/leases"): _one(_Nothing, lambda _: node.leases()),
        ("GET", "/v1/health"): _one(_Nothing, lambda _: node.health()),
        ("POST", "/v1/audit"): _one(_Nothing, lambda _: node.audit_now()),
        ("GET", "/v1/plan"): _one(_Nothing, lambda _: node.plan()),
        ("POST", "/v1/backup"): _many(_Backup, lambda asked: node.backup(asked.folders)),
        ("POST", "/v1/restore"): _many(
            _Restore, lambda asked: node.restore(asked.snapshot, asked.target, overwrite=asked.overwrite)
        ),
    }


def _read(kind: type[P], params: Params) -> P:
    try:
        return msgspec.convert(params, kind, strict=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request is not understood: {error}") from None


def _tell(shape: Shape) -> Answer:
    told: Any = msgspec.to_builtins(shape)
    return told


def _one(kind: type[P], ask: Callable[[P], Awaitable[Shape]]) -> Handler:
    async def handle(params: Params) -> Answer:
        return _tell(await ask(_read(kind, params)))

    return handle


def _many(kind: type[P], ask: Callable[[P], AsyncIterator[Shape]]) -> Handler:
    async def handle(params: Params) -> AsyncIterator[Answer]:
        events = ask(_read(kind, params))
        async with closing_job(events):
            async for event in events:
                yield _tell(event)

    return handle
