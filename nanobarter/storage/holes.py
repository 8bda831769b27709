"""How much of a file there is to store: holes are not."""

import os
from typing import Final

_BLOCK: Final = 512  # the unit of st_blocks, whatever the file system's own is (stat(3type))


def stored_bytes(found: os.stat_result) -> int:
    """Return the length of a file or, where holes make that less, what it takes on its disk."""
    return min(found.st_size, found.st_blocks * _BLOCK)
