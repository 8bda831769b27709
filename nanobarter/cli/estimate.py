"""What a backup will cost, worked out before anything is promised: the size of the folders, the space to lend."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nanobarter.core.units import LeaseKind, show_size
from nanobarter.storage.geometry import of_durability
from nanobarter.storage.holes import stored_bytes
from nanobarter.translator.plan import Plan, make_plan


@dataclass(frozen=True)
class FolderSize:
    """What a walk over the folders found."""

    size_bytes: int
    files: int


def measure(folders: Iterable[Path]) -> FolderSize:
    """Return the size of all files under the folders without their holes; what cannot be read counts nothing."""
    size, files, waiting = 0, 0, [str(folder) for folder in folders]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += stored_bytes(entry.stat(follow_symlinks=False))
                        files += 1
        except OSError:
            continue
    return FolderSize(size, files)


def expected_plan(size_bytes: int, kind: LeaseKind, peers: int, *, high: bool = False) -> Plan:
    """Return the plan for so many bytes among so many other nodes, as the daemon will make it."""
    return make_plan(size_bytes, kind, of_durability(peers, high=high))


def show_duration(seconds: int) -> str:
    """Return about how long: ``3 hours``, ``20 minutes``, ``a minute``."""
    if seconds < 90:  # noqa: PLR2004 - nearer to one minute than to two
        return "a minute"
    length, name = next(each for each in ((86400, "day"), (3600, "hour"), (60, "minute")) if seconds >= each[0])
    count = round(seconds / length)
    return f"{count} {name}{'s' if count > 1 else ''}"


def show_cost(plan: Plan, peers: int) -> str:
    """Return the cost in one sentence."""
    lent = show_size(plan.lent * 1024 * 1024)
    shares = "1 share" if plan.geometry.n == 1 else f"{plan.geometry.n} shares"
    code = f"{plan.geometry.k} of {shares} on {peers} peer{'' if peers == 1 else 's'}"
    took = show_duration(plan.upload_seconds)
    return f"{show_size(plan.folder_bytes)} need {lent} lent ({code}), about {took} to upload at 20 Mbit/s"
