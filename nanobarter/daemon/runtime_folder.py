"""A short private folder for a socket, where the home's own path is too long for one."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from nanobarter.core.errors import LocalFault

_PRIVATE_FOLDER: Final = 0o700


def runtime_folder() -> Path:
    """Find it: that of the session, else one in the temporary folder, checked to be ours. Raises LocalFault."""
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(session) / "nanobarter" if session else Path(tempfile.gettempdir()) / f"nanobarter-{os.getuid()}"
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise LocalFault(f"cannot make {folder} for the socket: {error.strerror}", hint="use a shorter home") from None
    # Anyone may make names in the temporary folder; a folder of another's must not catch our commands.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LocalFault(f"{folder} is not a private folder of ours", hint="remove it, or use a shorter home")
    return folder
