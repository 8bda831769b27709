"""Giving a file its name unless something has it: one step of the kernel where it offers one."""

import ctypes
import errno
import os
from functools import cache
from typing import Any, Final

_NO_REPLACE: Final = 1  # RENAME_NOREPLACE, renameat2(2)
_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOSYS})


@cache
def _renameat2() -> Any:
    found = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if found is not None:
        found.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return found


def rename_new(old: bytes, new: bytes, parent: int) -> None:
    """Rename within a directory. Raises FileExistsError when the new name is taken.

    On a file system or C library without that call there is a moment between the look and the renaming.
    """
    call = _renameat2()
    if call is not None:
        if call(parent, old, parent, new, _NO_REPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _CANNOT:
            raise OSError(code, os.strerror(code))
    try:
        os.lstat(new, dir_fd=parent)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=parent, dst_dir_fd=parent)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
