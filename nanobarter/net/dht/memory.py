"""Datagrams inside one process; passes the tests of the real ones (tests/net/dht/test_datagrams.py)."""

from collections.abc import Callable

import trio

from nanobarter.net.dht.ports import Source

_QUEUE_MAX = 10_000


class MemoryDatagrams:
    """One address of a hub."""

    def __init__(self, hub: "MemoryAir", source: Source) -> None:
        self._hub, self.source = hub, source
        self._in, self._out = trio.open_memory_channel[tuple[bytes, Source]](_QUEUE_MAX)

    def send(self, data: bytes, to: Source) -> None:
        """Send; nobody there, or a rule of the hub, loses it."""
        self._hub.carry(data, self.source, to)

    async def receive(self) -> tuple[bytes, Source]:
        """Return the next datagram."""
        return await self._out.receive()

    def take(self, data: bytes, source: Source) -> None:
        """Put a datagram into the queue, or lose it when that is full."""
        try:
            self._in.send_nowait((data, source))
        except trio.WouldBlock:
            return


class MemoryAir:
    """Where datagrams fly. ``lose`` may drop those it likes; ``dead`` addresses take and send none."""

    def __init__(self) -> None:
        self._ends: dict[Source, MemoryDatagrams] = {}
        self.dead = set[Source]()
        self.lose: Callable[[Source, Source], bool] = lambda _one, _other: False

    def end(self, source: Source) -> MemoryDatagrams:
        """Return the end at an address; a second one takes the place of the first."""
        self._ends[source] = MemoryDatagrams(self, source)
        return self._ends[source]

    def carry(self, data: bytes, source: Source, to: Source) -> None:
        """Bring a datagram to an address."""
        end = self._ends.get(to)
        if end is not None and not {source, to} & self.dead and not self.lose(source, to):
            end.take(data, source)
