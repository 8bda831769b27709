"""Small files that a crash leaves old or new, never half."""

import os
from pathlib import Path

_PRIVATE: int = 0o600


def write_durably(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 and return once its bytes and its name are on disk. Raises OSError.

    The bytes are synced before the rename and the folder after it (Pillai et al., OSDI 2014).
    """
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _PRIVATE)  # should one be left from before
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_entry(path.parent)


def sync_entry(path: Path) -> None:
    """Return once a file's bytes, or the names in a folder, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
