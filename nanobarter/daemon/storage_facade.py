"""What a node tells and does about its snapshots: the shapes, and the door behind them. See ``facade``."""

from collections.abc import AsyncIterator
from typing import Protocol

from nanobarter.daemon.shape import Part, Progress, Shape


class ForgetRow(Part, frozen=True, kw_only=True):
    """One snapshot, and why it is kept; no reason for one that goes."""

    snapshot_id: str
    at: int
    folders: tuple[str, ...] = ()
    files: int = 0
    size_bytes: int = 0
    reasons: tuple[str, ...] = ()


class Forgotten(Shape, frozen=True, kw_only=True, tag="forget"):
    """Which snapshots were forgotten, or would be. ``policy`` is empty when they were named.

    ``published`` is false when no peer could be told yet; the next backup or prune tells.
    """

    forgotten: tuple[ForgetRow, ...] = ()
    kept: tuple[ForgetRow, ...] = ()
    policy: str = ""
    dry_run: bool = False
    published: bool = True


class Pruned(Shape, frozen=True, kw_only=True, tag="prune"):
    """What a prune freed, or would free: bytes at peers, all shares counted.

    ``unused`` packs held nothing that is needed, ``emptied`` ones mostly nothing, ``stray`` ones were left by uploads
    that were cut off. ``waiting_shares`` are deleted when their peers answer. ``short`` says what stays to be done, and
    ``missing_chunks`` counts what snapshots need and no pack holds.
    """

    dry_run: bool = False
    packs: int = 0
    unused: int = 0
    emptied: int = 0
    stray: int = 0
    new_packs: int = 0
    freed_bytes: int = 0
    waiting_shares: int = 0
    missing_chunks: int = 0
    unread: tuple[str, ...] = ()
    short: str = ""
    seconds: float = 0.0


class StorageFacade(Protocol):
    """The part of a node that keeps snapshots. Errors and iterators are as in ``facade.NodeFacade``."""

    def forget(self, snapshots: tuple[str, ...], keep: str, *, dry_run: bool) -> AsyncIterator[Progress | Forgotten]:
        """Forget these snapshots or, when none is named, those that a policy (empty: the config's) does not keep."""
        ...

    def prune(self, *, dry_run: bool) -> AsyncIterator[Progress | Pruned]:
        """Give back the space of what no snapshot needs."""
        ...
