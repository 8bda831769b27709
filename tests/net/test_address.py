"""Addresses come from people and from strangers' records: a wrong one is told or refused, never a crash."""

import pytest

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, UsageError
from nanobarter.net.address import Address, is_loopback, parse_address
from tests.net.nodes import World, until


@pytest.mark.parametrize("text", ["192.0.2.1:7070", "example.org:1", "[::1]:65535", "[fe80::1%eth0]:0"])
def test_an_address_is_shown_as_it_was_written(text: str) -> None:
    assert parse_address(text).show() == text


@pytest.mark.parametrize("text", ["", ":1", "host", "host:", "host:x", "host:65536", "::1:80", "a b:1", "é:1", "h:²"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        parse_address(text)


@pytest.mark.parametrize("host", ["", "a\x00b", "a\n", "é", "a b", "x" * 254])
def test_a_strangers_host_that_no_resolver_should_see_is_malformed(host: str) -> None:
    with pytest.raises(Malformed):
        decode(encode((host, 1)), Address, size_max=300)


def test_loopback_is_told_from_the_rest() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "192.0.2.1", "localhost", "")] == [
        True,
        True,
        *[False] * 3,
    ]


@pytest.mark.parametrize("host", ["a..b", ".", "x" * 64 + ".invalid", "1.2.3.4.5", "::::", "%"])
async def test_a_host_that_cannot_be_resolved_is_a_failed_dial(world: World, host: str) -> None:
    one = await world.start(1)
    two = await world.start(2)
    two.network.learn(None, Address(host, 1))
    two.network.learn(None, one.at)
    await until(lambda: bool(two.network.connected()))
