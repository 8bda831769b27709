"""Implements ``storage_facade.StorageFacade`` over a running node: hands each wish to the job that does it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from nanobarter.daemon.keeping import ForgetJob, PruneJob
from nanobarter.daemon.restoring import RestoreJob
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import Forgotten, Pruned, RestoreDone, RestoreWish

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
