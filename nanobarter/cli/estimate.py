"""What a backup will cost, worked out before anything is promised: the size of the folders, the space to lend."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nanobarter.core.units import LeaseKind, show_size
from nanobarter.translator.plan import Geometry, Plan, make_plan


@dataclass(frozen=True)
class FolderSize:
    """What a walk over the folders found."""

    size_bytes: int
    files: int


def measure(folders: Iterable[Path]) -> FolderSize:
    """Return the apparent size of all files under the folders; what cannot be read counts nothing."""
    size, files, waiting = 0, 0, [str(folder) for folder in folders]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                        files += 1
        except OSError:
            continue
    return FolderSize(size, files)


def expected_geometry(peers: int) -> Geometry:
    """Return the code that so many other nodes allow: the thin rows for few, 3-of-12 and more from twelve on."""
    rows = ((25, 10, 25), (17, 6, 17), (14, 4, 14), (12, 3, 12), (10, 4, 10), (6, 3, 6), (5, 2, 5), (4, 2, 4))
    for least, k, n in rows:
        if peers >= least:
            return Geometry(k, n)
    return Geometry(1, max(1, peers))


def expected_plan(size_bytes: int, kind: LeaseKind, peers: int) -> Plan:
    """Return the plan for so many bytes among so many other nodes."""
    return make_plan(size_bytes, kind, expected_geometry(peers))


def show_duration(seconds: int) -> str:
    """Return about how long: ``3 hours``, ``20 minutes``."""
    for length, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = round(seconds / length)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "a minute"


def show_cost(plan: Plan, peers: int) -> str:
    """Return the cost in one sentence."""
    lent = show_size(plan.lent * 1024 * 1024)
    code = f"{plan.geometry.k} of {plan.geometry.n} shares on {peers} peers"
    took = show_duration(plan.upload_seconds)
    return f"{show_size(plan.folder_bytes)} need {lent} lent ({code}), about {took} to upload at 20 Mbit/s"
