"""Networks of table nodes, over the air of memory or over sockets of loopback."""

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import trio

from nanobarter.core.keys import SigningKey
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import HOUR, after
from nanobarter.net.address import Address
from nanobarter.net.dht.memory import MemoryAir
from nanobarter.net.dht.ports import Datagrams, Source
from nanobarter.net.dht.records import Value, make_value
from nanobarter.net.dht.service import Dht
from nanobarter.net.dht.udp import UdpDatagrams

Kind = Literal["memory", "udp"]
CLOCK = ManualClock()


def key(number: int) -> SigningKey:
    return SigningKey(number.to_bytes(32, "big"))


def value_of(number: int, *, sequence: int = 1, body: bytes = b"body", salt: bytes = b"") -> Value:
    return make_value(key(number), salt, sequence=sequence, expires=after(CLOCK.now(), HOUR), body=body)


class Ends:
    """Makes ends of one kind."""

    def __init__(self, kind: Kind, stack: ExitStack) -> None:
        self._kind, self._stack, self.air = kind, stack, MemoryAir()

    def end(self, number: int) -> tuple[Datagrams, Source]:
        if self._kind == "memory":
            source = Source(bytes([127, 0, *number.to_bytes(2, "big")]), 7070)
            return self.air.end(source), source
        udp = UdpDatagrams.open(Address("127.0.0.1", 0))
        self._stack.callback(udp.close)
        return udp, Source(bytes([127, 0, 0, 1]), udp.address.port)


@dataclass
class Town:
    nodes: list[Dht]
    sources: list[Source]
    scopes: list[trio.CancelScope]
    ends: Ends

    def kill(self, number: int) -> None:
        self.scopes[number].cancel()


@asynccontextmanager
async def open_town(kind: Kind, count: int, *, joined: Callable[[int], bool] = lambda _: True) -> AsyncGenerator[Town]:
    with ExitStack() as stack:
        ends = Ends(kind, stack)
        town = Town([], [], [], ends)
        async with trio.open_nursery() as nursery:

            async def live(dht: Dht, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
                with scope:
                    await dht.run(task_status=task_status)

            for number in range(count):
                datagrams, source = ends.end(number + 1)
                entropy = SeededEntropy(number, "dht")
                dht = Dht(key=key(number + 1), datagrams=datagrams, clock=CLOCK, entropy=entropy, same_host_ok=True)
                scope = trio.CancelScope()
                await nursery.start(live, dht, scope)
                town.nodes.append(dht)
                town.sources.append(source)
                town.scopes.append(scope)
                if number and joined(number):
                    await dht.join(town.sources[:1])
            yield town
            nursery.cancel_scope.cancel()
