"""What the disk says about one file: its attributes, its holes, its bytes, and whether they held still.

Only facts; walking and deciding is in ``walk``. Paths and names are bytes, as the kernel has them.
"""

import contextlib
import errno
import grp
import os
import pwd
import stat
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nanobarter.storage.tree import HOLES_MAX, XATTRS_MAX, Attributes, Device, LinkGroup, Symlink

_NANO: Final = 1_000_000_000
_UNSUPPORTED: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES})


@lru_cache(maxsize=4096)
def _user(uid: int) -> bytes:
    try:
        return os.fsencode(pwd.getpwuid(uid).pw_name)[:256]
    except KeyError:
        return b""


@lru_cache(maxsize=4096)
def _group(gid: int) -> bytes:
    try:
        return os.fsencode(grp.getgrgid(gid).gr_name)[:256]
    except KeyError:
        return b""


def attributes_of(found: os.stat_result, xattrs: tuple[tuple[bytes, bytes], ...]) -> Attributes:
    """Return mode, owner and time of a file, with the extended attributes read before."""
    seconds, nanoseconds = divmod(found.st_mtime_ns, _NANO)
    mode = stat.S_IMODE(found.st_mode)
    user, group = _user(found.st_uid), _group(found.st_gid)
    return Attributes(mode, found.st_uid, found.st_gid, user, group, seconds, nanoseconds, xattrs)


def link_of(found: os.stat_result) -> LinkGroup:
    """Return what tells the names of one file together, or None when it has one name."""
    if found.st_nlink <= 1 or stat.S_ISDIR(found.st_mode):
        return None
    return (found.st_dev, found.st_ino)


def xattrs_of(where: int | bytes) -> tuple[tuple[tuple[bytes, bytes], ...], str]:
    """Return the extended attributes, ACLs among them, of an open file or an unfollowed path; and what was missed.

    The second value is empty, or says why some are missing.
    """
    follow = {} if isinstance(where, int) else {"follow_symlinks": False}
    found, size, missed = list[tuple[bytes, bytes]](), 0, ""
    try:
        names = os.listxattr(where, **follow)
    except OSError as error:
        return (), "" if error.errno in _UNSUPPORTED else str(error)
    for name in sorted(os.fsencode(name) for name in names):
        try:
            value = os.getxattr(where, name, **follow)
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed meanwhile
                missed = f"{os.fsdecode(name)}: {error.strerror}"
            continue
        size += len(name) + len(value)
        if size > XATTRS_MAX:
            return tuple(found), f"more than {XATTRS_MAX} bytes of attributes"
        found.append((name, value))
    return tuple(found), missed


def holes_of(handle: int, found: os.stat_result) -> tuple[tuple[int, int], ...]:
    """Return the (offset, length) of a file's holes, at most so many as an entry may have."""
    if found.st_blocks * 512 >= found.st_size:
        return ()
    holes, at = list[tuple[int, int]](), 0
    with contextlib.suppress(OSError):  # a file system without SEEK_HOLE has no holes that we could see
        while at < found.st_size and len(holes) < HOLES_MAX:
            start = os.lseek(handle, at, os.SEEK_HOLE)
            if start >= found.st_size:
                break
            try:
                at = os.lseek(handle, start, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                at = found.st_size  # no data up to the end
            holes.append((start, min(at, found.st_size) - start))
    os.lseek(handle, 0, os.SEEK_SET)
    return tuple((offset, length) for offset, length in holes if length > 0)


@dataclass
class Extents:
    """The bytes of an open file between its holes, as one stream of bounded length.

    A file that grows while it is read ends where it ended when it was opened; one that shrinks ends early.
    """

    handle: int
    size: int
    holes: tuple[tuple[int, int], ...]
    at: int = 0
    hole: int = 0
    count: int = 0
    """How many bytes were read so far."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of the buffer; 0 at the end."""
        while self.hole < len(self.holes) and self.at >= self.holes[self.hole][0]:
            self.at = sum(self.holes[self.hole])
            self.hole += 1
        end = self.holes[self.hole][0] if self.hole < len(self.holes) else self.size
        wanted = min(end - self.at, len(buffer))
        if wanted <= 0:
            return 0
        got = os.preadv(self.handle, [buffer[:wanted]], self.at)
        self.at += got
        self.count += got
        return got

    def read_all(self) -> bytes:
        """Return all of it: for small files, which are one chunk."""
        room = self.size - sum(length for _, length in self.holes)
        buffer, filled = bytearray(room), 0
        while got := self.readinto(memoryview(buffer)[filled:]):
            filled += got
        return bytes(buffer[:filled])


def open_file(path: bytes) -> int:
    """Return a handle for reading, without waiting, following a link or touching the access time."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # only the owner may leave the access time alone
        return os.open(path, flags)


def held_still(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether a file has not changed between two looks, as far as the kernel says."""
    return fingerprint(one) == fingerprint(other)


def fingerprint(found: os.stat_result) -> tuple[int, int, int, int]:
    """Return what decides that a file is unchanged: size, mtime, ctime (which no program can set), inode."""
    mask = 2**64 - 1  # some file systems have times beyond 64 bits
    return (found.st_size, found.st_mtime_ns & mask, found.st_ctime_ns & mask, found.st_ino)


def symlink_of(name: bytes, path: bytes, found: os.stat_result) -> tuple[Symlink, str]:
    """Return the entry of a symbolic link, and what was missed of its attributes."""
    xattrs, missed = xattrs_of(path)
    target = os.readlink(path)  # noqa: PTH115 - a path of bytes
    return Symlink(name, attributes_of(found, xattrs), target, link_of(found)), missed


def device_of(name: bytes, path: bytes, found: os.stat_result) -> tuple[Device, str]:
    """Return the entry of a device node, and what was missed of its attributes."""
    xattrs, missed = xattrs_of(path)
    kind = "block" if stat.S_ISBLK(found.st_mode) else "char"
    major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
    return Device(name, attributes_of(found, xattrs), kind, major, minor, link_of(found)), missed
