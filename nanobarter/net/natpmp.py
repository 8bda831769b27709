"""Asking the home router to forward our port: NAT-PMP (RFC 6886), which many routers speak and PCP ones too.

The router's answer is believed for what others are told to dial, and no further: a wrong one sends dials astray.
"""

import ipaddress
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND
from nanobarter.net.address import Address

PORT: Final = 5351
_EXTERNAL, _MAP_TCP, _ANSWER = 0, 2, 128
_ANSWER_EXTERNAL: Final = struct.Struct(">BBHI4s")
_ANSWER_MAP: Final = struct.Struct(">BBHIHHI")
_FIRST_WAIT: Final = 0.25  # seconds; doubled with each try (RFC 6886, 3.1)
_TRIES: Final = 4  # of the nine there: a router that speaks it answers the first
_DATAGRAM_MAX: Final = 64


@dataclass(frozen=True)
class Mapping:
    """What the router forwards to us, and for how many seconds."""

    port: int
    seconds: int


def ask_external() -> bytes:
    """Return the request for the router's own address."""
    return bytes([0, _EXTERNAL])


def ask_map(port: int, seconds: int) -> bytes:
    """Return the request to forward a TCP port to this machine, the same one outside if it is free."""
    return struct.pack(">BBHHHI", 0, _MAP_TCP, 0, port, port, seconds)


def read_external(data: bytes) -> str:
    """Return the router's address to the outside. Raises Malformed, or Unreachable when the router says no."""
    number = ipaddress.IPv4Address(_read(data, _ANSWER_EXTERNAL, _EXTERNAL)[4])
    if not number.is_global:
        raise Unreachable(f"the router is behind another one: its address is {number}")
    return str(number)


def read_map(data: bytes, port: int) -> Mapping:
    """Return what is forwarded to this port. Raises Malformed, or Unreachable when the router says no."""
    _, _, _, _, internal, external, seconds = _read(data, _ANSWER_MAP, _MAP_TCP)
    if internal != port or not external or not seconds:
        raise Malformed("an answer about another port")
    return Mapping(external, seconds)


def _read(data: bytes, shape: struct.Struct, asked: int) -> tuple[Any, ...]:
    if len(data) != shape.size:
        raise Malformed(f"an answer of {len(data)} bytes")
    fields = shape.unpack(data)
    if fields[0] != 0 or fields[1] != _ANSWER + asked:
        raise Malformed("not the answer to what was asked")
    if fields[2]:
        raise Unreachable(f"the router refuses with code {fields[2]}")
    return fields


async def ask(gateway: tuple[str, int], request: bytes) -> bytes:
    """Return the router's answer. Raises Unreachable when none comes."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        wait = _FIRST_WAIT
        for _ in range(_TRIES):
            try:
                await sock.connect(gateway)  # so that only the router's own datagrams are heard
                await sock.send(request)
                with trio.move_on_after(wait):
                    return await sock.recv(_DATAGRAM_MAX)
            except OSError:
                await trio.sleep(wait)
            wait *= 2
    raise Unreachable("the router does not speak NAT-PMP")


async def map_port(gateway: tuple[str, int], port: int, seconds: int) -> tuple[Address, int]:
    """Have a port forwarded; return where others dial it and for how long. Raises Unreachable or Malformed."""
    host = read_external(await ask(gateway, ask_external()))
    mapping = read_map(await ask(gateway, ask_map(port, seconds)), port)
    return Address(host, mapping.port), mapping.seconds


def find_gateway(routes: Path = Path("/proc/net/route")) -> str | None:
    """Return the default router of IPv4, as Linux tells it; None where there is none or another system."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and fields[2] != "00000000":  # noqa: PLR2004
            return str(ipaddress.IPv4Address(int(fields[2], 16).to_bytes(4, "little")))
    return None


async def keep_mapped(
    port: int, mapped: Callable[[Address | None], Awaitable[None]], limits: Limits, gateway: tuple[str, int] | None
) -> None:
    """Keep a port forwarded until cancelled, and tell where; nothing when the router stopped or never did it."""
    before: Address | None = None
    while True:
        where, seconds = gateway or _default(), limits.port_map_rest / SECOND
        now: Address | None = None
        if where is not None:
            try:
                now, granted = await map_port(where, port, round(limits.port_map_span / SECOND))
                seconds = max(granted / 2, 60.0)
            except (Unreachable, Malformed):
                now = None
        if now != before:
            await mapped(now)
            before = now
        await trio.sleep(seconds)


def _default() -> tuple[str, int] | None:
    host = find_gateway()
    return None if host is None else (host, PORT)
