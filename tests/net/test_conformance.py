"""Services are tested on the network in memory and live on the real one: both must keep the same promises."""

import hashlib

import pytest
import trio
from trio.testing import MockClock

from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Span
from nanobarter.net.stream import Stream
from tests.net.nodes import Node, Pair, key

LONG = Span(20 * SECOND)
SHORT = Span(50)


async def echo(_peer: NodeId, body: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    return body


def serve_echo(node: Node) -> None:
    node.add("t.echo", echo, body_max=2**20)


async def test_answers_belong_to_their_calls(pair: Pair) -> None:
    async def backwards(_peer: NodeId, body: bytes) -> bytes:
        for _ in range(body[0] % 5):
            await trio.lowlevel.checkpoint()
        return body[::-1]

    answers: dict[int, bytes] = {}
    async with pair(lambda node: node.add("t.back", backwards, body_max=10)) as (one, two):

        async def ask(i: int) -> None:
            answers[i] = await one.call(two.node_id, "t.back", bytes([i, 1]), timeout=LONG)

        async with trio.open_nursery() as nursery:
            for i in range(200):
                nursery.start_soon(ask, i)
    assert answers == {i: bytes([1, i]) for i in range(200)}


async def test_the_handler_learns_who_asks(pair: Pair) -> None:
    async def who(peer: NodeId, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return peer

    async with pair(lambda node: node.add("t.who", who, body_max=0)) as (one, two):
        assert await one.call(two.node_id, "t.who", b"", timeout=LONG) == key(1).node_id
        assert await two.call(two.node_id, "t.who", b"", timeout=LONG) == key(2).node_id


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 2**20])
async def test_every_size_passes_both_ways_whole(pair: Pair, size: int) -> None:
    body = hashlib.shake_128(b"body").digest(size)
    async with pair(serve_echo) as (one, two):
        assert await one.call(two.node_id, "t.echo", body, timeout=LONG, priority="bulk") == body
        assert await one.call(two.node_id, "t.echo", body, timeout=LONG) == body


async def test_errors_say_who_is_to_blame(pair: Pair) -> None:
    async def fail(_peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        raise {b"m": Malformed("bad"), b"p": PeerFault("rude"), b"u": Unreachable("a third party")}[body]

    async def too_long(_peer: NodeId, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return bytes(Limits().frame_bytes_max + 1)

    def prepare(node: Node) -> None:
        node.add("t.fail", fail, body_max=1)
        node.add("t.long", too_long, body_max=1)

    async with pair(prepare) as (one, two):
        for method, body, error in [
            ("t.nobody", b"", PeerFault),
            ("t.fail", b"m", PeerFault),
            ("t.fail", b"p", PeerFault),
            ("t.fail", b"u", Unreachable),
            ("t.fail", b"xx", PeerFault),
            ("t.long", b"", PeerFault),
        ]:
            with pytest.raises(error) as caught:
                await one.call(two.node_id, method, body, timeout=LONG)
            assert caught.type is error


async def test_a_deadline_ends_the_call_and_the_handler(pair: Pair, idle_clock: MockClock) -> None:
    cancelled = trio.Event()

    async def sleep(_peer: NodeId, _body: bytes) -> bytes:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()
        return b""

    async with pair(lambda node: node.add("t.sleep", sleep, body_max=0)) as (one, two):
        with pytest.raises(Unreachable):
            await one.call(two.node_id, "t.sleep", b"", timeout=SHORT)
        with trio.fail_after(60):
            await cancelled.wait()


async def test_a_caller_that_is_cancelled_stops_the_handler(pair: Pair) -> None:
    started, cancelled = trio.Event(), trio.Event()

    async def sleep(_peer: NodeId, _body: bytes) -> bytes:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()
        return b""

    def prepare(node: Node) -> None:
        node.add("t.sleep", sleep, body_max=0)
        serve_echo(node)

    async with pair(prepare) as (one, two):

        async def ask() -> None:
            await one.call(two.node_id, "t.sleep", b"", timeout=LONG)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await started.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(60):
            await cancelled.wait()
        assert await one.call(two.node_id, "t.echo", b"after", timeout=LONG) == b"after"


async def test_nobody_there_is_unreachable(pair: Pair, idle_clock: MockClock) -> None:
    async with pair(serve_echo) as (one, _two):
        with pytest.raises(Unreachable):
            await one.call(key(99).node_id, "t.echo", b"", timeout=LONG)


async def test_on_connect_tells_of_those_already_there(pair: Pair) -> None:
    async with pair(serve_echo) as (one, two):
        met = list[NodeId]()
        one.on_connect(met.append)
        assert met == one.connected() == [two.node_id]


async def test_a_stream_brings_all_bytes_in_order_both_ways(pair: Pair) -> None:
    data = hashlib.shake_128(b"stream").digest(3 * Limits().stream_window + 17)

    async def give_back(stream: Stream) -> None:
        assert stream.body == b"opening"
        while piece := await stream.receive():
            await stream.send(piece)

    async with pair(lambda node: node.add_stream("t.stream", give_back)) as (one, two):
        stream = await one.open_stream(two.node_id, "t.stream", b"opening")
        got = bytearray()

        async def write() -> None:
            await stream.send(data)
            stream.finish()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            while piece := await stream.receive():
                got += piece
        assert got == data


async def test_a_reader_that_stands_still_holds_the_writer_back(pair: Pair) -> None:
    sent = 0
    stop = trio.Event()

    async def stand_still(_stream: Stream) -> None:
        await stop.wait()

    async with pair(lambda node: node.add_stream("t.still", stand_still)) as (one, two):
        stream = await one.open_stream(two.node_id, "t.still", b"")
        with trio.move_on_after(0.2):
            while True:
                await stream.send(bytes(10_000))
                sent += 10_000
        assert sent <= Limits().stream_window
        stream.abandon()
        stop.set()


async def test_an_unknown_stream_and_an_abandoned_one_are_told_apart(pair: Pair) -> None:
    async def give_up(stream: Stream) -> None:
        stream.abandon()
        await trio.lowlevel.checkpoint()

    async with pair(lambda node: node.add_stream("t.give_up", give_up)) as (one, two):
        with pytest.raises(PeerFault):
            await (await one.open_stream(two.node_id, "t.nobody", b"")).receive()
        with pytest.raises(Unreachable):
            await (await one.open_stream(two.node_id, "t.give_up", b"")).receive()
