"""The bytes of NAT-PMP (RFC 6886), by which older home routers are asked to forward a port. ``portmap`` asks."""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Any, Final

from nanobarter.core.errors import Malformed, Unreachable

_EXTERNAL, _MAP_TCP, _ANSWER = 0, 2, 128
_ANSWER_EXTERNAL: Final = struct.Struct(">BBHI4s")
_ANSWER_MAP: Final = struct.Struct(">BBHIHHI")


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
    return reachable(ipaddress.IPv4Address(_read(data, _ANSWER_EXTERNAL, _EXTERNAL)[4]))


def reachable(outside: ipaddress.IPv4Address) -> str:
    """Return a router's address to the outside, if others can dial it. Raises Unreachable."""
    if not outside.is_global:
        raise Unreachable(f"the router is behind another one: its address is {outside}")
    return str(outside)


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
