"""Directories of a restore's target as handles: opened name by name, never through a link."""

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

Parts = tuple[bytes, ...]
_HANDLES_MAX: Final = 128  # directories kept open; far below the usual 1024 of a process
_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class Places:
    """Handles of directories below the target."""

    top: int
    held: OrderedDict[Parts, int] = field(default_factory=OrderedDict[Parts, int])

    def handle(self, parts: Parts) -> int:
        """Return the handle of a directory; valid until the next call."""
        if not parts:
            return self.top
        if parts in self.held:
            self.held.move_to_end(parts)
            return self.held[parts]
        depth = next(depth for depth in range(len(parts) - 1, -1, -1) if not depth or parts[:depth] in self.held)
        at = self.handle(parts[:depth])
        for end in range(depth + 1, len(parts) + 1):
            at = os.open(parts[end - 1], _OPEN_DIRECTORY, dir_fd=at)
            self.held[parts[:end]] = at
            if len(self.held) > _HANDLES_MAX:
                os.close(self.held.popitem(last=False)[1])
        return at

    def make(self, parts: Parts, *, replace: bool) -> None:
        """Make a directory, or take the one that is there; another file in its place goes only with ``replace``."""
        parent, name = self.handle(parts[:-1]), parts[-1]
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.lstat(name, dir_fd=parent)
            if stat.S_ISDIR(found.st_mode):
                _open_up(parent, name, found.st_mode)
                return
            if not replace:
                raise
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o700, dir_fd=parent)

    def close(self) -> None:
        """Close all but the top."""
        while self.held:
            os.close(self.held.popitem()[1])


def _open_up(parent: int, name: bytes, mode: int) -> None:
    """Let the owner work in a directory that was there; it gets its own mode again when it is left."""
    if mode & stat.S_IRWXU == stat.S_IRWXU:
        return
    handle = os.open(name, _LOOK, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(mode) | stat.S_IRWXU)  # noqa: PTH101 - not through a link
    finally:
        os.close(handle)
