"""What one TLS connection carries between two processes on loopback: bulk, small calls, and memory when idle.

The server is a process of its own, so each side has its own interpreter, as in life. Wall figures depend on what
else the machine does; the notes say how many cores it has.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import trio

from bench.figure import Figure
from bench.networking import spread, table
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import MINUTE, Span
from nanobarter.net.address import Address
from nanobarter.net.network import MIGRATIONS, Network

_TIMEOUT = Span(MINUTE)
_CHUNK = 1024 * 1024
_IN_FLIGHT = 32
_SERVER_KEY = SigningKey(b"S" * 32)


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Measure and yield the figures of the transport. ``quick`` takes a few seconds."""
    note = f"two processes on loopback, {os.cpu_count()} cores"
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.network", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            port = int(server.stdout.readline())
            bulk, latencies, wall, idle = trio.run(_measure, Path(folder), port, quick)
        finally:
            server.kill()
            server.wait()
    yield Figure("net.bulk_mb_s", bulk, "MB/s", note, ("libp2p", 232.0))
    yield Figure("net.rpc_per_s_32", len(latencies) / wall, "1/s", note, ("libp2p", 2900.0))
    p99 = sorted(latencies)[len(latencies) * 99 // 100] * 1000
    yield Figure("net.rpc_p99_ms_32", p99, "ms", note, ("libp2p", 11.0))
    yield Figure(
        "net.idle_kb_per_connection",
        idle,
        "KB",
        "growth of a process with many nodes, per connection; each writes to a database of its own",
    )
    yield from spread.figures(quick)
    yield from table.figures(quick)


def _network(folder: Path, key: SigningKey, listen: Address | None) -> tuple[Store, Network]:
    store = Store.open(folder / f"{key.node_id.hex()}.db", MIGRATIONS)
    network = Network(
        key=key,
        listen=listen,
        bootstrap=[],
        store=store,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        same_host_ok=True,
    )
    return store, network


async def _measure(folder: Path, port: int, quick: bool) -> tuple[float, list[float], float, float]:  # noqa: FBT001
    address, peer = Address("127.0.0.1", port), _SERVER_KEY.node_id
    store, network = _network(folder, SigningKey(b"C" * 32), None)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await nursery.start(network.run)
        network.learn(peer, address)
        await network.call(peer, "b.echo", b"", timeout=_TIMEOUT)
        bulk = await _bulk(network, peer, 64 if quick else 1024)
        latencies, wall = await _calls(network, peer, 5_000 if quick else 100_000)
        idle = await _idle(folder, address, 40 if quick else 400)
        nursery.cancel_scope.cancel()
    store.close()
    return bulk, latencies, wall, idle


async def _bulk(network: Network, peer: NodeId, count: int) -> float:
    body, left = os.urandom(_CHUNK), count

    async def send() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await network.call(peer, "b.sink", body, timeout=_TIMEOUT, priority="bulk")

    return count * _CHUNK / 1e6 / await _together(send, 8)


async def _calls(network: Network, peer: NodeId, count: int) -> tuple[list[float], float]:
    latencies = list[float]()

    async def ask() -> None:
        while len(latencies) < count:
            started = time.perf_counter()
            await network.call(peer, "b.echo", b"ping", timeout=_TIMEOUT)
            latencies.append(time.perf_counter() - started)

    wall = await _together(ask, _IN_FLIGHT)
    return latencies, wall


async def _together(job: Callable[[], Awaitable[None]], count: int) -> float:
    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(job)
    return time.perf_counter() - started


async def _idle(folder: Path, address: Address, count: int) -> float:
    """Dial from many nodes, each with one connection, and see how much this process grows."""
    stores = [_network(folder, SigningKey(b"I" + i.to_bytes(31, "big")), None) for i in range(count)]
    async with trio.open_nursery() as nursery:
        for store, network in stores:
            await nursery.start(store.run)
            await nursery.start(network.run)
        before = _resident()
        for _, network in stores:
            network.learn(None, address)
        while not all(network.connected() for _, network in stores):  # noqa: ASYNC110 - a bench may poll
            await trio.sleep(0.05)
        await trio.sleep(1)  # the trading of records ends
        growth = _resident() - before
        nursery.cancel_scope.cancel()
    for store, _ in stores:
        store.close()
    return growth / count / 1000


def _resident() -> int:
    """Return the resident bytes of this process; the peak where there is no /proc."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _serve(folder: Path) -> None:
    store, network = _network(folder, _SERVER_KEY, Address("127.0.0.1", 0))

    async def echo(_peer: NodeId, body: bytes) -> bytes:
        return body

    async def sink(_peer: NodeId, _body: bytes) -> bytes:
        return b""

    network.add("b.echo", echo, body_max=100)
    network.add("b.sink", sink, body_max=_CHUNK)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        bound: Address = await nursery.start(network.run)
        print(bound.port, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        trio.run(_serve, Path(sys.argv[1]))
    else:
        for figure in figures(True):
            print(figure)
