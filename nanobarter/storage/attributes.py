"""Giving a restored file its owner, mode, extended attributes and times; what cannot be given is returned as text."""

import os
import stat
from typing import Final

from nanobarter.storage.tree import Attributes, Device, Symlink

_NANO: Final = 1_000_000_000
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID


def set_attributes(handle: int, attributes: Attributes) -> list[str]:
    """Set what an open file or directory has: the owner first, since that clears other bits; times last."""
    mode, missed = attributes.mode, list[str]()
    if os.geteuid() == 0:
        os.fchown(handle, attributes.uid, attributes.gid)
    elif attributes.uid != os.geteuid():
        mode &= ~_SET_ID  # a program that ran as somebody else must not now run as us
    os.fchmod(handle, mode)
    for name, value in attributes.xattrs:
        try:
            os.setxattr(handle, name, value)
        except OSError as error:
            missed.append(f"attribute {os.fsdecode(name)}: {text_of(error)}")
    os.utime(handle, ns=_times(attributes))
    return missed


def set_special(parent: int, name: bytes, entry: Symlink | Device) -> list[str]:
    """Set what a link or device has, which cannot be opened."""
    attributes, missed = entry.attributes, list[str]()
    if os.geteuid() == 0:
        os.chown(name, attributes.uid, attributes.gid, dir_fd=parent, follow_symlinks=False)
    if isinstance(entry, Device):
        os.chmod(name, attributes.mode, dir_fd=parent)
    for key, value in attributes.xattrs:
        path = f"/proc/self/fd/{parent}/".encode() + name  # setxattr takes no handle of a directory
        try:
            os.setxattr(path, key, value, follow_symlinks=False)
        except OSError as error:
            missed.append(f"attribute {os.fsdecode(key)}: {text_of(error)}")
    os.utime(name, ns=_times(attributes), dir_fd=parent, follow_symlinks=False)
    return missed


def _times(attributes: Attributes) -> tuple[int, int]:
    time = attributes.mtime_s * _NANO + attributes.mtime_ns
    return (time, time)


def text_of(error: BaseException) -> str:
    """Return what an error says to a person."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
