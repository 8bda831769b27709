"""Who gives up a long request, or is cancelled, is honest: the connection lives, nobody is blamed, nothing is kept."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import MINUTE, Span
from nanobarter.net.connection import Connection
from nanobarter.net.frames import GIVEN_UP, HEADER_BYTES, PART_BYTES, FrameDecoder, Kind, Message, encode_message
from nanobarter.net.messages import Hello, Request
from nanobarter.net.methods import Methods
from tests.net.nodes import key

LIMITS = Limits()
LONG = 9 * PART_BYTES + 5
STEPS = ["a writes", "b writes", "a asks", "b asks", "a gives up", "b gives up", "a is asked", "b is asked"]


class Line(trio.abc.Stream):
    """One end of a line that takes a write only when it is told to, and watches what goes out."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner, self.turns = inner, trio.Semaphore(0)
        self._bytes, self._parted = bytearray(), set[int]()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.turns.acquire()
        self._watch(data)
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _watch(self, data: bytes | bytearray | memoryview) -> None:
        """Hold what is sent to the rule of those that know no CANCEL amid parts: a long message has an end."""
        self._bytes += data
        while len(self._bytes) >= HEADER_BYTES:
            size, kind, number = int.from_bytes(self._bytes[:4]), self._bytes[4], int.from_bytes(self._bytes[5:9])
            if len(self._bytes) < HEADER_BYTES + size:
                return
            del self._bytes[: HEADER_BYTES + size]
            if kind == Kind.PART:
                self._parted.add(number)
                assert len(self._parted) <= 2
            elif number in self._parted:
                assert size, f"an empty {Kind(kind).name} amid the parts of message {number}"
                self._parted.remove(number)

    @property
    def is_whole(self) -> bool:
        """Whether every message that was begun has its end."""
        return not self._parted and not self._bytes


