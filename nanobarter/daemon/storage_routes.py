"""The routes of snapshots and what is stored of them; ``api_routes`` takes them in."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.routing import Asked, many
from nanobarter.daemon.storage_facade import RestoreWish, StorageFacade


class _Forget(Asked, frozen=True):
    snapshots: tuple[str, ...] = ()
    keep: str = ""
    dry_run: bool = False


class _Prune(Asked, frozen=True):
    dry_run: bool = False


def storage_routes_of(storage: StorageFacade) -> Routes:
    """Return the routes that serve this part of a node."""
    return {
        ("POST", "/v1/forget"): many(_Forget, lambda a: storage.forget(a.snapshots, a.keep, dry_run=a.dry_run)),
        ("POST", "/v1/restore"): many(RestoreWish, storage.restore),
        ("POST", "/v1/prune"): many(_Prune, lambda a: storage.prune(dry_run=a.dry_run)),
    }
