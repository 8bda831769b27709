"""The routes of the pledge and of the mint's keysets."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade_pledge import PledgeFacade
from nanobarter.daemon.routing import Asked, Nothing, one


class _Change(Asked, frozen=True):
    space: str
    kind: str = ""


def pledge_routes(pledge: PledgeFacade) -> Routes:
    """Return the routes that serve this pledge."""
    return {
        ("GET", "/v1/mint/keysets"): one(Nothing, lambda _: pledge.keysets()),
        ("GET", "/v1/offer"): one(Nothing, lambda _: pledge.offer()),
        ("POST", "/v1/offer/grow"): one(_Change, lambda asked: pledge.change(asked.space, asked.kind, grow=True)),
        ("POST", "/v1/offer/shrink"): one(_Change, lambda asked: pledge.change(asked.space, asked.kind, grow=False)),
    }
