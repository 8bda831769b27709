"""Implements ``storage_facade.StorageFacade`` over a running node: hands each wish to the job that does it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from nanobarter.daemon.explaining import ExplainJob
from nanobarter.daemon.facade_explain import Explained
from nanobarter.daemon.keeping import ForgetJob, PruneJob
from nanobarter.daemon.looking import LookJob
from nanobarter.daemon.restoring import RestoreJob
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import (
    Checked,
    Differences,
    Drilled,
    Forgotten,
    Listing,
    Pruned,
    RestoreDone,
    RestoreWish,
)

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node


class StorageDesk:
    """The storage side of one node, for its person."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def forget(self, snapshots: tuple[str, ...], keep: str, *, dry_run: bool) -> AsyncIterator[Progress | Forgotten]:
        """Forget snapshots, by name or by policy."""
        return ForgetJob(self._node).run(snapshots, keep, dry_run=dry_run)

    def restore(self, wish: RestoreWish) -> AsyncIterator[Progress | RestoreDone]:
        """Write a snapshot, or paths of it, under a folder."""
        return RestoreJob(self._node).run(wish)

    def prune(self, *, dry_run: bool) -> AsyncIterator[Progress | Pruned]:
        """Give back the space of what no snapshot needs."""
        return PruneJob(self._node).run(dry_run=dry_run)

    def ls(self, snapshot: str, path: str) -> AsyncIterator[Progress | Listing]:
        """List a folder of a snapshot."""
        return LookJob(self._node).ls(snapshot, path)

    def find(self, snapshot: str, pattern: str) -> AsyncIterator[Progress | Listing]:
        """List what a shell pattern matches."""
        return LookJob(self._node).find(snapshot, pattern)

    def diff(self, one: str, other: str) -> AsyncIterator[Progress | Differences]:
        """Tell what differs between two snapshots."""
        return LookJob(self._node).diff(one, other)

    def check(self, *, read_data: bool) -> AsyncIterator[Progress | Checked]:
        """Check that all that snapshots need is there."""
        return LookJob(self._node).check(read_data=read_data)

    def drill(self, snapshot: str, files: int) -> AsyncIterator[Progress | Drilled]:
        """Restore so many random files to a scratch place, and compare them with the disk."""
        return LookJob(self._node).drill(snapshot, files)

    def explain(self, path: str) -> AsyncIterator[Progress | Explained]:
        """Tell why a path is kept or not, and where snapshots have it."""
        return ExplainJob(self._node).run(path)
