"""A node must learn from others whether it can be dialled, and nobody may use that to knock at strangers' doors."""

import pytest
import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address
from nanobarter.net.checkup import CHECK_METHOD, CheckAnswer, CheckRequest, PeerSaid, Reached, median_ahead
from tests.net.nodes import LOOPBACK, World, key, until

LONG = Span(30 * SECOND)


@pytest.mark.parametrize("listen", [LOOPBACK, Address("0.0.0.0", 0)])  # noqa: S104 - bound for a moment
async def test_a_node_that_can_be_dialled_is_told_so(world: World, listen: Address) -> None:
    one = await world.start(1)
    two = await world.start(2, listen=listen, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    (said,) = await two.network.check_up()
    assert (said.node, said.observed, said.reached) == (one.network.node_id, "127.0.0.1", Reached.YES)
    assert abs(said.ahead) < 10_000


async def test_a_node_behind_a_closed_door_is_told_so_and_another_node_there_is_no_answer(world: World) -> None:
    one, other = await world.start(1, limits=Limits(check_rest=Span(0))), await world.start(3)
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    with await closed_port() as closed:
        for port in (closed.getsockname()[1], other.at.port):
            body = await two.network.call(key(1).node_id, CHECK_METHOD, encode(CheckRequest(port)), timeout=LONG)
            assert decode(body, CheckAnswer, size_max=512).reached == Reached.NO


async def closed_port() -> trio.socket.SocketType:
    socket = trio.socket.socket()
    await socket.bind(("127.0.0.1", 0))  # bound and not listening: dials are refused
    return socket


async def test_a_peer_is_dialled_back_seldom(world: World) -> None:
    one = await world.start(1)
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    reached = [(await two.network.check_up())[0].reached for _ in range(3)]
    assert reached == [Reached.YES, Reached.NOT_TRIED, Reached.NOT_TRIED]


def test_the_clock_is_judged_by_the_median_so_that_one_liar_moves_nothing() -> None:
    said = [PeerSaid(key(i).node_id, ahead, "", Reached.NO) for i, ahead in enumerate((-20, 15, 10**12), 1)]
    assert median_ahead(said) == 15
    assert median_ahead([]) is None
