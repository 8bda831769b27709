"""The encrypted bytes arrive as they left, in whatever sizes they are sent and read; what is forged never does."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobarter.core.keys import SigningKey
from nanobarter.net.certificates import tls_context
from nanobarter.net.tls import TlsStream

ONE, OTHER = SigningKey(b"1" * 32), SigningKey(b"2" * 32)


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[TlsStream, TlsStream]]:
    """Two ends that shook hands."""
    here, there = trio.socket.socketpair()
    client = TlsStream(trio.SocketStream(here), tls_context(ONE, server=False), server_side=False)
    server = TlsStream(trio.SocketStream(there), tls_context(OTHER, server=True), server_side=True)
    async with client, server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.do_handshake)
            nursery.start_soon(server.do_handshake)
        yield client, server


async def read(stream: TlsStream, count: int, at_once: int | None) -> bytes:
    got = b""
    while len(got) < count:
        got += (part := await stream.receive_some(at_once))
        assert part
        assert at_once is None or len(part) <= at_once
    return got


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 400_000), min_size=1, max_size=4),
    st.one_of(st.none(), st.integers(1000, 300_000)),
)
async def test_bytes_pass_both_ways_at_once(sizes: list[int], at_once: int | None) -> None:
    bodies = [bytes([number]) * size for number, size in enumerate(sizes)]

    async def send(stream: TlsStream) -> None:
        for body in bodies:
            await stream.send_all(body)

    async def check(stream: TlsStream) -> None:
        assert await read(stream, sum(sizes), at_once) == b"".join(bodies)

    async with pair() as ends, trio.open_nursery() as nursery:
        for end in ends:
            nursery.start_soon(send, end)
            nursery.start_soon(check, end)


async def test_a_socket_that_closes_is_a_break_after_what_came() -> None:
    async with pair() as (client, server):
        await server.send_all(b"last words")
        await server.aclose()
        assert await client.receive_some() == b"last words"
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.receive_some()
        assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_bytes_changed_on_the_way_are_a_break() -> None:
    async with pair() as (client, server):
        await server.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody sealed
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_each_sees_the_others_certificate() -> None:
    async with pair() as (client, server):
        assert client.peer_certificate() != server.peer_certificate()
        assert client.peer_certificate() is not None
