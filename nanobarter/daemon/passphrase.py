"""Where the passphrase of a home comes from, tried in this order.

A descriptor (``--passphrase-fd``), a file (``--passphrase-file``), systemd's credential ``nanobarter.passphrase``
(systemd.exec(5), LoadCredential=), and a person at the terminal. Never the command line or the environment, which
other users and child processes see. The first line counts, without its end.
"""

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nanobarter.core.errors import UsageError
from nanobarter.daemon.home import Home
from nanobarter.daemon.seed_file import PASSPHRASE_BYTES_MAX

CREDENTIAL: Final = "nanobarter.passphrase"


@dataclass(frozen=True)
class Source:
    """Where a person said that it is."""

    file: str = ""
    descriptor: int | None = None


def unlock(home: Home, source: Source = Source()) -> Home:
    """Return the home with its seed at hand, asking for the passphrase if there is one.

    Raises UsageError when it is wrong or cannot be had.
    """
    return home.unlocked(find(source, f"passphrase of {home.path}: ")) if home.needs_passphrase else home


def find(source: Source, prompt: str) -> str:
    """Return a passphrase. Raises UsageError when nobody gives one."""
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    try:
        if source.descriptor is not None:
            with os.fdopen(source.descriptor, "rb") as pipe:
                return _first_line(pipe.read(PASSPHRASE_BYTES_MAX + 2))
        if source.file == "-":
            return _first_line(sys.stdin.buffer.readline(PASSPHRASE_BYTES_MAX + 2))
        if source.file:
            return _first_line(Path(source.file).read_bytes())
        if os.environ.get("CREDENTIALS_DIRECTORY") and credential.is_file():
            return _first_line(credential.read_bytes())
    except OSError as error:
        where = source.file or (f"descriptor {source.descriptor}" if source.descriptor is not None else credential)
        raise UsageError(f"cannot read the passphrase from {where}: {error.strerror}") from None
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    raise UsageError(
        "the keys of this home are locked by a passphrase, and nobody is there to give it",
        hint=f"--passphrase-file FILE, --passphrase-fd N, or systemd's LoadCredential={CREDENTIAL}:FILE",
    )


def _first_line(raw: bytes) -> str:
    line = raw.split(b"\n", 1)[0].removesuffix(b"\r")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise UsageError("the passphrase is not text", hint="it is read as UTF-8") from None
