"""Our side of the comparison with Tahoe-LAFS: real daemons on loopback, asked through their local APIs.

The owner barters its space before anything is measured, since Tahoe-LAFS has nothing like it. The code is what the
node chooses by itself for so many peers.
"""

import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.storing.cost import Failed, cpu_of, forget_peak, memory_of
from nanobarter.cli.demo_cast import SWAP
from nanobarter.cli.demo_nodes import Node, Stage, free_address
from nanobarter.cli.node import wait_until
from nanobarter.daemon.config import Backup, Config, Market, Offer
from nanobarter.daemon.config_network import Network

_BARTER_SECONDS = 90.0
_SPACE = "8GB"


@dataclass(frozen=True)
class Took:
    """What one job of the owner took: on the wall, in CPU of the owner and of all peers, and its memory."""

    seconds: float
    owner_cpu_s: float
    peers_cpu_s: float
    memory_mb: float
    answer: dict[str, Any]


@dataclass
class Grid:
    """An owner and its peers, all up and connected, with space for the owner at each."""

    stage: Stage

    @property
    def owner(self) -> Node:
        """The node that backs up."""
        return self.stage.nodes[0]

    @property
    def peers(self) -> list[Node]:
        """The nodes that keep shares."""
        return self.stage.nodes[1:]

    def backup(self, folder: Path) -> Took:
        """Back a folder up; done when peers hold every share."""
        return self._job("/v1/backup", {"folders": [str(folder)]})

    def restore(self, folder: Path, target: Path) -> Took:
        """Restore the newest snapshot of a folder into an empty one."""
        return self._job("/v1/restore", {"target": str(target), "paths": [str(folder)], "snapshot": "", "at": 0})

    def _job(self, route: str, wish: dict[str, Any]) -> Took:
        owner, peers = pid_of(self.owner), [pid_of(peer) for peer in self.peers]
        forget_peak(owner)
        before, among = cpu_of(owner), sum(map(cpu_of, peers))
        started = time.monotonic()
        answer = dict[str, Any]()
        for event in self.owner.client.stream(route, wish):
            answer = event
        seconds = time.monotonic() - started
        return Took(seconds, cpu_of(owner) - before, sum(map(cpu_of, peers)) - among, memory_of(owner), answer)

    @contextmanager
    def hung(self, peer: Node) -> Generator[None]:
        """Stop a peer's process, so that it keeps its connections and answers nothing."""
        pid = pid_of(peer)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def pid_of(node: Node) -> int:
    """Return the process of a node. Raises Failed when it is gone."""
    if node.process is None or node.process.poll() is not None:
        raise Failed(f"the daemon of {node.name} is gone")
    return node.process.pid


@contextmanager
def grid(folder: Path, peers: int, folders: Sequence[Path]) -> Generator[Grid]:
    """Make homes, start daemons, and let the owner barter space for these folders; all are killed at the end.

    The peers want the owner's notes only, so that nobody barters once the owner has what it needs.
    """
    stage = Stage(folder)
    try:
        addresses = [free_address() for _ in range(peers + 1)]
        plan = Backup(folders=tuple(map(str, folders)))
        owner = stage.add("owner", _config(addresses[0], [], Market(reserve="0B"), plan), addresses[0])
        wants = Market(reserve=_SPACE, wants=(owner.node,))
        for number in range(1, peers + 1):
            config = _config(addresses[number], addresses[:number], wants, Backup())
            stage.add(f"peer {number}", config, addresses[number])
        for node in stage.nodes:
            node.start()
        for node in stage.nodes:
            node.wait_up()
        made = Grid(stage)
        if not wait_until(lambda: _issuers(owner) >= peers, _BARTER_SECONDS, every=0.5):
            raise Failed(f"the owner got space at {_issuers(owner)} of {peers} peers in {_BARTER_SECONDS:g} s")
        small = folder / "warm"
        small.mkdir()
        (small / "file").write_bytes(os.urandom(1000))
        made.backup(small)  # waits for the last agreement
        yield made
    finally:
        stage.close(keep=False)


def _config(address: str, bootstrap: list[str], market: Market, plan: Backup) -> Config:
    network = Network(listen=address, bootstrap=tuple(bootstrap), same_host_ok=True)
    return Config(backup=plan, offer=Offer(space=_SPACE), market=market, network=network, swap=SWAP)


def _issuers(node: Node) -> int:
    found = node.ask("/v1/wallet") or {}
    return len({row["issuer"] for row in found.get("holdings", [])} - {node.node})
