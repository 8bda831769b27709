"""What stands at one path on the disk, and what becomes of it in a backup: the verdict of ``nbctl explain``."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nanobarter.daemon.facade_explain import Verdict
from nanobarter.storage.explain import LeftOut, Place
from nanobarter.storage.scan import open_file
from nanobarter.storage.tree import Device, Directory, Entry, File

_NANO: Final = 1_000_000_000
_START_BYTES: Final = 64


@dataclass(frozen=True)
class OnDisk:
    """What is at the path now. ``trouble`` says why a backup would not read it."""

    kind: str
    size: int = 0
    mtime_ns: int = 0
    trouble: str = ""


def look(path: bytes) -> OnDisk:
    """Return what is at a path. Blocks for the disk."""
    try:
        found = os.lstat(path)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        return OnDisk("nothing", trouble="" if gone else error.strerror or "it cannot be seen")
    mode, size = found.st_mode, found.st_size
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return OnDisk("a FIFO" if stat.S_ISFIFO(mode) else "a socket", trouble="that kind is never kept")
    kind = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device"
    trouble = ""
    if stat.S_ISREG(mode):
        kind = "a file"
        try:
            os.close(open_file(path))
        except OSError as error:
            trouble = f"it cannot be read: {error.strerror}"
    elif stat.S_ISDIR(mode) and not os.access(path, os.R_OK | os.X_OK):
        trouble = "it cannot be read: Permission denied"
    return OnDisk(kind, size, found.st_mtime_ns, trouble)


def names_in(path: bytes) -> set[bytes]:
    """Return the names in a folder; none when it cannot be read."""
    try:
        return set(os.listdir(path))  # noqa: PTH208 - a path of bytes
    except OSError:
        return set()


def read_start(path: bytes) -> bytes:
    """Return the first bytes of a file; nothing when it cannot be read."""
    with suppress(OSError):
        handle = open_file(path)
        try:
            return os.read(handle, _START_BYTES)
        finally:
            os.close(handle)
    return b""


def kind_of(entry: Entry) -> str:
    """Return the kind of an entry in the words of ``look``."""
    if isinstance(entry, File):
        return "a file"
    if isinstance(entry, Directory):
        return "a folder"
    return "a device" if isinstance(entry, Device) else "a link"


def mtime_ns_of(entry: Entry) -> int:
    """Return when an entry was last changed."""
    return entry.attributes.mtime_s * _NANO + entry.attributes.mtime_ns


def verdict_of(
    disk: OnDisk, folder: bytes | None, left_out: LeftOut | None, places: Sequence[Place]
) -> tuple[Verdict, str]:
    """Return the verdict and its reason: first what holds the next backup off, then what the newest snapshot has.

    ``folder`` is the one that is backed up and holds the path; ``places`` are those in its snapshots, newest first.
    """
    newest = places[0] if places else Place()
    if left_out is not None:
        return "excluded", "a rule leaves it out of backups"
    if disk.trouble:
        return "skipped", disk.trouble
    if disk.kind == "nothing":
        if any(place.entry is not None for place in places):
            return "gone", "it is on the disk no more; snapshots have it"
        return "missing", "it is neither on the disk nor in a snapshot"
    return _kept(disk, newest) if folder is not None or newest.entry is not None else _OUTSIDE


_OUTSIDE: Final[tuple[Verdict, str]] = ("outside", "it is in no folder that is backed up")


def _kept(disk: OnDisk, newest: Place) -> tuple[Verdict, str]:
    entry = newest.entry
    if entry is None and newest.lost:
        what = "cannot be read now" if newest.away else "is lost: no peer can bring it back"
        return "unknown", f"{newest.lost} of the newest snapshot {what}"
    if entry is None:
        return "new", "the newest snapshot does not have it; the next backup takes it"
    same = kind_of(entry) == disk.kind and mtime_ns_of(entry) == disk.mtime_ns
    if same and (not isinstance(entry, File) or entry.size == disk.size):
        return "kept", "the newest snapshot has it as it is on the disk"
    return "changed", "the newest snapshot has it, and it has changed since"
