"""A router's word must be read exactly: a wrong port told to others makes a node deaf, and routers answer anything."""

import struct
from pathlib import Path

import pytest
import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.limits import Limits
from nanobarter.net.address import Address
from nanobarter.net.natpmp import Mapping, ask_external, ask_map, find_gateway, keep_mapped, read_external, read_map

EXTERNAL = struct.pack(">BBHI4s", 0, 128, 0, 7, bytes([8, 8, 4, 4]))
MAPPED = struct.pack(">BBHIHHI", 0, 130, 0, 7, 4773, 50_000, 3600)


def test_requests_and_answers_have_the_bytes_of_the_standard() -> None:
    assert ask_external() == b"\x00\x00"
    assert ask_map(4773, 7200).hex() == "0002000012a512a500001c20"
    assert read_external(EXTERNAL) == "8.8.4.4"
    assert read_map(MAPPED, 4773) == Mapping(50_000, 3600)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Malformed),
        (EXTERNAL[:-1], Malformed),
        (b"\x01" + EXTERNAL[1:], Malformed),
        (EXTERNAL[:1] + b"\x82" + EXTERNAL[2:], Malformed),
        (EXTERNAL[:2] + b"\x00\x02" + EXTERNAL[4:], Unreachable),
        (EXTERNAL[:8] + bytes([192, 168, 1, 1]), Unreachable),  # a router behind a router
        (EXTERNAL[:8] + bytes([100, 64, 0, 1]), Unreachable),  # a provider's NAT (RFC 6598)
    ],
)
def test_what_is_no_address_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_external(data)


def test_a_mapping_of_another_port_or_none_is_refused() -> None:
    with pytest.raises(Malformed):
        read_map(MAPPED, 4774)
    with pytest.raises(Malformed):
        read_map(MAPPED[:10] + b"\x00\x00" + MAPPED[12:], 4773)


def test_the_default_router_is_found(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
        "eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n"
    )
    assert find_gateway(routes) == "192.168.1.1"
    assert find_gateway(tmp_path / "none") is None


async def test_a_mapping_is_told_renewed_and_its_loss_too(autojump_clock: trio.testing.MockClock) -> None:
    told = list[Address | None]()
    asked = list[bytes]()
    works, over = True, trio.Event()

    async def router(sock: trio.socket.SocketType) -> None:
        while True:
            data, sender = await sock.recvfrom(64)
            asked.append(data)
            if works:
                await sock.sendto(EXTERNAL if len(data) == 2 else MAPPED, sender)

    async def mapped(address: Address | None) -> None:
        nonlocal works
        await trio.lowlevel.checkpoint()
        told.append(address)
        works = False
        if len(told) > 1:
            over.set()

    sock = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    await sock.bind(("127.0.0.1", 0))
    with sock:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(router, sock)
            nursery.start_soon(keep_mapped, 4773, mapped, Limits(), sock.getsockname())
            with trio.fail_after(100_000):
                await over.wait()
            nursery.cancel_scope.cancel()
    assert told == [Address("8.8.4.4", 50_000), None]
