"""Two people behind routers must reach each other through whom they both know, and nobody is used against her will."""

import hashlib

import pytest
import trio
from trio.testing import MockClock

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import PeerFault, Unreachable, UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.item import ITEM_MAX
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address
from nanobarter.net.checkup import CheckRequest
from nanobarter.net.doors import open_listeners
from nanobarter.net.meeting import MEET_ME_METHOD, MEET_METHOD, Meet, MeetMe
from nanobarter.net.network import Network
from nanobarter.net.punch import dial_from
from nanobarter.net.relay import RELAY_METHOD
from nanobarter.net.ways import PASS_ON_METHOD, DialMe
from tests.net.nodes import Running, World, key, until

LONG = Span(60 * SECOND)
FEW = Limits(peers_target=1, relay_after=Span(10), direct_patience=Span(200))


def serve_echo(network: Network) -> None:
    async def echo(_peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    network.add("t.echo", echo, body_max=2**20)


def relaying(network: Network) -> None:
    network.reach.relay_for("open")


async def joined(world: World, number: int, middle: Running, *, listens: bool) -> Running:
    """Start a node that is connected to the one in the middle only."""
    if listens:
        node = await world.start(number, bootstrap=[middle.at], limits=FEW, prepare=serve_echo)
    else:
        node = await world.start(number, listen=None, bootstrap=[middle.at], limits=FEW, prepare=serve_echo)
    await until(lambda: node.network.node_id in middle.network.connected() and bool(node.network.connected()))
    return node


def path(node: Running, other: Running) -> str:
    return next(peer.path for peer in node.network.known() if peer.node == other.network.node_id)


async def test_who_cannot_be_dialled_is_asked_to_dial(world: World) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0))
    two = await joined(world, 2, middle, listens=True)
    three = await joined(world, 3, middle, listens=False)
    assert await two.network.call(three.network.node_id, "t.echo", b"hi", timeout=LONG) == b"hi"
    assert (path(two, three), path(three, two)) == ("in lan", "out lan")


async def test_two_that_cannot_be_dialled_talk_through_a_relay_that_reads_nothing(world: World) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0), prepare=relaying)
    two, three = [await joined(world, number, middle, listens=False) for number in (2, 3)]
    body = hashlib.shake_128(b"body").digest(300_000)
    assert await two.network.call(three.network.node_id, "t.echo", body, timeout=LONG, priority="bulk") == body
    assert (path(two, three), path(three, two)) == ("relay", "relay")
    assert two.network.public_key_of(three.network.node_id) == key(3).public
    await middle.stop()
    await until(lambda: not two.network.connected() and not three.network.connected())


async def test_a_relay_serves_whom_its_policy_names_and_so_many(world: World) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0))  # friends only, as by default
    two, three = [await joined(world, number, middle, listens=False) for number in (2, 3)]
    with pytest.raises(Unreachable):
        await two.network.call(three.network.node_id, "t.echo", b"", timeout=LONG)
    middle.network.reach.relay_for("open")
    assert await two.network.call(three.network.node_id, "t.echo", b"hi", timeout=LONG) == b"hi"


async def test_a_full_relay_says_so(world: World) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0, relay_pairs_max=0), prepare=relaying)
    two, three = [await joined(world, number, middle, listens=False) for number in (2, 3)]
    with pytest.raises(Unreachable):
        await two.network.call(three.network.node_id, "t.echo", b"", timeout=LONG)


@pytest.mark.parametrize("opening", [b"", b"noise", encode(b"short"), encode(bytes(33))])
async def test_a_malformed_opening_is_left(world: World, opening: bytes) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0), prepare=relaying)
    two = await joined(world, 2, middle, listens=False)
    stream = await two.network.open_stream(middle.network.node_id, RELAY_METHOD, opening)
    with pytest.raises(Unreachable):
        await stream.receive()
    assert middle.network.node_id in two.network.connected()


async def test_the_record_of_a_third_node_is_not_passed_on(world: World) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0))
    two, three = [await joined(world, number, middle, listens=True) for number in (2, 3)]
    await until(lambda: middle.network.address_of(three.network.node_id) is not None)
    record = middle.network.record_of(three.network.node_id)
    assert record is not None
    body = encode(DialMe(three.network.node_id, record))
    assert decode(body, DialMe, size_max=ITEM_MAX + 64).record == record
    with pytest.raises(PeerFault):
        await two.network.call(middle.network.node_id, PASS_ON_METHOD, body, timeout=LONG)


async def test_nobody_in_common_is_unreachable_at_once(world: World) -> None:
    one = await world.start(1, limits=FEW)
    with pytest.raises(Unreachable):
        await one.network.call(key(9).node_id, "t.echo", b"", timeout=LONG)


async def test_what_a_peer_may_have_others_dial_is_bounded(world: World, idle_clock: MockClock) -> None:
    middle = await world.start(1, limits=Limits(peers_target=0))
    two = await joined(world, 2, middle, listens=True)
    ask = middle.network.call

    async def refused(body: bytes) -> None:
        with pytest.raises((Unreachable, PeerFault)):
            await ask(two.network.node_id, MEET_ME_METHOD, body, timeout=LONG)

    await refused(encode(MeetMe(key(9).node_id, Address("127.0.0.1", 9))))
    await refused(encode(MeetMe(key(9).node_id, two.at)))
    await refused(b"noise")
    with pytest.raises(Unreachable):  # nobody there to be met
        await two.network.call(middle.network.node_id, MEET_METHOD, encode(Meet(key(9).node_id)), timeout=LONG)
    assert await two.network.call(middle.network.node_id, "net.check", encode(CheckRequest(0)), timeout=LONG)


async def test_a_second_daemon_at_one_port_is_still_refused(world: World) -> None:
    first = await world.start(1)
    with pytest.raises(UsageError):
        await open_listeners(first.at)
    stream = await dial_from(first.at.port, (await world.start(2)).at)  # while a dial may leave from there
    assert stream.socket.getsockname()[1] == first.at.port
    await stream.aclose()
