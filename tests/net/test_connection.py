"""A connection must outlive nothing it should not: dead peers, hostile frames, floods; and never blame the innocent."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import MINUTE, SECOND, Span
from nanobarter.net.connection import Connection
from nanobarter.net.frames import FrameDecoder, Kind, Message, encode_message
from nanobarter.net.messages import Credit, FailedBody, Hello, Request
from nanobarter.net.methods import Methods
from nanobarter.net.stream import Stream
from tests.net.nodes import key

LIMITS = Limits(requests_at_once_max=4, streams_at_once_max=2, stream_window=1000)
HELLO = Hello((1,), bytes(16), 0, "", 4, 2, {})
LONG = Span(MINUTE)


class Bench:
    """A connection and the raw other end of its channel."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        ours, self.wire = trio.testing.memory_stream_pair()
        self.methods = Methods(limits.frame_bytes_max)
        decoder = FrameDecoder(limits.frame_bytes_max)
        self.connection = Connection(ours, decoder, key(2).public, HELLO, serial=1, methods=self.methods, limits=limits)
        self._decoder = FrameDecoder(limits.frame_bytes_max)

    async def say(self, kind: Kind, number: int, body: bytes = b"") -> None:
        await self.wire.send_all(b"".join(encode_message(kind, number, body)))

    async def hear(self) -> list[Message]:
        return self._decoder.feed(await self.wire.receive_some())


