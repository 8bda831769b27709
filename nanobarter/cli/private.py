"""New files that only their owner may read: a phrase on its sheet, the policies of a lost node."""

import os
from pathlib import Path

from nanobarter.core.errors import LocalFault


def write_new(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 that is not there yet. Raises LocalFault."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LocalFault(f"cannot write {path}: {error.strerror}", hint="name another file") from None
