"""The hash table on loopback with 30 % of its nodes dead, and kademlia from PyPI beside it under the same conditions.

Both run many nodes in one process over real UDP sockets. kademlia runs in an environment of its own, made for the
occasion; when that cannot be made, its figures are null and the note has the reason.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import trio

from bench.figure import Figure
from nanobarter.core.keys import SigningKey
from nanobarter.core.system import SeededEntropy, SystemClock
from nanobarter.core.units import HOUR, after
from nanobarter.net.address import Address
from nanobarter.net.dht.ports import Source
from nanobarter.net.dht.records import Value, make_value
from nanobarter.net.dht.service import Dht
from nanobarter.net.dht.udp import UdpDatagrams

_DEAD = 0.3
_RIVAL = Path(__file__).parent / "kademlia_rival.py"
_RIVAL_SECONDS = 420
_CLOCK = SystemClock()


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Measure and yield the figures of both."""
    nodes, tries = (30, 10) if quick else (100, 40)
    lookups, publishes, found = trio.run(_measure, nodes, tries)
    rival = {"note": "left out by --quick: it takes minutes"} if quick else _rival(nodes, 8)
    note = f"{nodes} nodes on loopback, {_DEAD:.0%} of them just died, {found} of {tries} found"
    yield Figure("dht.lookup_p50_ms_30dead", statistics.median(lookups) * 1000, "ms", note)
    yield Figure("dht.lookup_p90_ms_30dead", sorted(lookups)[len(lookups) * 9 // 10] * 1000, "ms", note)
    yield Figure("dht.publish_p50_s_30dead", statistics.median(publishes), "s", note)
    for name, key, unit in (
        ("dht.lookup_p50_ms_30dead.kademlia", "lookup_p50_ms", "ms"),
        ("dht.publish_p50_s_30dead.kademlia", "publish_p50_s", "s"),
    ):
        value = rival.get(key)
        yield Figure(name, float(str(value)) if value is not None else None, unit, str(rival.get("note", "")))


def _key(number: int) -> SigningKey:
    return SigningKey(b"B" * 28 + number.to_bytes(4, "big"))


def _value(number: int) -> Value:
    body = f"value {number}".encode()
    return make_value(_key(number), b"", sequence=1, expires=after(_CLOCK.now(), HOUR), body=body)


async def _measure(nodes: int, tries: int) -> tuple[list[float], list[float], int]:
    scopes, tables, ends = list[trio.CancelScope](), list[Dht](), list[UdpDatagrams]()
    lookups, publishes, found = list[float](), list[float](), 0
    async with trio.open_nursery() as nursery:

        async def live(dht: Dht, scope: trio.CancelScope) -> None:
            with scope:
                await dht.run()

        for number in range(nodes):
            end = UdpDatagrams.open(Address("127.0.0.1", 0))
            entropy = SeededEntropy(number, "bench")
            dht = Dht(key=_key(number), datagrams=end, clock=_CLOCK, entropy=entropy, same_host_ok=True)
            scopes.append(trio.CancelScope())
            nursery.start_soon(live, dht, scopes[-1])
            ends.append(end)
            tables.append(dht)
            await dht.join([Source(bytes([127, 0, 0, 1]), ends[0].address.port)] if number else [])
        await trio.sleep(3)  # strangers are asked back
        for number in range(tries):
            await tables[number % nodes].publish(_value(number))
        living = round(nodes * (1 - _DEAD))
        for number in range(living, nodes):
            scopes[number].cancel()
            ends[number].close()
        for number in range(tries):
            begun = time.perf_counter()
            found += await tables[(7 * number + 3) % living].find(_value(number).place) is not None
            lookups.append(time.perf_counter() - begun)
        for number in range(tries):
            begun = time.perf_counter()
            await tables[(5 * number + 1) % living].publish(_value(10_000 + number))
            publishes.append(time.perf_counter() - begun)
        nursery.cancel_scope.cancel()
    return lookups, publishes, found


def _rival(nodes: int, tries: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="nanobarter-bench-") as folder:
        python = Path(folder) / "env" / "bin" / "python"
        steps = (
            [sys.executable, "-m", "venv", str(python.parent.parent)],
            [str(python), "-m", "pip", "install", "--quiet", "kademlia==2.2.3"],
            [str(python), str(_RIVAL), str(nodes), str(tries), str(_DEAD)],
        )
        said = ""
        for step in steps:
            try:
                done = subprocess.run(step, capture_output=True, text=True, timeout=_RIVAL_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                return {"note": f"could not be run: {error}"[:300]}
            if done.returncode:
                return {"note": f"could not be run: {' '.join(step[:4])}: {done.stderr.strip()[-250:]}"}
            said = done.stdout
    answer: dict[str, object] = json.loads(said.splitlines()[-1])
    return answer
