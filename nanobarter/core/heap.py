"""How this process asks the C library for memory: from one heap for all threads.

glibc gives every thread a heap of its own (arena), and what one thread frees is not used by another. Chunks, packs
and shares are made in one worker thread and freed in the next, so a backup held 230 MB where 143 MB do. The
interpreter lock keeps threads from waiting for each other's heap.

Large blocks come from the heap too. Of itself glibc maps each of them anew and unmaps it when it is freed, and the
kernel fills its pages with zeros one by one: a share of 2 MiB cost more in that than in its erasure code, masks and
hashes together. Elsewhere than on glibc nothing changes.
"""

import ctypes
from typing import Final

_ARENA_MAX: Final = -8  # M_ARENA_MAX of malloc.h; mallopt(3)
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
_LARGE: Final = 32 * 1024 * 1024  # the most that M_MMAP_THRESHOLD may be
_KEPT: Final = 16 * 1024 * 1024  # at the end of the heap; what is free below it waits for ``give_back``


def share_heap() -> bool:
    """Let all threads that start from now on use one heap; tell whether the C library does. Call it first of all."""
    try:
        set_option = ctypes.CDLL(None).mallopt
        large = set_option(_MMAP_THRESHOLD, _LARGE) and set_option(_TRIM_THRESHOLD, _KEPT)
        return bool(set_option(_ARENA_MAX, 1) and large)
    except (OSError, AttributeError):
        return False


def give_back() -> bool:
    """Give what is free to the system; tell whether there was anything. For after large work: it takes milliseconds."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False
