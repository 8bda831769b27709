"""Machines for the end-to-end tests: homes made, started, asked and killed with the commands that a person types.

Where the tests run as root, the commands run without root's powers, as in life: root reads every file whatever its
mode, so nothing could be unreadable.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nanobarter.cli.client import Client
from nanobarter.cli.demo_nodes import free_address, remove_tree
from nanobarter.cli.exits import CommandFailed
from nanobarter.cli.node import wait_until
from nanobarter.core.soundness import sum_path
from nanobarter.daemon.config import Audit, Config, Swap
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.config_text import write_config
from nanobarter.daemon.home import Home

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 240.0
READY_SECONDS = 60.0
SWAP = Swap(approve="5s", lock="10s", vote="15s", delta="15s")
AUDIT = Audit(period="1h", grace="1h")  # long: a test says when shares are challenged


@cache
def stripped() -> tuple[str, ...]:
    """Return what takes root's powers from a command; empty where nothing is to be taken or nothing can take it.

    The user id stays, since root's interpreter often lies where no other user can reach it; without capabilities
    the kernel holds root to modes and owners like anyone else (capabilities(7)).
    """
    if os.geteuid() or not (setpriv := shutil.which("setpriv")):
        return ()
    return (setpriv, "--bounding-set=-all", "--inh-caps=-all", "--")


def is_held_to_modes() -> bool:
    """Tell whether a file of mode 000 cannot be read by the commands."""
    return os.geteuid() != 0 or bool(stripped())


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NANOBARTER_")}
    return {**kept, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1", **more}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """The last line of the output, which is JSON."""
        return json.loads(self.out.strip().splitlines()[-1])

    def refused(self, code: int, *words: str) -> None:
        """Check that this was one clear message with the right code, and no traceback."""
        told = [line for line in self.err.splitlines() if not line.startswith(("nbctl: hint:", "nanobarterd: hint:"))]
        assert self.code == code, self
        assert "Traceback" not in self.out + self.err, self
        assert all(word in self.err for word in words), self
        assert told, self
        assert all(line.startswith(("nbctl: ", "nanobarterd: ")) for line in told), self


def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start nbctl without root's powers, in a session of its own."""
    return _start("nanobarter.cli.main", *arguments, **more)


def _start(module: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*stripped(), sys.executable, "-m", module, *arguments],
        cwd="/",
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = COMMAND_SECONDS) -> Ended:
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"{process.args} took longer than {seconds:g} s: {out[-500:]} {err[-2000:]}")
    return Ended(process.returncode, out, err)


def nbctl(*arguments: str, **more: str) -> Ended:
    return finish(start(*arguments, **more))


def daemon(home: Path, *arguments: str) -> Ended:
    """Run a daemon that is to refuse to run."""
    return finish(_start("nanobarter.daemon.main", "--home", str(home), *arguments))


