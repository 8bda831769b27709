"""How much there is in folders: what a backup of them would read, worked out before it is made."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanobarter.storage.excludes import Excludes
from nanobarter.storage.holes import stored_bytes


@dataclass(frozen=True)
class FolderSize:
    """The size of folders: bytes and number of regular files, before compression."""

    size_bytes: int = 0
    files: int = 0


def measure(paths: Sequence[Path], excludes: Excludes) -> FolderSize:
    """Walk folders and sum up their regular files, without their holes.

    A folder that is named twice, or lies in another one, counts once. What cannot be read counts nothing: the backup
    will tell.
    """
    size = files = 0
    roots = set(map(os.fsencode, paths))
    for root in roots:
        for folder, names, leaves in os.walk(root):
            inside = folder[len(root) + 1 :]
            names[:] = [name for name in names if not _is_left(_place(folder, inside, name), excludes, roots)]
            for leaf in leaves:
                path, relative = _place(folder, inside, leaf)
                if excludes.leaves_out(path, relative, directory=False):
                    continue
                try:
                    found = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    size, files = size + stored_bytes(found), files + 1
    return FolderSize(size, files)


def _is_left(place: tuple[bytes, bytes], excludes: Excludes, roots: set[bytes]) -> bool:
    path, relative = place
    return path in roots or excludes.leaves_out(path, relative, directory=True)


def _place(folder: bytes, inside: bytes, name: bytes) -> tuple[bytes, bytes]:
    # Names are bytes, any of them may not be text, and pathlib takes only text.
    return os.path.join(folder, name), os.path.join(inside, name) if inside else name  # noqa: PTH118 - see above