class End:
    """One side: its connection, what it asked, and the line it writes to."""

    def __init__(self, channel: trio.abc.Stream, number: int, peer: int, *, serial: int) -> None:
        self.line, methods = Line(channel), Methods(LIMITS.frame_bytes_max)
        self.decoder = FrameDecoder(LIMITS.frame_bytes_max)
        hello = Hello((1,), bytes(16), number, "", 16, 16, {})
        self.connection = Connection(
            self.line, self.decoder, key(peer).public, hello, serial=serial, methods=methods, limits=LIMITS
        )
        self.asked = list[trio.CancelScope]()
        methods.add("t.put", self._put, body_max=LIMITS.frame_bytes_max)
        methods.add("t.get", self._get, body_max=1000)

    async def _put(self, _peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return str(len(body)).encode()

    async def _get(self, _peer: NodeId, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return bytes(LONG)

    async def put(self) -> None:
        """Ask with a long body, until it is given up."""
        with trio.CancelScope() as scope:
            self.asked.append(scope)
            said = await self.connection.call("t.put", bytes(LONG), timeout=Span(MINUTE), priority="bulk")
            assert said == str(LONG).encode()

    async def get(self) -> None:
        """Ask for a long answer, until it is given up."""
        with trio.CancelScope() as scope:
            self.asked.append(scope)
            said = await self.connection.call("t.get", b"", timeout=Span(MINUTE), priority="bulk")
            assert said == bytes(LONG)

    def give_up(self) -> None:
        """Give up the oldest call."""
        if self.asked:
            self.asked.pop(0).cancel()

    def check(self) -> None:
        """Nothing is left of what was given up, and nobody is to blame."""
        assert self.connection.fault is None
        assert not self.connection.closed.is_set()
        assert self.decoder.held == self.connection.outbox.held == 0
        assert len(self.connection.calls) == len(self.connection.serving) == 0
        assert self.line.is_whole


@asynccontextmanager
async def two_ends() -> AsyncGenerator[tuple[End, End, trio.Nursery]]:
    one, other = trio.testing.memory_stream_pair()
    a, b = End(one, 1, 2, serial=1), End(other, 2, 1, serial=0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.connection.run, list[Message]())
        nursery.start_soon(b.connection.run, list[Message]())
        yield a, b, nursery
        nursery.cancel_scope.cancel()


async def settle(a: End, b: End) -> None:
    """Let all that waits be written, and see that later calls work both ways."""
    for end in (a, b):
        for _ in range(1000):
            end.line.turns.release()
    await trio.testing.wait_all_tasks_blocked()
    for end in (a, b):
        await end.put()
        await end.get()
    await trio.testing.wait_all_tasks_blocked()
    a.check()
    b.check()


@settings(max_examples=60)
@given(st.lists(st.sampled_from(STEPS), max_size=25))
async def test_whatever_is_given_up_at_any_moment_the_connection_lives(steps: list[str]) -> None:
    async with two_ends() as (a, b, nursery):
        for step in steps:
            who, does = (a, b)[step[0] == "b"], step[2:]
            if does == "writes":
                who.line.turns.release()
            elif does == "asks":
                nursery.start_soon(who.put)
            elif does == "is asked":
                nursery.start_soon((b if who is a else a).get)
            else:
                who.give_up()
            await trio.testing.wait_all_tasks_blocked()
        await settle(a, b)


@pytest.mark.parametrize("moment", range(8))
async def test_one_long_request_given_up_after_so_many_writes(moment: int) -> None:
    async with two_ends() as (a, b, nursery):
        for call in (a.put, a.get):
            nursery.start_soon(call)
            for _ in range(moment):
                await trio.testing.wait_all_tasks_blocked()
                a.line.turns.release()
                b.line.turns.release()
            await trio.testing.wait_all_tasks_blocked()
            a.give_up()
            await trio.testing.wait_all_tasks_blocked()
        assert a.connection.outbox.held + b.connection.outbox.held < PART_BYTES, "the rest still waits to be sent"
        await settle(a, b)


async def test_a_request_late_amid_its_parts_blames_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async with two_ends() as (a, b, _nursery):
        for _ in range(2):
            a.line.turns.release()
        with pytest.raises(Unreachable, match="did not answer"):
            await a.connection.call("t.put", bytes(LONG), timeout=Span(1000), priority="bulk")
        assert a.connection.calls.failed == 1
        await settle(a, b)


def cut(number: int = 2) -> list[bytes]:
    """Return the frames of a long request."""
    return encode_message(Kind.REQUEST, number, encode(Request("t.put", 1000, True, bytes(LONG))))


def test_a_cancel_that_overtakes_frees_the_parts_and_the_rest_is_read_past() -> None:
    decoder, (*parts, last) = FrameDecoder(LIMITS.frame_bytes_max), cut()
    assert decoder.feed(b"".join(parts[:5])) == []
    assert decoder.held == 5 * PART_BYTES
    assert decoder.feed(encode_message(Kind.CANCEL, 2)[0]) == []
    assert decoder.held == 0
    assert decoder.feed(b"".join(parts[5:]) + last) == []
    assert decoder.held == 0
    assert len(decoder.feed(b"".join(cut()))) == 1  # the number is free again


def test_a_cancel_in_place_of_the_end_leaves_nothing() -> None:
    decoder, frames = FrameDecoder(LIMITS.frame_bytes_max), cut()
    for _ in range(5):
        assert decoder.feed(b"".join(frames[:5]) + encode_message(Kind.CANCEL, 2, GIVEN_UP)[0]) == []
        assert decoder.held == 0
    assert len(decoder.feed(b"".join(frames))) == 1


def test_what_was_given_up_is_bounded_as_if_it_were_kept() -> None:
    part, cancel = cut()[0], encode_message(Kind.CANCEL, 2)[0]
    with pytest.raises(Malformed, match="more than"):
        FrameDecoder(4 * PART_BYTES).feed(part + cancel + part * 3)
    with pytest.raises(Malformed, match="empty end"):
        FrameDecoder(4 * PART_BYTES).feed(part + cancel + encode_message(Kind.REQUEST, 2)[0])
    with pytest.raises(Malformed, match="too many unfinished"):
        FrameDecoder(4 * PART_BYTES).feed(b"".join(cut(n)[0] + encode_message(Kind.CANCEL, n)[0] for n in (2, 4, 6)))
