"""What a node tells of plans, backups and snapshots. See ``facade``."""

from typing import Literal

from nanobarter.daemon.shape import Part, Shape

Outcome = Literal["complete", "partial"]
Fate = Literal["whole", "away", "part", "lost", "unknown"]


class Plan(Shape, frozen=True, kw_only=True, tag="plan"):
    """What the folders need. ``problems`` says what stands against it, for a person.

    ``old_bytes`` are kept of older versions, ``change_bytes_day`` come in a day, and ``growth_bytes_day`` more are in
    the folders each day; ``planned_bytes`` allow for all of it. ``too_small_in_days``: until the offer does not pay for
    folders that grow so. ``hours_on``: of a day, that this machine is on; ``upload_seconds`` are such hours,
    ``upload_elapsed_seconds`` all that pass. ``restored_back_ms``: how old the oldest version was that was restored, in
    ``restores``; ``keeps_back_ms``: how far back the policy is sure to hold versions. ``bargain`` tells of
    ``back_up`` in words; ``lend_bytes`` are then no more than it gives.
    """

    folder_bytes: int
    old_bytes: int = 0
    change_bytes_day: int = 0
    growth_bytes_day: int = 0
    planned_bytes: int = 0
    bargain: str = ""
    files: int
    peers: int
    k: int
    n: int
    stored_bytes: int
    lend_bytes: int
    offered_bytes: int
    upload_seconds: int
    recover_probability: float
    too_small_in_days: float | None = None
    hours_on: float | None = None
    upload_elapsed_seconds: int | None = None
    restores: int = 0
    restored_back_ms: int = 0
    keeps_back_ms: int | None = None
    problems: tuple[str, ...] = ()


class SnapshotRow(Part, frozen=True, kw_only=True):
    """One snapshot. ``fate`` says what peers can still bring back of it.

    ``whole``; ``away``: all, once peers who are silent are back; ``part`` or ``lost``: only a part, or nothing, ever
    again; ``unknown``: it cannot be told just now.
    """

    snapshot_id: str
    at: int
    files: int
    size_bytes: int
    outcome: Outcome
    thin: bool
    unread: int = 0
    folders: tuple[str, ...] = ()
    fate: Fate = "whole"


class Snapshots(Shape, frozen=True, kw_only=True, tag="snapshots"):
    """The snapshots that can be restored, oldest first."""

    snapshots: tuple[SnapshotRow, ...] = ()


class BackupDone(Shape, frozen=True, kw_only=True, tag="backup"):
    """The end of a backup: every share that ``shares`` counts is on a peer's disk.

    ``partial`` when some files could not be read; their paths are in ``unread`` (at most a hundred, with
    odd bytes escaped). ``skipped`` names the first sockets and FIFOs, which are not kept. ``thin`` when fewer peers
    than wanted hold it; ``stepped_down`` says under which code new packs are less safe than earlier ones, and why.
    """

    snapshot_id: str
    outcome: Outcome
    thin: bool = False
    below_threshold: int = 0
    files: int = 0
    size_bytes: int = 0
    new_bytes: int = 0
    packs: int = 0
    shares: int = 0
    k: int = 0
    n: int = 0
    unread_count: int = 0
    unread: tuple[str, ...] = ()
    skipped_count: int = 0
    skipped: tuple[str, ...] = ()
    stepped_down: str = ""
    seconds: float = 0.0