@contextmanager
def place() -> Generator[Path]:
    """Give a folder with a short name, since sockets lie in it, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="nb-e2e-"))
    try:
        yield folder
    finally:
        remove_tree(folder)


@dataclass
class Machine:
    """One home and what it was told."""

    name: str
    path: Path
    address: str
    phrase_file: Path
    node: str = ""

    @property
    def home(self) -> Home:
        return Home(self.path)

    def nbctl(self, *arguments: str) -> Ended:
        return nbctl("--home", str(self.path), *arguments)

    def ok(self, *arguments: str) -> dict[str, Any]:
        """Run a command that answers in JSON and must succeed."""
        ended = self.nbctl(*arguments, "--json")
        assert ended.code == 0, (self.name, ended, self.log())
        return ended.answer

    def configure(self, **sections: dict[str, Any]) -> None:
        """Change some keys of the config, as one does with an editor."""
        config: Config = load_config(self.home.config_path)
        changed = {name: replace(getattr(config, name), **keys) for name, keys in sections.items()}
        self.home.config_path.write_text(write_config(replace(config, **changed)))

    def up(self) -> None:
        ended = self.nbctl("up")
        assert ended.code == 0, (self.name, ended, self.log())
        self.node = str(self.ask("/v1/status")["node"])

    def ask(self, path: str) -> dict[str, Any]:
        return Client(self.home).get(path)

    def try_ask(self, path: str) -> dict[str, Any] | None:
        try:
            return self.ask(path)
        except (CommandFailed, OSError):
            return None

    @contextmanager
    def edited(self) -> Generator[sqlite3.Connection]:
        """Change the database of a daemon that does not run, as if the daemon had; its note on the file goes too."""
        with closing(sqlite3.connect(self.home.state_path)) as db, db:
            yield db
        sum_path(self.home.state_path).unlink(missing_ok=True)

    def log(self) -> str:
        with suppress(OSError):
            return self.home.log_path.read_text(errors="replace")[-3000:]
        return ""

    def kill(self) -> None:
        """SIGKILL the daemon, if one runs."""
        if pid := self.home.running_pid():
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: self.home.running_pid() is None, READY_SECONDS)


@dataclass
class Village:
    """Some machines in one folder."""

    folder: Path
    machines: list[Machine] = field(default_factory=list[Machine])

    def init(self, name: str, *folders: Path, space: str = "1GB", bootstrap: str = "") -> Machine:
        """Make a home with ``nbctl init`` and set in its config what a network on one machine needs."""
        machine = Machine(name, self.folder / name, free_address(), self.folder / f"{name}.phrase")
        asks = [f"--folder={folder}" for folder in folders] + [f"--listen={machine.address}", f"--space={space}"]
        asks += [f"--bootstrap={bootstrap}"] if bootstrap else []
        ended = machine.nbctl("init", *asks, f"--phrase-out={machine.phrase_file}", "--yes")
        assert ended.code == 0, ended
        machine.configure(network={"same_host_ok": True}, swap=vars_of(SWAP), audit=vars_of(AUDIT))
        self.machines.append(machine)
        return machine

    def up(self, machines: list[Machine]) -> None:
        """Start some machines at once."""
        started = [(machine, start("--home", str(machine.path), "up")) for machine in machines]
        for machine, process in started:
            ended = finish(process)
            assert ended.code == 0, (machine.name, ended, machine.log())
            machine.node = str(machine.ask("/v1/status")["node"])

    def close(self) -> None:
        for machine in self.machines:
            machine.kill()


def vars_of(section: Swap | Audit) -> dict[str, Any]:
    return {name: getattr(section, name) for name in section.__struct_fields__}


@contextmanager
def village() -> Generator[Village]:
    with place() as folder:
        made = Village(folder)
        try:
            yield made
        finally:
            made.close()


def network(made: Village, *folders: Path, peers: int = 5, reserve: str = "500MB", silent: int = 0) -> Machine:
    """Start an owner of these folders and some peers that keep a stock of anyone's space; return the owner.

    So many as are ``silent`` of them offer nothing.
    """
    owner = made.init("owner", *folders)
    neighbours = [made.init(f"peer{n}", bootstrap=owner.address) for n in range(1, peers + 1)]
    for neighbour in neighbours:
        neighbour.configure(market={"reserve": reserve})
    made.up([owner, *neighbours])
    # A backup begins with as many peers as it knows; the tests want all of them in it.
    assert wait_until(lambda: len(issuers(owner)) >= peers - silent, READY_SECONDS), owner.ask("/v1/market")
    return owner


def issuers(owner: Machine) -> set[str]:
    """Return the nodes that owe a machine space: by notes, or by leases, which notes may become at once."""
    leases = owner.ask("/v1/leases")["leases"]
    notes = owner.ask("/v1/wallet")["holdings"]
    return {str(holding["issuer"]) for holding in notes} | {
        str(lease["issuer"]) for lease in leases if lease["side"] == "held"
    }
