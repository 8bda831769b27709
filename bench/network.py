"""What one TLS connection carries between two processes on loopback: bulk, small calls, and memory when idle.

The server is a process of its own, so each side has its own interpreter, as in life. Wall figures depend on what
else the machine does; the notes say how many cores it has.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import trio

from bench.figure import Figure
from bench.networking import idle, rivals, spread, table
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
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
    """Measure and yield the figures of the network. ``quick`` takes about a minute, all of it less than six.

    What needs a quiet machine comes first; then what only waits is watched beside the simulations.
    """
    with idle.daemons() as node:
        yield from _transport(quick)
        yield from rivals.libp2p(quick=quick)
        yield from table.figures(quick)
        with ThreadPoolExecutor() as pool:
            quiet = pool.submit(idle.watch, node, 20 if quick else 150)
            rival = pool.submit(lambda: list(rivals.kademlia(table.NODES, 3, table.DEAD, quick=quick)))
            yield from spread.figures(quick)
            yield from rival.result()
            yield from quiet.result()


def _transport(quick: bool) -> Iterator[Figure]:  # noqa: FBT001
    note = f"two processes on loopback, {os.cpu_count()} cores"
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.network", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            port = int(server.stdout.readline())
            bulk, latencies, wall, cpu = trio.run(_measure, Path(folder), port, quick)
            here, there = trio.run(idle.connections, Address("127.0.0.1", port), server.pid, 200 if quick else 4000)
        finally:
            server.kill()
            server.wait()
    yield Figure("net.bulk_mb_s", bulk, "MB/s", note, ("libp2p", 232.0))
    yield Figure("net.rpc_per_s_32", len(latencies) / wall, "1/s", note, ("libp2p", 2900.0))
    p99 = sorted(latencies)[len(latencies) * 99 // 100] * 1000
    yield Figure("net.rpc_p99_ms_32", p99, "ms", note, ("libp2p", 11.0))
    yield Figure("net.rpc_cpu_us_32", cpu, "us", "CPU of the asking process for one call")
    yield Figure(
        "net.idle_kb_per_connection",
        max(here, there),
        "KB",
        f"the larger side: {there:.1f} at a node that also remembers each peer, {here:.1f} at the dialling side",
    )


def _network(folder: Path, key: SigningKey, listen: Address | None) -> tuple[Store, Network]:
    store = Store.open(folder / f"{key.node_id.hex()}.db", MIGRATIONS)
    network = Network(
        key=key,
        listen=listen,
        bootstrap=[],
        store=store,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        limits=replace(LIMITS, connections_max=10_000),
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
        used = time.process_time()
        latencies, wall = await _calls(network, peer, 5_000 if quick else 100_000)
        cpu = (time.process_time() - used) / len(latencies) * 1e6
        nursery.cancel_scope.cancel()
    store.close()
    return bulk, latencies, wall, cpu


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
