"""A grid of Tahoe-LAFS on loopback: an introducer, five storage servers and a client, from PyPI, in a venv of its own.

The venv is kept between runs where ``venv`` says, since installing it takes longer than most of what it is for.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.storing.cost import Failed, run

SERVERS: Final = 5
NEEDED: Final = 3
_HAPPY: Final = 4  # servers that an upload must reach: one may be away
_RELEASE: Final = "tahoe-lafs==1.20.0"
_UP_SECONDS: Final = 60.0
_INSTALL_SECONDS: Final = 240.0


def install() -> Path:
    """Return the program, after making its venv if there is none yet. Raises Failed."""
    venv = Path(tempfile.gettempdir()) / f"nanobarter-bench-{_RELEASE}-{os.getuid()}"
    program = venv / "bin" / "tahoe"
    if not program.exists():
        run([sys.executable, "-m", "venv", str(venv)], seconds=_INSTALL_SECONDS)
        run([str(venv / "bin" / "pip"), "install", "-q", _RELEASE], seconds=_INSTALL_SECONDS)
    return program


def version(program: Path) -> str:
    """Return what the program calls itself."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return told.split("\n")[0].strip() or _RELEASE


@dataclass
class Tahoe:
    """A grid that is up."""

    program: Path
    folder: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list["subprocess.Popen[bytes]"])

    def do(self, *arguments: str, seconds: float = 600.0) -> float:
        """Run one command of the client and return its seconds on the wall. Raises Failed."""
        return run([str(self.program), "-d", str(self.folder / "client"), *arguments], seconds=seconds).wall_s

    def put(self, path: Path, *, seconds: float = 600.0) -> tuple[float, str]:
        """Upload a file; return the seconds and its capability. Raises Failed."""
        started = time.monotonic()
        command = [str(self.program), "-d", str(self.folder / "client"), "put", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"tahoe put: nothing after {seconds:g} s") from None
        spent = time.monotonic() - started
        if done.returncode:
            raise Failed(f"tahoe put failed after {spent:.0f} s: {(done.stdout + done.stderr).strip()[-300:]}")
        return spent, done.stdout.split()[-1]

    @contextmanager
    def hung(self) -> Generator[None]:
        """Stop a storage server's process."""
        process = self.processes[1]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def start(self, name: str) -> None:
        """Start a node."""
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [self.program, "run", "--allow-stdin-close", str(self.folder / name)]
            self.processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            )


@contextmanager
def tahoe_grid(program: Path, folder: Path) -> Generator[Tahoe]:
    """Make and start the nodes and wait until the client knows all servers; all are killed at the end."""
    grid = Tahoe(program, folder)
    try:
        run([str(program), "create-introducer", *_where(_port()), str(folder / "introducer")])
        grid.start("introducer")
        furl = folder / "introducer" / "private" / "introducer.furl"
        _wait(furl.exists, "the introducer did not start")
        known = ["--introducer", furl.read_text().strip()]
        code = [f"--shares-needed={NEEDED}", f"--shares-happy={_HAPPY}", f"--shares-total={SERVERS}"]
        for number in range(SERVERS):
            made = folder / f"server {number}"
            run([str(program), "create-node", *known, *_where(_port()), "--webport=none", *code, str(made)])
            grid.start(made.name)
        web = _port()
        client = folder / "client"
        run([str(program), "create-client", *known, f"--webport=tcp:{web}:interface=127.0.0.1", *code, str(client)])
        grid.start("client")
        _wait(lambda: _servers(web) >= SERVERS, "the client did not find its servers")
        grid.do("create-alias", "bench")
        yield grid
    finally:
        for process in grid.processes:
            process.kill()
            process.wait()


def _where(port: int) -> list[str]:
    return ["--listen=tcp", f"--port=tcp:{port}:interface=127.0.0.1", f"--location=tcp:127.0.0.1:{port}"]


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _servers(web: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/?t=json", timeout=5) as answer:
            found = json.load(answer)["servers"]
    except (OSError, ValueError):
        return 0
    return sum(str(server.get("connection_status", "")).lower().startswith("connected") for server in found)


def _wait(condition: object, what: str) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while not (callable(condition) and condition()):
        if time.monotonic() > deadline:
            raise Failed(what)
        time.sleep(0.2)
