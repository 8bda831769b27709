"""What a command costs: its own CPU seconds and memory, and the time on the wall."""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
ROOT: Final = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A command that did not do its work; the text is what it said."""


@dataclass(frozen=True)
class Cost:
    """User and system seconds, seconds on the wall, and the most memory that was resident (MB)."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, seconds: float = 900.0) -> Cost:
    """Run a command to its end and return its cost, that of its children included. Raises Failed."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        usage = _wait(process, started + seconds)
        wall = time.monotonic() - started
        if usage is None or process.returncode:
            said.seek(0)
            told = said.read()[-600:].decode(errors="replace")
            raise Failed(f"{' '.join(command[:4])}: {'too slow' if usage is None else process.returncode}: {told}")
        return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e6)


def _wait(process: "subprocess.Popen[bytes]", deadline: float) -> resource.struct_rusage | None:
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return None
        time.sleep(0.005)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_of(pid: int, what: str = "VmHWM") -> float:
    """Return the resident memory of a running process, MB: the most so far (VmHWM) or now (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Failed(f"/proc/{pid}/status does not tell {what}")


def forget_peak(pid: int) -> None:
    """Let ``memory_of`` count the most from now on (Linux, /proc/PID/clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
