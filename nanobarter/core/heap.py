"""How this process asks the C library for memory: from one heap for all threads.

glibc gives every thread a heap of its own (arena), and what one thread frees is not used by another. Chunks, packs
and shares are made in one worker thread and freed in the next, so a backup held 230 MB where 143 MB do. The
interpreter lock keeps threads from waiting for each other's heap. Elsewhere than on glibc nothing changes.
"""

import ctypes
from typing import Final

_ARENA_MAX: Final = -8  # M_ARENA_MAX of malloc.h; mallopt(3)


def share_heap() -> bool:
    """Let all threads that start from now on use one heap; tell whether the C library does. Call it first of all."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, 1))
    except (OSError, AttributeError):
        return False