@asynccontextmanager
async def running(limits: Limits = LIMITS) -> AsyncGenerator[Bench]:
    bench = Bench(limits)

    async def echo(_peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    async def never(_peer: NodeId, _body: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def swallow(stream: Stream) -> None:
        while await stream.receive():
            pass

    bench.methods.add("t.echo", echo, body_max=1000)
    bench.methods.add("t.never", never, body_max=1000)
    bench.methods.add_stream("t.swallow", swallow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.connection.run, list[Message]())
        yield bench
        nursery.cancel_scope.cancel()


def request(method: str, body: bytes = b"", *, timeout: int = 1000) -> bytes:
    return encode(Request(method, timeout, False, body))


async def test_a_request_is_answered_under_its_number() -> None:
    async with running() as bench:
        await bench.say(Kind.REQUEST, 2, request("t.echo", b"hi"))
        assert await bench.hear() == [Message(Kind.ANSWER, 2, b"hi")]


@pytest.mark.parametrize(
    ("kind", "number", "body"),
    [
        (Kind.HELLO, 0, b""),
        (Kind.REQUEST, 1, request("t.echo")),  # one of our own numbers
        (Kind.REQUEST, 0, request("t.echo")),
        (Kind.REQUEST, 2, b"noise"),
        (Kind.REQUEST, 2, request("t.echo") + b"\x00"),
        (Kind.ANSWER, 2, b""),  # to a request of its own
        (Kind.FAILED, 2, encode(FailedBody(1, ""))),
        (Kind.FAILED, 1, b"noise"),
        (Kind.OPEN, 2, b"noise"),
        (Kind.BYE, 0, b"noise"),
    ],
)
async def test_a_broken_rule_ends_the_connection_and_blames_the_peer(kind: Kind, number: int, body: bytes) -> None:
    async with running() as bench:
        await bench.say(kind, number, body)
        last = (await bench.hear())[-1]
        await bench.connection.closed.wait()
    assert last.kind is Kind.BYE
    assert isinstance(bench.connection.fault, PeerFault)


@pytest.mark.parametrize(
    "frames",
    [
        [(Kind.DATA, bytes(1001))],
        [(Kind.DATA, b"")],
        [(Kind.END, b""), (Kind.DATA, b"x")],
        [(Kind.CREDIT, encode(Credit(1)))],
    ],
)
async def test_a_stream_beyond_its_credit_or_end_is_blamed(frames: list[tuple[Kind, bytes]]) -> None:
    async with running() as bench:
        stream = bench.connection.open_stream("t.any", b"")
        for kind, body in frames:
            await bench.say(kind, 1, body)
        await bench.connection.closed.wait()
        assert isinstance(bench.connection.fault, PeerFault)
        with pytest.raises(Unreachable):
            await stream.send(b"x")


async def test_more_requests_than_agreed_are_refused_and_the_rest_served() -> None:
    async with running() as bench:
        for number in range(2, 2 + 2 * 9, 2):
            await bench.say(Kind.REQUEST, number, request("t.never", timeout=60_000))
        (refusal,) = await bench.hear()
        assert (refusal.kind, refusal.number) == (Kind.FAILED, 18)
        await bench.say(Kind.CANCEL, 2)
        await trio.testing.wait_all_tasks_blocked()
        await bench.say(Kind.REQUEST, 20, request("t.echo", b"hi"))
        assert await bench.hear() == [Message(Kind.ANSWER, 20, b"hi")]


async def test_a_deadline_crosses_the_wire(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as bench:
        await bench.say(Kind.REQUEST, 2, request("t.never", timeout=50))
        await trio.sleep(1)
        await bench.say(Kind.REQUEST, 2, request("t.echo", b"again"))  # the number is free again
        assert await bench.hear() == [Message(Kind.ANSWER, 2, b"again")]


async def test_a_dead_peer_is_noticed_and_a_live_one_kept(autojump_clock: trio.testing.MockClock) -> None:
    async def look_after(bench: Bench) -> None:
        while True:
            await trio.sleep(5)
            bench.connection.look_after(trio.current_time())

    async def pong(bench: Bench) -> None:
        while True:
            for message in await bench.hear():
                if message.kind is Kind.PING:
                    await bench.say(Kind.PONG, message.number)

    started = trio.current_time()
    async with running() as bench, trio.open_nursery() as nursery:
        nursery.start_soon(look_after, bench)
        with trio.move_on_after(600):
            nursery.start_soon(pong, bench)
            await bench.connection.closed.wait()
        assert not bench.connection.closed.is_set()
        nursery.cancel_scope.cancel()
    started = trio.current_time()
    async with running() as bench, trio.open_nursery() as nursery:
        nursery.start_soon(look_after, bench)
        await bench.connection.closed.wait()
        assert trio.current_time() - started < (LIMITS.idle_before_ping + LIMITS.silence_max) / SECOND + 15
        nursery.cancel_scope.cancel()


async def test_retiring_waits_for_the_last_answer() -> None:
    async with running() as bench:
        answers = list[bytes]()

        async def ask() -> None:
            answers.append(await bench.connection.call("t.x", b"", timeout=LONG, priority="control"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            asked = (await bench.hear())[0]
            bench.connection.retire()
            await bench.say(Kind.DONE, 0)
            await trio.testing.wait_all_tasks_blocked()
            assert not bench.connection.closed.is_set()
            await bench.say(Kind.ANSWER, asked.number, b"at last")
        assert answers == [b"at last"]
        await bench.connection.closed.wait()
        assert bench.connection.fault is None


async def test_what_is_given_up_or_late_stops_alone_and_others_are_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        ended = list[str]()

        async def slow(_peer: NodeId, body: bytes) -> bytes:
            try:
                await trio.sleep(3 if body == b"slow" else 0.5)
            except trio.Cancelled:
                ended.append(body.decode())
                raise
            return body

        bench.methods.add("t.slow", slow, body_max=10)
        for turn in range(3):  # the tasks of the first turn serve the later ones
            first = 2 + 10 * turn
            await bench.say(Kind.REQUEST, first, request("t.slow", b"quick", timeout=5000))
            await bench.say(Kind.REQUEST, first + 2, request("t.slow", b"slow", timeout=1000))
            await bench.say(Kind.REQUEST, first + 4, request("t.slow", b"unwanted", timeout=5000))
            await trio.testing.wait_all_tasks_blocked()
            await bench.say(Kind.CANCEL, first + 4)
            assert await bench.hear() == [Message(Kind.ANSWER, first, b"quick")]
            await trio.sleep(2)
            assert sorted(ended) == ["slow"] * (turn + 1) + ["unwanted"] * (turn + 1)
            assert len(bench.connection.serving) == 0


async def test_a_late_answer_is_not_waited_for_and_the_peer_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as bench:
        with pytest.raises(Unreachable, match="did not answer"):
            await bench.connection.call("t.x", b"", timeout=Span(2 * SECOND), priority="control")
        heard = await bench.hear()
        while len(heard) < 2:
            heard += await bench.hear()
        assert [message.kind for message in heard] == [Kind.REQUEST, Kind.CANCEL]
        await bench.say(Kind.ANSWER, heard[0].number, b"too late")
        await trio.testing.wait_all_tasks_blocked()
        assert bench.connection.fault is None


async def test_a_peer_that_asks_much_at_once_is_answered_before_all_of_it_was_taken() -> None:
    """Else two busy nodes work in turns, each idle while the other works."""
    taken = list[int]()
    async with running(Limits()) as bench:

        async def count(_peer: NodeId, _body: bytes) -> bytes:
            await trio.lowlevel.checkpoint()
            taken.append(len(bench.connection.serving))
            return b""

        bench.methods.add("t.count", count, body_max=10)
        frames = [encode_message(Kind.REQUEST, number, request("t.count")) for number in range(2, 202, 2)]
        await bench.wire.send_all(b"".join(piece for frame in frames for piece in frame))
        while len(taken) < len(frames):
            await bench.hear()
    assert max(taken) < len(frames) / 2
