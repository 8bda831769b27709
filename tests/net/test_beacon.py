"""Two machines in one home must meet without any server; and a stranger's datagram must cost no more than a dial."""

from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.net.address import Address
from nanobarter.net.beacon import DOMAIN, Beacon, LanBeacon, is_near, make_beacon, read_beacon
from nanobarter.net.network import Network
from tests.net.nodes import World, key, until

GROUP = "239.255.47.99"


def with_beacon(port: int) -> Callable[[Network], None]:
    def prepare(network: Network) -> None:
        network.reach.find_neighbours(group=(GROUP, port))

    return prepare


async def free_port() -> int:
    """Return a port for one test's group, so that tests that run beside it hear nothing of it."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as probe:
        await probe.bind(("", 0))
        return int(probe.getsockname()[1])


async def can_multicast(port: int) -> bool:
    heard = trio.Event()

    def hear(_node: NodeId, _address: Address) -> bool:
        heard.set()
        return False

    async with trio.open_nursery() as nursery:
        for number in (8, 9):
            nursery.start_soon(LanBeacon(key(number), lambda: 1, hear, LIMITS, group=(GROUP, port)).run)
        with trio.move_on_after(5):
            await heard.wait()
        nursery.cancel_scope.cancel()
    return heard.is_set()


async def test_neighbours_find_each_other_without_a_server(world: World) -> None:
    port = await free_port()
    if not await can_multicast(port):
        pytest.skip("this machine passes no multicast to itself")
    one = await world.start(1, listen=Address("0.0.0.0", 0), prepare=with_beacon(port))  # noqa: S104 - as people do
    two = await world.start(2, listen=Address("0.0.0.0", 0), prepare=with_beacon(port))  # noqa: S104 - as people do
    await until(lambda: bool(one.network.connected() and two.network.connected()))
    (row,) = one.network.known()
    assert row.path.endswith("lan")


async def test_a_node_that_keeps_to_its_friends_dials_no_neighbour(world: World) -> None:
    port = await free_port()
    if not await can_multicast(port):
        pytest.skip("this machine passes no multicast to itself")

    def only_friends(network: Network) -> None:
        network.circle.keep_to([key(3).node_id], only=True)
        network.reach.find_neighbours(group=(GROUP, port))

    one = await world.start(1, listen=Address("0.0.0.0", 0), prepare=only_friends)  # noqa: S104 - as people do
    await world.start(2, listen=Address("0.0.0.0", 0), prepare=with_beacon(port))  # noqa: S104 - as people do
    friend = await world.start(3, listen=Address("0.0.0.0", 0), prepare=with_beacon(port))  # noqa: S104 - as people do
    await until(lambda: one.network.connected() == [friend.network.node_id])
    assert key(2).node_id not in {peer.node for peer in one.network.known()}


def test_a_beacon_says_who_listens_where() -> None:
    assert read_beacon(make_beacon(key(1), 4773)) == (key(1).node_id, 4773)


@given(st.integers(0, 101), st.integers(1, 255))
def test_a_changed_beacon_is_refused(at: int, change: int) -> None:
    data = bytearray(make_beacon(key(1), 4773))
    data[at % len(data)] ^= change
    with pytest.raises(Malformed):
        read_beacon(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", bytes(96), bytes(129), make_beacon(key(1), 1)[:-1], make_beacon(key(1), 1) + b"x"]
)
def test_what_is_no_beacon_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_beacon(data)


def test_a_signature_of_another_purpose_does_not_count() -> None:
    body = encode(Beacon(1, 4773))
    with pytest.raises(Malformed):
        read_beacon(key(1).public + key(1).sign("item", body) + body)
    assert read_beacon(key(1).public + key(1).sign(DOMAIN, body) + body)[1] == Beacon(1, 4773).port


def test_only_near_hosts_are_neighbours() -> None:
    assert [is_near(host) for host in ("192.168.1.5", "10.0.0.1", "127.0.0.1", "fe80::1", "8.8.8.8", "x")] == [
        *[True] * 4,
        *[False] * 2,
    ]
