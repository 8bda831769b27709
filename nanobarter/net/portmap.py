"""Asking the home router to forward our port: PCP (RFC 6887) and, of one that does not know it, NAT-PMP (RFC 6886).

Both are spoken at the same port of the router, and a router that knows only the older answers the newer with a refusal
of its version (RFC 6887, appendix A). Some say nothing instead; so silence, too, means to ask again in the old way.
UPnP, which a few routers speak alone, is left out: docs/decisions/0013-no-upnp.md says why.

The router's answer is believed for what others are told to dial, and no further: a wrong one sends dials astray.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND
from nanobarter.net import natpmp, pcp
from nanobarter.net.address import Address

PORT: Final = 5351
_FIRST_WAIT: Final = 0.25  # seconds; doubled with each try (RFC 6886, 3.1)
_TRIES: Final = 4  # of the nine there: a router that speaks it answers the first

Gateway = tuple[str, int]


async def ask(gateway: Gateway, request: bytes) -> bytes:
    """Return the router's answer. Raises Unreachable when none comes."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        wait = _FIRST_WAIT
        for _ in range(_TRIES):
            try:
                await sock.connect(gateway)  # so that only the router's own datagrams are heard
                await sock.send(request)
                with trio.move_on_after(wait):
                    return await sock.recv(pcp.BYTES_MAX)
            except OSError:
                await trio.sleep(wait)
            wait *= 2
    raise Unreachable("the router speaks neither PCP nor NAT-PMP")


async def map_port(gateway: Gateway, port: int, seconds: int, nonce: bytes) -> tuple[Address, int]:
    """Have a port forwarded; return where others dial it and for how long. Raises Unreachable or Malformed.

    ``nonce`` (12 bytes) proves to the router that who renews is who asked first.
    """
    request = pcp.ask_map(_own_host(gateway), port, seconds, nonce)
    try:
        answer = await ask(gateway, request)
    except Unreachable:
        answer = b""
    if answer and not pcp.is_older(answer):
        return pcp.read_map(answer, port, nonce)
    host = natpmp.read_external(await ask(gateway, natpmp.ask_external()))
    mapping = natpmp.read_map(await ask(gateway, natpmp.ask_map(port, seconds)), port)
    return Address(host, mapping.port), mapping.seconds


def _own_host(gateway: Gateway) -> str:
    """Return our address as the router must see it; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(gateway)
        except OSError as error:
            raise Unreachable(f"there is no way to the router: {error.strerror}") from None
        host: str = sock.getsockname()[0]
    return host


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
    port: int,
    mapped: Callable[[Address | None], Awaitable[None]],
    limits: Limits,
    gateway: Gateway | None,
    nonce: bytes,
) -> None:
    """Keep a port forwarded until cancelled, and tell where; nothing when the router stopped or never did it."""
    before: Address | None = None
    while True:
        where, seconds = gateway or _default(), limits.port_map_rest / SECOND
        now: Address | None = None
        if where is not None:
            try:
                now, granted = await map_port(where, port, round(limits.port_map_span / SECOND), nonce)
                seconds = max(granted / 2, 60.0)
            except (Unreachable, Malformed):
                now = None
        if now != before:
            await mapped(now)
            before = now
        await trio.sleep(seconds)


def _default() -> Gateway | None:
    host = find_gateway()
    return None if host is None else (host, PORT)
