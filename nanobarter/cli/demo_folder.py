"""Her folder in the demo: a faithful copy to lose, and the comparison that decides how the demo ends.

Compared are type, content, mode, owner, mtime in nanoseconds, link targets and which names are one file (hard
links). Directories' mtimes count too: the copy sets them last, and so must the restore.
"""

# Names are bytes here, which pathlib does not take: a folder may hold some that are no text in any encoding.
# ruff: noqa: PTH101, PTH102, PTH108, PTH115, PTH116, PTH118, PTH123, PTH208, PTH211

import hashlib
import os
import shutil
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nanobarter.core.errors import UsageError

DIFFERENCES_MAX: Final = 100
_LEFT_OUT_OF_STDLIB: Final = frozenset({"site-packages", "dist-packages", "__pycache__"})


@dataclass(frozen=True)
class Copied:
    """What the copy holds, and what could not be read (left out, with the reason)."""

    files: int
    size_bytes: int
    unread: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What must come back of one name. ``first`` is the first name of the same file."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    content: str
    first: bytes


def default_folder() -> Path:
    """Return the standard library of this interpreter: real files that are always there."""
    return Path(sysconfig.get_paths()["stdlib"])


def copy_folder(source: Path, copy: Path, *, is_default: bool) -> Copied:
    """Copy a folder with modes, times, links and attributes; what cannot be read is left out and named.

    Raises UsageError when the folder itself cannot be read.
    """
    if not source.is_dir() or not os.access(source, os.R_OK | os.X_OK):
        raise UsageError(f"{source} is not a folder that can be read", hint="name another: nbctl demo FOLDER")
    copier = _Copier(_LEFT_OUT_OF_STDLIB if is_default else frozenset())
    copier.folder(os.fsencode(source), os.fsencode(copy))
    return Copied(copier.files, copier.size, tuple(copier.unread))


class _Copier:
    def __init__(self, left_out: frozenset[str]) -> None:
        self._left_out = {os.fsencode(name) for name in left_out}
        self._firsts = dict[tuple[int, int], bytes]()
        self.files = 0
        self.size = 0
        self.unread = list[str]()

    def folder(self, source: bytes, copy: bytes) -> None:
        try:
            names = sorted(os.listdir(source))
        except OSError as error:
            self._lost(source, error)
            return
        os.mkdir(copy, 0o700)
        for name in names:
            if name not in self._left_out:
                self._entry(os.path.join(source, name), os.path.join(copy, name))
        shutil.copystat(source, copy)
        _copy_owner(copy, os.stat(source))

    def _entry(self, source: bytes, copy: bytes) -> None:
        try:
            found = os.lstat(source)
            if stat.S_ISDIR(found.st_mode):
                self.folder(source, copy)
            elif stat.S_ISLNK(found.st_mode):
                os.symlink(os.readlink(source), copy)
                shutil.copystat(source, copy, follow_symlinks=False)
                _copy_owner(copy, found)
                self.files += 1
            elif stat.S_ISREG(found.st_mode):
                self._file(source, copy, found)
            else:
                self.unread.append(f"{_text(source)}: neither file, folder nor link")
        except OSError as error:
            self._lost(source, error)

    def _file(self, source: bytes, copy: bytes, found: os.stat_result) -> None:
        first = self._firsts.setdefault((found.st_dev, found.st_ino), copy)
        if first != copy:
            os.link(first, copy, follow_symlinks=False)
        else:
            try:
                shutil.copyfile(source, copy)
            except OSError:
                del self._firsts[found.st_dev, found.st_ino]
                if os.path.lexists(copy):
                    os.unlink(copy)
                raise
            shutil.copystat(source, copy)
            _copy_owner(copy, found)
            self.size += found.st_size
        self.files += 1

    def _lost(self, path: bytes, error: OSError) -> None:
        self.unread.append(f"{_text(path)}: {error.strerror}")


def _copy_owner(copy: bytes, found: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(copy, found.st_uid, found.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            os.chmod(copy, stat.S_IMODE(found.st_mode))  # chown drops set-id bits


def survey(folder: Path) -> dict[bytes, Entry]:
    """Return what must come back of every name under a folder, itself included as the empty name."""
    root = os.fsencode(folder)
    found = dict[bytes, Entry]()
    firsts = dict[tuple[int, int], bytes]()
    waiting = [root]
    while waiting:
        path = waiting.pop()
        name = os.path.relpath(path, root)
        status = os.lstat(path)
        kind, content = _content(path, status)
        same = (status.st_dev, status.st_ino)
        first = firsts.setdefault(same, name) if kind == "file" else name
        owner = (status.st_uid, status.st_gid)
        found[name] = Entry(kind, stat.S_IMODE(status.st_mode), owner, status.st_mtime_ns, content, first)
        if kind == "folder":
            # Sorted, last first: the stack then visits names in order, so that "first" means the same twice.
            waiting += [os.path.join(path, child) for child in sorted(os.listdir(path), reverse=True)]
    return found


def _content(path: bytes, status: os.stat_result) -> tuple[str, str]:
    if stat.S_ISDIR(status.st_mode):
        return "folder", ""
    if stat.S_ISLNK(status.st_mode):
        return "link", os.readlink(path).hex()
    if not stat.S_ISREG(status.st_mode):
        return "special", ""
    with open(path, "rb") as file:
        return "file", hashlib.file_digest(file, "sha256").hexdigest()


def differences(before: dict[bytes, Entry], after: dict[bytes, Entry]) -> list[str]:
    """Return what is not as it was, at most a hundred lines."""
    told = list[str]()
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            told.append(f"{_text(name)}: {'missing' if new is None else 'was not there'}")
        elif old != new:
            fields = [field for field in Entry.__dataclass_fields__ if getattr(old, field) != getattr(new, field)]
            told.append(f"{_text(name)}: {', '.join(fields)} changed")
    return told[:DIFFERENCES_MAX]


def _text(path: bytes) -> str:
    return path.decode(sys.getfilesystemencoding(), "backslashreplace").encode("unicode_escape").decode()
