"""The bytes of PCP (RFC 6887), by which home routers are asked to forward a port. ``portmap`` asks.

Only the opcode MAP (11.1) for TCP over IPv4, without options. Addresses are of 16 bytes, those of IPv4 mapped.
"""

import ipaddress
import struct
from typing import Final

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.net.address import Address
from nanobarter.net.natpmp import reachable

_VERSION, _MAP, _ANSWER, _TCP = 2, 1, 128, 6
_REQUEST: Final = struct.Struct(">BBHI16s12sB3xHH16s")  # header, 7.1, and MAP, 11.1
_RESPONSE: Final = struct.Struct(">BBBBII12x12sB3xHH16s")  # 7.2 and 11.1
BYTES_MAX: Final = 1100  # RFC 6887, 7, with options that were not asked for, which are left unread
_UNSUPPORTED_VERSION: Final = 1
_SUCCESS: Final = 0
_ANY: Final = bytes(10) + b"\xff\xff" + bytes(4)
NONCE_BYTES: Final = 12
_REFUSALS: Final = {
    2: "it allows nobody to map ports",
    8: "it has no room for more",
    11: "its line is not there",
    12: "there is another router in between",
}


def ask_map(own: str, port: int, seconds: int, nonce: bytes) -> bytes:
    """Return the request to forward a TCP port to this machine (``own``), the same one outside if it is free."""
    host = _ANY[:12] + ipaddress.IPv4Address(own).packed
    return _REQUEST.pack(_VERSION, _MAP, 0, seconds, host, nonce, _TCP, port, port, _ANY)


def is_older(data: bytes) -> bool:
    """Tell whether the answer is that of a router which knows NAT-PMP alone (version 0), or another PCP than this."""
    return data[:1] == b"\x00" or (len(data) > 3 and data[1] & _ANSWER != 0 and data[3] == _UNSUPPORTED_VERSION)  # noqa: PLR2004 - the header's fourth byte


def read_map(data: bytes, port: int, nonce: bytes) -> tuple[Address, int]:
    """Return where others dial this port, and for how many seconds.

    Raises Malformed, or Unreachable when the router says no or is itself behind another one.
    """
    if not _RESPONSE.size <= len(data) <= BYTES_MAX:
        raise Malformed(f"an answer of {len(data)} bytes")
    fields = _RESPONSE.unpack_from(data)
    version, code, _, result, seconds, _, echoed, protocol, internal, external, host = fields
    if version != _VERSION or code != _ANSWER + _MAP:
        raise Malformed("not the answer to what was asked")
    if result != _SUCCESS:
        raise Unreachable(f"the router refuses: {_REFUSALS.get(result, f'code {result}')}")
    if (echoed, protocol, internal) != (nonce, _TCP, port) or not external or not seconds:
        raise Malformed("an answer about another port")
    number = ipaddress.IPv6Address(host).ipv4_mapped
    if number is None:
        raise Malformed("an address that is not of IPv4")
    return Address(reachable(number), external), seconds
