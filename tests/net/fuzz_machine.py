"""One hostile conversation with a live connection: frames that are right, almost right, or noise."""

import random
from contextlib import suppress

import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import MINUTE, Span
from nanobarter.net.connection import Connection
from nanobarter.net.frames import FrameDecoder, Kind, Message, encode_message
from nanobarter.net.messages import Bye, Credit, FailedBody, Hello, Open, Request
from nanobarter.net.methods import Methods
from nanobarter.net.stream import Stream
from tests.net.mutate import mutate
from tests.net.nodes import key

LIMITS = Limits(requests_at_once_max=4, streams_at_once_max=2, stream_window=1000, owed_bytes_max=20_000)
HELLO = Hello((1,), bytes(16), 0, "", 4, 2, {})
BODIES = [
    b"",
    b"x" * 12,
    bytes(1000),
    encode(Request("t.echo", 1000, False, b"hi")),
    encode(Request("t.echo", 0, True, b"hi")),
    encode(Request("t.never", 60_000, False, b"")),
    encode(Request("t.none", 60_000, False, b"")),
    encode(Open("t.swallow", b"")),
    encode(Open("t.say", b"")),
    encode(Credit(5)),
    encode(Credit(1000)),
    encode(FailedBody(9, "no")),
    encode(Bye(5, "stopping")),
]
NUMBERS = [0, 1, 2, 2, 3, 4, 5, 6, 8, 2**32 - 1]
FRAMES = [b"".join(encode_message(kind, 2, body)) for kind in Kind for body in BODIES[:6]]
FRAMES.append(b"".join(encode_message(Kind.REQUEST, 4, bytes(70_000))))
_PART, _LAST = encode_message(Kind.REQUEST, 4, bytes(70_000))
FRAMES.append(_PART + encode_message(Kind.CANCEL, 4)[0] + _LAST)
FRAMES.append(_PART + encode_message(Kind.CANCEL, 4, b"\x00")[0])
SURE_BREACH = encode_message(Kind.HELLO, 0)[0]
"""A frame that is wrong at any time after the handshake."""


def hostile(rng: random.Random) -> bytes:
    """Return some frames; sometimes their bytes are changed too."""
    data = b"".join(
        b"".join(encode_message(rng.choice(list(Kind)), rng.choice(NUMBERS), rng.choice(BODIES)))
        for _ in range(rng.randrange(1, 12))
    )
    return mutate(rng, [data]) if rng.random() < 0.3 else data


async def talk(rng: random.Random, *, byte_by_byte: bool) -> str:
    """Let a peer say hostile bytes and then surely break a rule; tell how it ended. Raises when a law is broken."""
    ours, wire = trio.testing.memory_stream_pair()
    methods = _methods()
    decoder = FrameDecoder(LIMITS.frame_bytes_max)
    connection = Connection(ours, decoder, key(2).public, HELLO, serial=1, methods=methods, limits=LIMITS)
    data = hostile(rng) + SURE_BREACH
    with trio.fail_after(3600):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run, list[Message]())
            nursery.start_soon(_ask, connection)
            nursery.start_soon(_look_after, connection)
            stream = connection.open_stream("t.y", b"")
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                for start in range(0, len(data), 1 if byte_by_byte else len(data)):
                    await wire.send_all(data[start : start + (1 if byte_by_byte else len(data))])
            if rng.random() < 0.5:  # else it keeps the line open, and we must hang up
                await wire.aclose()
            await connection.closed.wait()
            try:
                await stream.send(b"x")
                raise AssertionError("a stream outlived its connection")
            except (Unreachable, PeerFault):
                pass
    _check(connection, decoder)
    return "blamed" if connection.fault is not None else "parted"


def _check(connection: Connection, decoder: FrameDecoder) -> None:
    assert len(connection.calls) == 0
    assert len(connection.serving) == 0
    assert connection.outbox.held <= 4 * LIMITS.owed_bytes_max
    assert decoder.held <= LIMITS.frame_bytes_max + 300_000


def _methods() -> Methods:
    methods = Methods(LIMITS.frame_bytes_max)

    async def echo(_peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    async def never(_peer: NodeId, _body: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def swallow(stream: Stream) -> None:
        while await stream.receive():
            pass

    async def say(stream: Stream) -> None:
        await stream.send(bytes(5000))

    methods.add("t.echo", echo, body_max=1000)
    methods.add("t.never", never, body_max=1000)
    methods.add_stream("t.swallow", swallow)
    methods.add_stream("t.say", say)
    return methods


async def _look_after(connection: Connection) -> None:
    """Do what the node's watch does: a peer whose frame never ends must not stay for good."""
    while not connection.closed.is_set():
        connection.look_after(trio.current_time())
        await trio.sleep(5)


async def _ask(connection: Connection) -> None:
    with suppress(Unreachable, PeerFault):
        await connection.call("t.x", b"", timeout=Span(MINUTE), priority="control")
