"""A node that no peer can name must still be dialled, and a lie in the table must not send anybody astray."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.units import HOUR, SECOND, Span, after
from nanobarter.net.address import Address
from nanobarter.net.dht.records import make_value
from nanobarter.net.finder import Finder, source_of
from nanobarter.net.network import Network
from nanobarter.net.records import make_record
from tests.net.dht.nodes import CLOCK, open_town
from tests.net.dht.nodes import key as table_key
from tests.net.nodes import key, open_world

TIMEOUT = Span(10 * SECOND)


async def echo(_peer: NodeId, body: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    return body


def serve_echo(network: Network) -> None:
    network.add("t.echo", echo, body_max=10)


async def test_a_node_that_no_peer_knows_is_found_in_the_table(tmp_path: Path, idle_clock: MockClock) -> None:
    async with open_world(tmp_path) as world, open_town("memory", 8) as town:
        one, two = await world.start(1), await world.start(2, prepare=serve_echo)
        with pytest.raises(Unreachable):
            await one.network.call(key(2).node_id, "t.echo", b"hello", timeout=TIMEOUT)
        record = two.network.own_record
        assert record is not None
        expires = after(CLOCK.now(), HOUR)
        value = make_value(key(2), b"", sequence=record.sequence, expires=expires, body=encode(record))
        await town.nodes[1].publish(value)
        finder = Finder(town.nodes[0], key(1), lambda: one.network.own_record)
        one.network.look_beyond(finder.record_of)
        assert await one.network.call(key(2).node_id, "t.echo", b"hello", timeout=TIMEOUT) == b"hello"
        with pytest.raises(Unreachable):
            await one.network.call(key(3).node_id, "t.echo", b"hello", timeout=TIMEOUT)


async def test_only_a_nodes_own_word_about_itself_counts() -> None:
    async with open_town("memory", 4) as town:
        finder = Finder(town.nodes[0], table_key(1), lambda: None)
        expires = after(CLOCK.now(), HOUR)
        others = make_record(table_key(9), [Address("192.0.2.1", 7070)], sequence=1, expires=expires)
        for number, body in ((5, encode(others)), (6, b"garbage")):
            value = make_value(table_key(number), b"", sequence=1, expires=expires, body=body)
            assert await town.nodes[1].publish(value) >= 1
            assert await finder.record_of(table_key(number).node_id) is None


def test_the_table_is_asked_at_numbers_only() -> None:
    assert source_of(Address("192.0.2.1", 7070)) == (bytes([192, 0, 2, 1]), 7070)
    assert source_of(Address("::1", 1)) == (bytes(15) + b"\x01", 1)
    assert source_of(Address("example.org", 7070)) is None
