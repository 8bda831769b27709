"""Dialling through a SOCKS5 proxy (RFC 1928), such as Tor's; with a name and a password (RFC 1929) if one is given.

Names go to the proxy unresolved: whoever hides where she is must not ask her own resolver. A client of a hundred lines
is less to watch over than a dependency.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import trio

from nanobarter.core.errors import Unreachable, UsageError
from nanobarter.net.address import Address

_PROXY: Final = re.compile(
    r"socks5h?://(?:(?P<user>[^:@/\s]{1,255}):(?P<word>[^@/\s]{0,255})@)?(?P<host>[^@\s/]+):(?P<port>[0-9]{1,5})/?"
)
_VERSION, _CONNECT, _NO_AUTH, _PASSWORD = 5, 1, 0, 2
_BOUND_BYTES: Final = {1: 4, 4: 16}
_REPLIES: Final = {
    1: "general failure",
    2: "not allowed",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "refused",
    6: "it took too long",
    7: "the proxy does not connect",
    8: "an address of a kind that it does not know",
}


@dataclass(frozen=True)
class Proxy:
    """Where the proxy is, and who we are to it; Tor keeps the circuits of different names apart."""

    at: Address
    user: str = ""
    word: str = field(default="", repr=False)


def parse_proxy(text: str) -> Proxy:
    """Return the proxy that ``socks5://[user:password@]host:port`` names. Raises UsageError."""
    found = _PROXY.fullmatch(text)
    if found is None or int(found["port"]) > 65535:  # noqa: PLR2004 - the last TCP port
        raise UsageError(f"{text!r} is not a proxy", hint="write it like socks5://127.0.0.1:9050")
    host = found["host"].removeprefix("[").removesuffix("]")
    return Proxy(Address(host, int(found["port"])), unquote(found["user"] or ""), unquote(found["word"] or ""))


def connect_request(address: Address) -> bytes:
    """Return the bytes that ask for a connection."""
    try:
        number = ipaddress.ip_address(address.host)
    except ValueError:
        name = address.host.encode("ascii")
        host = b"\x03" + bytes([len(name)]) + name
    else:
        host = (b"\x01" if number.version == 4 else b"\x04") + number.packed  # noqa: PLR2004 - of IP
    return bytes([_VERSION, _CONNECT, 0]) + host + address.port.to_bytes(2, "big")


async def dial_through(proxy: Proxy, address: Address) -> trio.SocketStream:
    """Return a connection to an address, made by the proxy. Raises Unreachable; the caller bounds the time."""
    try:
        stream = await trio.open_tcp_stream(proxy.at.host, proxy.at.port)
    except OSError:
        raise Unreachable(f"the proxy at {proxy.at.show()} does not answer") from None
    try:
        await _agree(stream, proxy)
        await _connect(stream, address)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(stream)
        raise Unreachable("the proxy hung up") from None
    except BaseException:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
        raise
    return stream


async def _agree(stream: trio.SocketStream, proxy: Proxy) -> None:
    methods = [_NO_AUTH, _PASSWORD] if proxy.user else [_NO_AUTH]
    await stream.send_all(bytes([_VERSION, len(methods), *methods]))
    version, chosen = await _read(stream, 2)
    if version != _VERSION or chosen not in methods:
        raise Unreachable("the proxy speaks no SOCKS5, or wants another way to log in")
    if chosen == _PASSWORD:
        user, word = proxy.user.encode(), proxy.word.encode()
        await stream.send_all(bytes([1, len(user)]) + user + bytes([len(word)]) + word)
        if (await _read(stream, 2))[1]:
            raise Unreachable("the proxy refuses the name or the password")


async def _connect(stream: trio.SocketStream, address: Address) -> None:
    await stream.send_all(connect_request(address))
    version, reply, _, kind = await _read(stream, 4)
    if version != _VERSION or reply:
        raise Unreachable(f"the proxy cannot reach {address.show()}: {_REPLIES.get(reply, 'no SOCKS5 spoken')}")
    length = _BOUND_BYTES[kind] if kind in _BOUND_BYTES else (await _read(stream, 1))[0]
    await _read(stream, length + 2)  # the address that it bound tells us nothing


async def _read(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = await stream.receive_some(count - len(data))
        if not piece:
            raise trio.BrokenResourceError
        data += piece
    return data
