"""Whichever way the router knows, others must be told its forwarded port, and no more when it is gone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from nanobarter.core.errors import Unreachable
from nanobarter.core.limits import Limits
from nanobarter.net.address import Address
from nanobarter.net.portmap import find_gateway, keep_mapped, map_port
from tests.net.test_natpmp import EXTERNAL
from tests.net.test_natpmp import MAPPED as MAPPED_BEFORE
from tests.net.test_pcp import MAPPED, NONCE

Router = Callable[[bytes], bytes | None]
OLDER = bytes.fromhex("0081000100000007")


def natpmp(request: bytes) -> bytes | None:
    return {2: EXTERNAL, 12: MAPPED_BEFORE}.get(len(request), OLDER)


def deaf_natpmp(request: bytes) -> bytes | None:
    return None if request[0] else natpmp(request)


def pcp(request: bytes) -> bytes | None:
    return MAPPED if request[0] == 2 else OLDER


def refusing(request: bytes) -> bytes | None:
    return MAPPED[:3] + b"\x02" + MAPPED[4:] if request[0] == 2 else natpmp(request)


async def play(sock: trio.socket.SocketType, router: Router) -> None:
    while True:
        data, sender = await sock.recvfrom(1200)
        if answer := router(data):
            await sock.sendto(answer, sender)


def test_the_default_router_is_found(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
        "eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n"
    )
    assert find_gateway(routes) == "192.168.1.1"
    assert find_gateway(tmp_path / "none") is None


@pytest.mark.parametrize("router", [natpmp, deaf_natpmp, pcp])
async def test_a_port_is_mapped_in_whichever_way_the_router_knows(
    router: Router, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, sock, router)
            assert await map_port(sock.getsockname(), 4773, 7200, NONCE) == (Address("8.8.4.4", 50_000), 3600)
            nursery.cancel_scope.cancel()


async def test_a_router_that_says_no_is_not_asked_in_the_older_way(autojump_clock: trio.testing.MockClock) -> None:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, sock, refusing)
            with pytest.raises(Unreachable, match="allows nobody"):
                await map_port(sock.getsockname(), 4773, 7200, NONCE)
            nursery.cancel_scope.cancel()


async def test_a_mapping_is_told_renewed_and_its_loss_too(autojump_clock: trio.testing.MockClock) -> None:
    told = list[Address | None]()
    works, over = True, trio.Event()

    def router(data: bytes) -> bytes | None:
        return pcp(data) if works else None

    async def mapped(address: Address | None) -> None:
        nonlocal works
        await trio.lowlevel.checkpoint()
        told.append(address)
        works = False
        if len(told) > 1:
            over.set()

    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, sock, router)
            nursery.start_soon(keep_mapped, 4773, mapped, Limits(), sock.getsockname(), NONCE)
            with trio.fail_after(100_000):
                await over.wait()
            nursery.cancel_scope.cancel()
    assert told == [Address("8.8.4.4", 50_000), None]
