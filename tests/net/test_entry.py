"""A flood of strangers must push out strangers, not those we know; and an idle stranger must not keep a place."""

from contextlib import suppress
from pathlib import Path

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from tests.net.nodes import Running, World, key, until

LONG = Span(30 * SECOND)


async def silent(at: Address, source: str) -> trio.SocketStream:
    """Connect from one of the many addresses of loopback, and say nothing."""
    socket = trio.socket.socket()
    await socket.bind((source, 0))
    await socket.connect((at.host, at.port))
    return trio.SocketStream(socket)


async def test_a_host_with_many_half_open_connections_pushes_out_its_own(world: World) -> None:
    one = await world.start(1, limits=Limits(half_open_max=8))
    quiet = await silent(one.at, "127.0.0.9")
    flood = [await silent(one.at, "127.0.0.3") for _ in range(40)]
    with trio.fail_after(60):
        assert await flood[0].receive_some() == b""  # hung up on
    with trio.move_on_after(0.2) as waited:
        await quiet.receive_some()
    assert waited.cancelled_caught  # the host with one is left alone
    for stream in (quiet, *flood):
        await stream.aclose()


async def test_a_place_is_kept_for_who_is_known(world: World) -> None:
    few = Limits(connections_max=4, connections_reserved=1, peers_target=4)
    known = await world.start(2)
    one = await world.start(1, limits=few, bootstrap=[known.at])
    await until(lambda: known.network.node_id in one.network.connected())
    strangers = [await world.start(i, listen=None, bootstrap=[one.at]) for i in (3, 4, 5)]
    await until(lambda: one.connections == 3)
    await known.stop()
    await until(lambda: one.connections >= 2)
    again = await world.start(2, listen=known.at, bootstrap=[one.at])
    await until(lambda: again.network.node_id in one.network.connected())
    assert sum(bool(stranger.network.connected()) for stranger in strangers) <= 3


async def test_a_stranger_that_did_nothing_for_long_gives_its_place_to_another(world: World) -> None:
    few = Limits(connections_max=1, connections_reserved=0, idle_stranger=Span(0))
    one = await world.start(1, limits=few)
    first = await world.start(2, listen=None, bootstrap=[one.at])
    await until(lambda: first.network.node_id in one.network.connected())
    second = await world.start(3, listen=None, bootstrap=[one.at])
    await until(lambda: second.network.node_id in one.network.connected())


async def test_both_families_are_served_and_dialled(world: World) -> None:
    one = await world.start(1, listen=Address("::", 0))
    for number, host in ((2, "::1"), (3, "127.0.0.1")):
        other = await world.start(number, listen=None, bootstrap=[Address(host, one.at.port)])
        await until(lambda other=other: bool(other.network.connected()))


def _row(node: Running, other: Network) -> tuple[str, int, int, int, float | None]:
    (row,) = [peer for peer in node.network.known() if peer.node == other.node_id]
    return row.path, row.bytes_in, row.bytes_out, row.score, row.latency


async def test_peers_are_told_with_path_traffic_latency_and_score(world: World, tmp_path: Path) -> None:
    async def echo(_peer: bytes, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    one = await world.start(1, prepare=lambda network: network.add("t.echo", echo, body_max=1000))
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    for _ in range(20):
        await two.network.call(one.network.node_id, "t.echo", bytes(1000), timeout=LONG)
    await until(lambda: _row(two, one.network)[4] is not None)
    path, got, sent, score, _latency = _row(two, one.network)
    assert (path, _row(one, two.network)[0]) == ("out lan", "in lan")
    assert sent >= 20_000
    assert got >= 20_000
    assert score > 90
    await one.stop()
    for _ in range(3):
        with suppress(Unreachable):
            await two.network.call(key(1).node_id, "t.echo", b"", timeout=Span(50))
    assert _row(two, one.network)[0] == ""
