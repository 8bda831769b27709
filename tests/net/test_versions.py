"""Old and new nodes must talk in the newest version that both know, and part in peace when there is none."""

from dataclasses import dataclass

import pytest
import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Unreachable
from nanobarter.core.limits import Limits
from nanobarter.net.certificates import tls_context
from nanobarter.net.frames import Kind, encode_message
from nanobarter.net.handshake import Greeted, NoCommonVersion, Ours, accept, greet, welcome
from nanobarter.net.messages import Hello
from tests.net.nodes import key


@dataclass
class Met:
    dialler: Greeted | Unreachable | None = None
    listener: Greeted | Unreachable | None = None


async def meet(dialler: tuple[int, ...], listener: tuple[int, ...]) -> Met:
    one, two = trio.testing.memory_stream_pair()
    met = Met()

    async def dial() -> None:
        ours = Ours(key(1).node_id, bytes(16), Limits(), dialler)
        try:
            met.dialler = await greet(one, tls_context(key(1), server=False), ours, expected=None, serial=1)
        except Unreachable as error:
            met.dialler = error

    async def listen() -> None:
        ours = Ours(key(2).node_id, bytes(16), Limits(), listener)
        try:
            met.listener = await welcome(two, tls_context(key(2), server=True), ours)
            await met.listener.channel.send_all(b"".join(piece for frame in accept(ours, "") for piece in frame))
        except Unreachable as error:
            met.listener = error

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial)
            nursery.start_soon(listen)
    return met


@pytest.mark.parametrize(
    ("dialler", "listener", "spoken"),
    [((1,), (1,), 1), ((1,), (1, 2), 1), ((1, 2, 3), (1,), 1), ((1, 2, 3), (2, 3, 4), 3), ((3, 1), (2, 1, 3), 3)],
)
async def test_both_speak_the_highest_common_version(
    dialler: tuple[int, ...], listener: tuple[int, ...], spoken: int
) -> None:
    met = await meet(dialler, listener)
    assert isinstance(met.dialler, Greeted)
    assert isinstance(met.listener, Greeted)
    assert met.dialler.version == met.listener.version == spoken


async def test_without_a_common_version_nobody_is_to_blame() -> None:
    met = await meet((2,), (1,))
    assert isinstance(met.listener, NoCommonVersion)
    assert isinstance(met.dialler, Unreachable)
    assert "no common version" in str(met.dialler)


async def test_what_a_later_version_says_besides_is_ignored() -> None:
    hello = Hello((1, 7), bytes(16), 1, "", 1, 1, {"later": b"news", "and": b"more"})
    one, two = trio.testing.memory_stream_pair()

    async def say() -> None:
        channel = trio.SSLStream(one, tls_context(key(1), server=False), server_hostname=None)
        await channel.send_all(encode_message(Kind.HELLO, 0, encode(hello))[0])

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say)
            greeted = await welcome(two, tls_context(key(2), server=True), Ours(key(2).node_id, bytes(16), Limits()))
    assert (greeted.version, greeted.hello) == (1, hello)
