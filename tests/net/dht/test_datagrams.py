"""Datagrams in memory must behave as those over a socket do, or the tests of the table prove nothing."""

from contextlib import ExitStack
from typing import get_args

import pytest
import trio

from nanobarter.core.errors import UsageError
from nanobarter.net.address import Address
from nanobarter.net.dht.ports import Source
from nanobarter.net.dht.udp import UdpDatagrams
from nanobarter.net.dht.wire import DATAGRAM_MAX
from tests.net.dht.nodes import Ends, Kind

kinds = pytest.mark.parametrize("kind", get_args(Kind))


@kinds
async def test_a_datagram_arrives_whole_and_says_where_it_came_from(kind: Kind) -> None:
    with ExitStack() as stack:
        ends = Ends(kind, stack)
        (one, at_one), (other, at_other) = ends.end(1), ends.end(2)
        for data in (b"a", bytes(range(256)) * 4, bytes(DATAGRAM_MAX)):
            one.send(data, at_other)
            with trio.fail_after(60):
                assert await other.receive() == (data, at_one)
        other.send(b"back", at_one)
        with trio.fail_after(60):
            assert await one.receive() == (b"back", at_other)


@kinds
async def test_what_goes_nowhere_is_lost_without_a_word(kind: Kind) -> None:
    with ExitStack() as stack:
        ends = Ends(kind, stack)
        (one, at_one), (other, at_other) = ends.end(1), ends.end(2)
        for host in (bytes([127, 0, 0, 1]), bytes(4), bytes(16), bytes([255] * 4), b"odd"):
            one.send(b"lost", Source(host, 9))
        one.send(b"found", at_other)
        with trio.fail_after(60):
            assert await other.receive() == (b"found", at_one)


@kinds
async def test_nobody_waits_for_a_reader_that_is_slow(kind: Kind) -> None:
    with ExitStack() as stack:
        ends = Ends(kind, stack)
        (one, _), (other, at_other) = ends.end(1), ends.end(2)
        for _ in range(20_000):
            one.send(bytes(100), at_other)  # returns at once, whatever becomes of it
        with trio.fail_after(60):
            assert (await other.receive())[0] == bytes(100)


def test_a_port_that_is_taken_or_a_host_that_is_a_name_is_told() -> None:
    first = UdpDatagrams.open(Address("127.0.0.1", 0))
    try:
        for address in (first.address, Address("example.org", 7070)):
            with pytest.raises(UsageError):
                UdpDatagrams.open(address)
    finally:
        first.close()
