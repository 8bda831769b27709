"""Real nodes on loopback: they must find each other, keep one connection, and survive strangers and crashes."""

import socket
import ssl
from pathlib import Path

import pytest
import trio

from nanobarter.core.errors import InvariantBroken, Unreachable, UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import MINUTE, SECOND, Span
from nanobarter.net.address import Address
from nanobarter.net.certificates import tls_context
from nanobarter.net.network import MIGRATIONS, Network
from tests.net.nodes import World, key, until

LONG = Span(20 * SECOND)
SHORT = Span(100)


def serve_echo(network: Network) -> None:
    async def echo(_peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    network.add("t.echo", echo, body_max=2**20)


async def test_one_bootstrap_address_makes_everyone_meet(world: World) -> None:
    first = await world.start(1)
    others = [await world.start(i, bootstrap=[first.at]) for i in (2, 3, 4)]
    nodes = [first.network, *(other.network for other in others)]
    await until(lambda: all(len(node.connected()) == 3 for node in nodes))
    assert all(nodes[1].public_key_of(node.node_id) == key(i).public for i, node in enumerate(nodes, 1))
    await until(lambda: nodes[1].address_of(nodes[3].node_id) == others[2].at)
    assert {peer.node for peer in nodes[0].known() if peer.connected} == {node.node_id for node in nodes[1:]}


async def test_a_node_that_only_dials_is_called_back_over_its_connection(world: World) -> None:
    server = await world.start(1)
    client = await world.start(2, listen=None, bootstrap=[server.at], prepare=serve_echo)
    assert client.bound is None
    await until(lambda: client.network.node_id in server.network.connected())
    assert await server.network.call(client.network.node_id, "t.echo", b"hi", timeout=LONG) == b"hi"


async def test_a_restarted_node_finds_its_way_back_without_bootstrap(world: World) -> None:
    one = await world.start(1)
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    # The record that brings the address is kept after the connection is up.
    await until(lambda: one.network.address_of(two.network.node_id) is not None)
    await two.stop()
    again = await world.start(2)
    assert again.network.has_met(one.network.node_id)  # a name alone costs nothing: it counts who was ever there
    assert not again.network.has_met(key(3).node_id)
    await until(lambda: again.network.connected() == [one.network.node_id])


async def test_a_peer_is_looked_up_through_others_and_dialled_when_called(world: World) -> None:
    few = Limits(peers_target=1)
    first = await world.start(1, limits=few)
    two = await world.start(2, bootstrap=[first.at], limits=few, prepare=serve_echo)
    await until(lambda: first.network.address_of(two.network.node_id) is not None)
    three = await world.start(3, bootstrap=[first.at], limits=Limits(peers_target=1, records_per_answer_max=1))
    await until(lambda: three.network.connected() == [first.network.node_id])
    assert await three.network.call(two.network.node_id, "t.echo", b"hi", timeout=LONG) == b"hi"


async def test_two_that_dial_each_other_keep_one_connection_and_lose_no_call(world: World) -> None:
    for attempt in range(5):
        one = await world.start(10 + 2 * attempt, prepare=serve_echo)
        two = await world.start(11 + 2 * attempt, prepare=serve_echo)
        answers = list[bytes]()

        async def call(here: Network, there: NodeId, i: int, answers: list[bytes] = answers) -> None:
            answers.append(await here.call(there, "t.echo", bytes([i]), timeout=LONG))

        one.network.learn(two.network.node_id, two.at)
        two.network.learn(one.network.node_id, one.at)
        async with trio.open_nursery() as nursery:
            for i in range(50):
                nursery.start_soon(call, one.network, two.network.node_id, i)
                nursery.start_soon(call, two.network, one.network.node_id, i)
                await trio.lowlevel.checkpoint()
        assert sorted(answers) == sorted(bytes([i]) for i in range(50) for _ in range(2))
        await until(lambda one=one, two=two: one.connections == two.connections == 1)
        await one.stop()
        await two.stop()


async def test_another_node_at_an_address_is_not_taken_for_the_one_wanted(world: World) -> None:
    other = await world.start(1)
    two = await world.start(2)
    wanted = key(3).node_id
    two.network.learn(wanted, other.at)
    with pytest.raises(Unreachable):
        await two.network.call(wanted, "t.echo", b"", timeout=LONG)
    assert two.network.address_of(wanted) is None


async def test_ones_own_address_is_dialled_once(world: World) -> None:
    one = await world.start(1)
    one.network.learn(None, one.at)
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    assert one.network.connected() == [two.network.node_id]


async def test_a_killed_peer_fails_its_calls_at_once_and_comes_back(world: World) -> None:
    started = trio.Event()

    async def never(_peer: NodeId, _body: bytes) -> bytes:
        started.set()
        await trio.sleep_forever()
        raise AssertionError

    one = await world.start(1, prepare=lambda network: network.add("t.never", never, body_max=0))
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected()))
    failed = list[str]()

    async def ask() -> None:
        try:
            await two.network.call(one.network.node_id, "t.never", b"", timeout=Span(10 * MINUTE))
        except Unreachable as error:
            failed.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await started.wait()
        await one.stop()
    assert "broke" in failed[0]
    await world.start(1, listen=one.at)
    await until(lambda: two.network.connected() == [one.network.node_id])


