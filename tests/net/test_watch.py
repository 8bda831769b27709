"""An idle node must sleep, and yet notice a peer that died while somebody waits for it."""

import pytest
import trio
import trio.testing

from nanobarter.core.errors import Unreachable
from nanobarter.core.units import SECOND
from nanobarter.net.connection import Connection, Shared
from nanobarter.net.frames import FrameDecoder, Kind, Message, encode_message
from nanobarter.net.links import Links
from nanobarter.net.methods import Methods
from nanobarter.net.pulse import Rhythm
from nanobarter.net.timers import Timers
from nanobarter.net.watch import Watch
from tests.net.nodes import key
from tests.net.test_connection import HELLO, LIMITS, LONG


async def test_an_idle_connection_is_looked_at_by_its_keep_alive_alone(autojump_clock: trio.testing.MockClock) -> None:
    links, rhythm, ours_and_theirs = Links(key(1).node_id), Rhythm(LIMITS), trio.testing.memory_stream_pair()
    channel, wire = ours_and_theirs
    methods = Methods(1000)
    connection = Connection(
        channel,
        FrameDecoder(1000),
        key(2).public,
        HELLO,
        serial=1,
        methods=methods,
        limits=LIMITS,
        shared=Shared(rhythm, Timers()),
    )
    pings = 0

    async def pong() -> None:
        nonlocal pings
        decoder = FrameDecoder(1000)
        while True:
            for message in decoder.feed(await wire.receive_some()):
                pings += message.kind is Kind.PING
                if alive and message.kind is Kind.PING:
                    await wire.send_all(encode_message(Kind.PONG, message.number)[0])

    alive = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run, list[Message]())
        links.add(connection, "192.0.2.1")
        nursery.start_soon(Watch(links, rhythm).run)
        nursery.start_soon(pong)
        await trio.sleep(86_400)
        assert not connection.closed.is_set()
        assert 86_400 / (LIMITS.idle_before_ping_last / SECOND) - 1 <= pings <= 120
        alive = False
        started = trio.current_time()

        async def ask() -> None:
            with pytest.raises(Unreachable):
                await connection.call("t.x", b"", timeout=LONG, priority="control")

        nursery.start_soon(ask)
        await connection.closed.wait()
        assert trio.current_time() - started < 2 * LIMITS.silence_max / SECOND
        nursery.cancel_scope.cancel()
