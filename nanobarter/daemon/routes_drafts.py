"""The routes of what a person says to drafts."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade_drafts import DraftsFacade
from nanobarter.daemon.routing import Asked, Nothing, one


class _Named(Asked, frozen=True):
    draft: str = ""


class _Approve(Asked, frozen=True):
    draft: str
    quantity: str = ""


def draft_routes(drafts: DraftsFacade) -> Routes:
    """Return the routes that serve these drafts."""
    return {
        ("GET", "/v1/draft/list"): one(Nothing, lambda _: drafts.list()),
        ("GET", "/v1/draft/show"): one(_Named, lambda asked: drafts.show(asked.draft)),
        ("POST", "/v1/draft/approve"): one(_Approve, lambda asked: drafts.approve(asked.draft, asked.quantity)),
        ("POST", "/v1/draft/refuse"): one(_Named, lambda asked: drafts.refuse(asked.draft)),
    }
