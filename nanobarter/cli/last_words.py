"""What a daemon said before it ended: the reason and the way out, for whoever started it or was waiting for it."""

import time
from pathlib import Path
from typing import Final

from nanobarter.daemon.home import Home

END_SECONDS: Final = 5.0  # a daemon that fails closes its connections first and its home last
_HINT: Final = "hint: "
_POLL_SECONDS: Final = 0.05


def said_path(home: Home) -> Path:
    """Return the file that takes what a daemon says beside its log; ``nbctl up`` begins it anew."""
    return home.path / "log" / "start.log"


def last_words(home: Home) -> tuple[str, str]:
    """Return what an ended daemon gave as its reason (empty: nothing), and the way out that it named."""
    try:
        lines = said_path(home).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line.removeprefix("nanobarterd: ") for line in lines if line.startswith("nanobarterd: ")]
    told = [line for line in said if not line.startswith(("INFO", "DEBUG", "WARNING", "ready", _HINT))]
    hints = [line.removeprefix(_HINT) for line in said if line.startswith(_HINT)]
    return told[-1] if told else "", hints[-1] if hints else f"see {home.path / 'log'}"


def wait_last_words(home: Home) -> tuple[str, str]:
    """Return the last words of a daemon that hung up on us, once it has ended; empty while it lives."""
    deadline = time.monotonic() + END_SECONDS
    while home.running_pid() is not None:
        if time.monotonic() > deadline:
            return "", ""
        time.sleep(_POLL_SECONDS)
    return last_words(home)
