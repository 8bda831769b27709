"""The daemons of the demo: fresh homes, real processes, their deaths. Only what a person could type."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nanobarter.cli.client import Client
from nanobarter.cli.exits import CommandFailed
from nanobarter.cli.node import make_home, start_daemon, wait_ready, wait_until
from nanobarter.core.ids import show_node
from nanobarter.core.keys import identity_of
from nanobarter.core.phrase import make_phrase, seed_of
from nanobarter.core.system import SystemEntropy
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0

_kept: Final = list[socket.socket]()


@dataclass
class Node:
    """One daemon of the demo. ``name`` is for the story; ``node`` is the id that its phrase gives it."""

    name: str
    home: Home
    phrase: str
    address: str
    node: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> Client:
        """The local API of this node."""
        return Client(self.home)

    def start(self) -> None:
        """Start the daemon in the background."""
        self.process = start_daemon(self.home)

    def wait_up(self) -> None:
        """Wait until it answers. Raises CommandFailed when it does not."""
        if self.process is None:
            raise CommandFailed(f"{self.name} was not started")
        wait_ready(self.home, self.process, READY_SECONDS)

    def ask(self, path: str) -> dict[str, Any] | None:
        """Return its answer; None while it does not answer, since someone may have killed it to see what happens."""
        try:
            return self.client.get(path)
        except (CommandFailed, OSError):
            return None

    def kill(self) -> None:
        """SIGKILL, whoever started the process that serves this home now."""
        pid = self.home.running_pid() if self.home.path.exists() else None
        if pid:
            os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.kill()
            self.process.wait()
        wait_until(lambda: self.home.running_pid() is None, STOP_SECONDS)


@dataclass
class Stage:
    """Everything the demo made, and its end: ``close`` leaves no process and no folder."""

    folder: Path
    nodes: list[Node] = field(default_factory=list[Node])

    def add(self, name: str, config: Config, address: str) -> Node:
        """Make the home of one more node, as ``nbctl init`` does."""
        phrase = make_phrase(SystemEntropy())
        home = make_home(self.folder / name, phrase, config)
        node = Node(name, home, phrase, address, show_node(identity_of(seed_of(phrase)).node_id))
        self.nodes.append(node)
        return node

    def name_of(self, node: str) -> str:
        """Return the story's name of a node id."""
        return next((known.name for known in self.nodes if known.node == node), node[:10])

    def close(self, *, keep: bool) -> None:
        """Kill every daemon and remove every folder, whatever state they are in."""
        for node in self.nodes:
            node.kill()
        if not keep:
            remove_tree(self.folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder, also where a copied mode forbids writing in it."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def free_address() -> str:
    """Return a loopback address that nobody else on this machine is given while this process lives.

    Fixed in the config rather than port 0, so that a daemon that is killed and started again is found again. A port
    that was found and closed may be found again, by the next call or by any program. One that stays bound is not,
    and yet a daemon may listen there, since both sockets say SO_REUSEADDR and ours does not listen (socket(7)).
    """
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _kept.append(found)
    return f"127.0.0.1:{found.getsockname()[1]}"


def nbctl(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run nbctl as a person would; return its exit code and its JSON answer (empty when it gave none)."""
    command = [sys.executable, "-m", "nanobarter.cli.main", *arguments, "--json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    lines = ended.stdout.decode(errors="replace").strip().splitlines()
    try:
        return ended.returncode, json.loads(lines[-1]) if lines else {}
    except ValueError:
        return ended.returncode, {}
