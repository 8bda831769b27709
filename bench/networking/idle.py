"""What costs when nothing happens: thousands of idle connections, and a daemon that waits."""

import os
import resource
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from bench.figure import Figure
from nanobarter.cli.demo_nodes import Node, Stage, free_address
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.config_network import Network
from nanobarter.net.address import Address
from nanobarter.net.certificates import tls_context
from nanobarter.net.connection import Connection
from nanobarter.net.handshake import Ours, greet
from nanobarter.net.methods import Methods

_AT_ONCE = 16
_MONTH_S = 30 * 86_400
_SETTLE_S = 15  # the bustle of the start


def resident(pid: int | None = None) -> int:
    """Return the resident bytes of a process."""
    statm = Path(f"/proc/{pid or os.getpid()}/statm").read_text()
    return int(statm.split()[1]) * resource.getpagesize()


async def connections(address: Address, server: int, count: int) -> tuple[float, float]:
    """Hold so many idle connections from this process; return the KB of each here and at the server."""
    gate, methods, up = trio.CapacityLimiter(_AT_ONCE), Methods(LIMITS.frame_bytes_max), 0
    contexts = [tls_context(SigningKey(b"I" + i.to_bytes(31, "big")), server=False) for i in range(count)]
    async with trio.open_nursery() as nursery:

        async def hold(number: int) -> None:
            nonlocal up
            key = SigningKey(b"I" + number.to_bytes(31, "big"))
            async with gate:
                socket = await trio.open_tcp_stream(address.host, address.port)
                ours = Ours(key.node_id, bytes(16), LIMITS)
                greeted = await greet(socket, contexts[number], ours, expected=None, serial=1)
                up += 1
            connection = Connection(
                greeted.channel, greeted.decoder, greeted.key, greeted.hello, serial=1, methods=methods, limits=LIMITS
            )
            await connection.run(greeted.first)

        here, there = resident(), resident(server)
        for number in range(count):
            nursery.start_soon(hold, number)
        while up < count:  # noqa: ASYNC110 - a bench may poll
            await trio.sleep(0.05)
        await trio.sleep(2)  # the trading of records ends
        grown = resident() - here, resident(server) - there
        nursery.cancel_scope.cancel()
    return grown[0] / count / 1000, grown[1] / count / 1000


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _traffic(node: Node) -> tuple[int, int]:
    told: dict[str, Any] = node.client.get("/v1/peers")
    rows = [row for row in told["peers"] if row["connected"]]
    return sum(row["bytes_in"] + row["bytes_out"] for row in rows), len(rows)


@contextmanager
def daemons() -> Generator[Node]:
    """Let three daemons know each other and wait for each other's word; give the first, to be watched later."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "stage")
        stage.folder.mkdir()
        try:
            first = free_address()
            for number, at in enumerate((first, free_address(), free_address())):
                network = Network(listen=at, bootstrap=(first,), same_host_ok=True)
                stage.add(f"n{number}", Config(offer=Offer(space="1GB"), network=network), at).start()
            for node in stage.nodes:
                node.wait_up()
            time.sleep(_SETTLE_S)
            yield stage.nodes[0]
        finally:
            stage.close(keep=False)


def watch(node: Node, span: int) -> list[Figure]:
    """Watch an idle daemon for some seconds. What else the machine does meanwhile makes no difference."""
    assert node.process is not None  # noqa: S101 - it was started
    pid = node.process.pid
    cpu, (carried, peers), began = _cpu_s(pid), _traffic(node), time.monotonic()
    time.sleep(span)
    took = time.monotonic() - began
    grown, still = _traffic(node)
    note = f"one of three daemons, {took:.0f} s, {still} peers; bytes of messages, without TLS and TCP"
    monthly = (grown - carried) / took * _MONTH_S / 1e6 / max(peers, 1)
    memory = f"{note}; of it {_private(pid) / 1e6:.0f} MB are its own, the rest libraries as they lie on the disk"
    return [
        Figure("node.idle_rss_mb", resident(pid) / 1e6, "MB", memory, ("Tahoe-LAFS", 90.0)),
        Figure("node.idle_cpu_percent", (_cpu_s(pid) - cpu) / took * 100, "%", note, ("Tahoe-LAFS", 1.9)),
        Figure("node.idle_mb_per_peer_month", monthly, "MB", note, ("Tahoe-LAFS", 1900.0)),
    ]


def _private(pid: int) -> int:
    rows = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return 1024 * sum(int(row[1]) for row in rows if row[0] in ("Private_Dirty:", "Private_Clean:"))
