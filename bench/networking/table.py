"""The hash table on loopback with 30 % of its nodes dead; ``rivals`` measures kademlia from PyPI in the same way.

Both run many nodes in one process over real UDP sockets.
"""

import statistics
import time
from collections.abc import Iterator

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

DEAD = 0.3
NODES = 100
_CLOCK = SystemClock()


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Measure and yield the figures of ours."""
    nodes, tries = (30, 10) if quick else (NODES, 40)
    lookups, publishes, found = trio.run(_measure, nodes, tries)
    note = f"{nodes} nodes on loopback, {DEAD:.0%} of them just died, {found} of {tries} found"
    yield Figure("dht.lookup_p50_ms_30dead", statistics.median(lookups) * 1000, "ms", note)
    yield Figure("dht.lookup_p90_ms_30dead", sorted(lookups)[len(lookups) * 9 // 10] * 1000, "ms", note)
    yield Figure("dht.publish_p50_s_30dead", statistics.median(publishes), "s", note)


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
        living = round(nodes * (1 - DEAD))
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