async def test_a_port_in_use_names_itself_and_a_way_out(world: World, tmp_path: Path) -> None:
    one = await world.start(1)
    store = Store.open(tmp_path / "x.db", MIGRATIONS)
    network = Network(
        key=key(2), listen=one.at, bootstrap=[], store=store, clock=SystemClock(), entropy=SystemEntropy()
    )
    with pytest.raises(UsageError, match=str(one.at.port)) as caught:
        await network.run()
    assert "another port" in caught.value.hint
    store.close()


async def test_a_fault_of_our_own_handler_stops_the_node(tmp_path: Path) -> None:
    async def broken(_peer: NodeId, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        raise InvariantBroken("one and one are three")

    with pytest.RaisesGroup(InvariantBroken, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            world = World(tmp_path, nursery)
            one = await world.start(1, prepare=lambda network: network.add("t.broken", broken, body_max=0))
            two = await world.start(2, bootstrap=[one.at])
            await until(lambda: bool(two.network.connected()))
            with pytest.raises(Unreachable):
                await two.network.call(one.network.node_id, "t.broken", b"", timeout=LONG)
            await trio.sleep_forever()


async def silent(at: Address) -> trio.SocketStream:
    return await trio.open_tcp_stream(at.host, at.port)


async def test_strangers_that_say_nothing_do_not_keep_others_out(world: World) -> None:
    one = await world.start(1, limits=Limits(half_open_max=4))
    strangers = [await silent(one.at) for _ in range(20)]
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected()))
    # Those that had to make room were hung up on.
    with trio.fail_after(60):
        assert await strangers[0].receive_some() == b""
    for stranger in strangers:
        await stranger.aclose()


async def test_one_address_gets_so_many_connections_and_no_more(world: World) -> None:
    one = await world.start(1, limits=Limits(connections_per_address_max=2), same_host_ok=False)
    strangers = [await silent(one.at) for _ in range(3)]
    with trio.fail_after(60):
        assert await strangers[2].receive_some() == b""
    for stranger in strangers:
        await stranger.aclose()


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(500)])
async def test_noise_on_the_port_is_hung_up_on(world: World, noise: bytes) -> None:
    one = await world.start(1)
    stream = await silent(one.at)
    await stream.send_all(noise)
    stream.socket.shutdown(socket.SHUT_WR)
    with trio.fail_after(60):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
    await stream.aclose()
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected()))


async def test_a_client_without_a_certificate_gets_no_hello(world: World) -> None:
    one = await world.start(1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stream = trio.SSLStream(await silent(one.at), context)
    with trio.fail_after(60):
        await stream.do_handshake()  # a TLS 1.3 client believes it done before the server has looked
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
    await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("said", [bytes(9), b"\x00\x00\x00\x01\x01\x00\x00\x00\x00x", b"\xff" * 100])
async def test_a_peer_that_cannot_say_hello_is_told_and_left(world: World, said: bytes) -> None:
    one = await world.start(1)
    stream = trio.SSLStream(await silent(one.at), tls_context(key(9), server=False), server_hostname=None)
    await stream.send_all(said)
    with trio.fail_after(60):
        answer = await stream.receive_some()
    assert answer[4] == 15  # BYE
    await trio.aclose_forcefully(stream)
    assert one.network.connected() == []
