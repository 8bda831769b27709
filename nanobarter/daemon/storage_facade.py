"""What a node tells and does about its snapshots: the shapes, and the door behind them. See ``facade``."""

from collections.abc import AsyncIterator
from typing import Final, Protocol

from nanobarter.daemon.facade_backup import SnapshotRow
from nanobarter.daemon.facade_explain import Explained
from nanobarter.daemon.routing import Asked
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

    ``published`` is false when no peer could be told yet; the next backup or prune tells. ``warning``: the policy does
    not hold versions as old as were restored.
    """

    forgotten: tuple[ForgetRow, ...] = ()
    kept: tuple[ForgetRow, ...] = ()
    policy: str = ""
    dry_run: bool = False
    published: bool = True
    warning: str = ""


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


PATIENCE_MS: Final = 10 * 60 * 1000
"""How long a restore waits for peers who are away, when nobody says otherwise: a router or a machine restarts in it."""

LOOK_PATIENCE_MS: Final = 10 * 1000
"""How long one who only looks waits for them: he is told what could not be read, and can ask again."""


class RestoreDone(Shape, frozen=True, kw_only=True, tag="restore"):
    """The end of a restore. ``problems`` names what could not be given back exactly (at most a hundred).

    ``kept`` files and bytes of it were there already. ``unfinished``: the same restore may bring more later.
    ``warning``: ``keep`` in the config does not hold versions as old as this.
    """

    snapshot_id: str
    target: str
    files: int = 0
    size_bytes: int = 0
    problem_count: int = 0
    problems: tuple[str, ...] = ()
    kept_files: int = 0
    kept_bytes: int = 0
    unfinished: bool = False
    seconds: float = 0.0
    warning: str = ""


class RecoverDone(Shape, frozen=True, kw_only=True, tag="recover"):
    """What a phrase brings back: the snapshots, oldest first, and the config of the lost node as it was last published.

    ``scanned``: no head was found, and the shares themselves told; forgotten snapshots may be among these.
    """

    snapshots: tuple[SnapshotRow, ...] = ()
    policies: str = ""
    scanned: bool = False


class ListRow(Part, frozen=True, kw_only=True):
    """One entry of a snapshot. ``changed`` is the time of its last change."""

    path: str
    kind: str
    mode: int
    owner: str
    size_bytes: int
    changed: int


class Listing(Shape, frozen=True, kw_only=True, tag="listing"):
    """Entries of a snapshot, at most ten thousand; ``lost`` are folders that cannot be read.

    Of ``gone``, which are among them, no peer has enough: waiting is in vain. ``snapshot_id`` is empty when no
    snapshot holds the path.
    """

    snapshot_id: str
    rows: tuple[ListRow, ...] = ()
    more: bool = False
    lost: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Differences(Shape, frozen=True, kw_only=True, tag="diff"):
    """What differs: (``added``, ``removed``, ``changed`` or ``attributes``, path), at most ten thousand."""

    old: str
    new: str
    changes: tuple[tuple[str, str], ...] = ()
    more: bool = False


class Checked(Shape, frozen=True, kw_only=True, tag="check"):
    """What a check found; all of the lists are empty when all is well.

    ``mended`` entries of the index here were not what the packs say, and are now.
    """

    snapshots: int = 0
    packs: int = 0
    read_packs: int = 0
    unreadable: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    missing_chunks: int = 0
    mended: int = 0
    below_threshold: int = 0
    seconds: float = 0.0


class Drilled(Shape, frozen=True, kw_only=True, tag="drill"):
    """A sample that was restored over the network; ``compared`` of it with unchanged files on the disk."""

    snapshot_id: str
    files: int = 0
    size_bytes: int = 0
    compared: int = 0
    problem_count: int = 0
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


class RestoreWish(Asked, frozen=True):
    """What to restore where: the named snapshot or the newest, until ``at`` (an instant) if that is not 0.

    ``paths`` are absolute; empty is everything. Peers who are away are waited for so long.
    """

    target: str
    snapshot: str = ""
    at: int = 0
    paths: tuple[str, ...] = ()
    overwrite: bool = False
    patience_ms: int = PATIENCE_MS


class StorageFacade(Protocol):
    """The part of a node that keeps snapshots. Errors and iterators are as in ``facade.NodeFacade``."""

    def forget(self, snapshots: tuple[str, ...], keep: str, *, dry_run: bool) -> AsyncIterator[Progress | Forgotten]:
        """Forget these snapshots or, when none is named, those that a policy (empty: the config's) does not keep."""
        ...

    def restore(self, wish: RestoreWish) -> AsyncIterator[Progress | RestoreDone]:
        """Write a snapshot, or paths of it, under a folder; files that are there stay unless ``overwrite``."""
        ...

    def prune(self, *, dry_run: bool) -> AsyncIterator[Progress | Pruned]:
        """Give back the space of what no snapshot needs."""
        ...

    def ls(self, snapshot: str, path: str) -> AsyncIterator[Progress | Listing]:
        """List a folder of a snapshot (the newest when empty); without a path, what was backed up."""
        ...

    def find(self, snapshot: str, pattern: str) -> AsyncIterator[Progress | Listing]:
        """List what a shell pattern matches: names or, with a slash in it, whole paths."""
        ...

    def diff(self, one: str, other: str) -> AsyncIterator[Progress | Differences]:
        """Tell what differs between two snapshots."""
        ...

    def check(self, *, read_data: bool) -> AsyncIterator[Progress | Checked]:
        """Check that all that snapshots need is there; with ``read_data``, every byte of it."""
        ...

    def drill(self, snapshot: str, files: int) -> AsyncIterator[Progress | Drilled]:
        """Restore so many random files to a scratch place, and compare them with the disk."""
        ...

    def explain(self, path: str) -> AsyncIterator[Progress | Explained]:
        """Tell why an absolute path is kept or not, and where snapshots have it."""
        ...
