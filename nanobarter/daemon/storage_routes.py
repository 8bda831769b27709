"""The routes of snapshots and what is stored of them; ``api_routes`` takes them in."""

from typing import Annotated

import msgspec

from nanobarter.daemon.api import Routes
from nanobarter.daemon.routing import Asked, many
from nanobarter.daemon.storage_facade import RestoreWish, StorageFacade


class _Forget(Asked, frozen=True):
    snapshots: tuple[str, ...] = ()
    keep: str = ""
    dry_run: bool = False


class _Prune(Asked, frozen=True):
    dry_run: bool = False


class _Look(Asked, frozen=True):
    snapshot: str = ""
    path: str = ""


class _Find(Asked, frozen=True):
    pattern: str
    snapshot: str = ""


class _Diff(Asked, frozen=True):
    old: str
    new: str = ""


class _Check(Asked, frozen=True):
    read_data: bool = False


class _Drill(Asked, frozen=True):
    snapshot: str = ""
    files: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20


class _Explain(Asked, frozen=True):
    path: str


def storage_routes_of(storage: StorageFacade) -> Routes:
    """Return the routes that serve this part of a node."""
    return {
        ("POST", "/v1/forget"): many(_Forget, lambda a: storage.forget(a.snapshots, a.keep, dry_run=a.dry_run)),
        ("POST", "/v1/restore"): many(RestoreWish, storage.restore),
        ("POST", "/v1/prune"): many(_Prune, lambda a: storage.prune(dry_run=a.dry_run)),
        ("POST", "/v1/ls"): many(_Look, lambda a: storage.ls(a.snapshot, a.path)),
        ("POST", "/v1/find"): many(_Find, lambda a: storage.find(a.snapshot, a.pattern)),
        ("POST", "/v1/diff"): many(_Diff, lambda a: storage.diff(a.old, a.new)),
        ("POST", "/v1/check"): many(_Check, lambda a: storage.check(read_data=a.read_data)),
        ("POST", "/v1/explain"): many(_Explain, lambda a: storage.explain(a.path)),
        ("POST", "/v1/drill"): many(_Drill, lambda a: storage.drill(a.snapshot, a.files)),
    }
