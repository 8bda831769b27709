"""Sockets for TCP simultaneous open: a dial that leaves from the very port at which this node listens.

A home router that remembers "this machine, this port" under one outer port, whomever it talks with, lets two nodes
meet (RFC 5382, REQ-1; Ford, Srisuresh and Kegel, "Peer-to-peer communication across network address translators",
2005): each dials where a third node sees the other, both SYNs cross, and each router takes the other's for an answer.
"""

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import trio

from nanobarter.net.address import Address
from nanobarter.net.tls import Transport

_AGAIN_S: Final = 0.2  # after a router said no: the other side's SYN may not have opened it yet
_SILENT_S: Final = 1.0  # whoever waits to be spoken to and hears nothing for so long speaks himself
_REUSE_PORT: Final = getattr(socket, "SO_REUSEPORT", None)
_NO_WAY: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EINVAL})


@dataclass(frozen=True)
class Ends:
    """The two ends of a TCP connection, as this machine sees them."""

    here: Address
    there: Address


def ends_of(transport: Transport) -> Ends | None:
    """Return the ends of a connection over a socket; None over a relay, or when it is gone."""
    if not isinstance(transport, trio.SocketStream):
        return None
    try:
        here, there = transport.socket.getsockname(), transport.socket.getpeername()
        return Ends(_address(here), _address(there))
    except (OSError, ValueError, TypeError, IndexError):
        return None


def _address(name: tuple[str, int]) -> Address:
    return Address(name[0].partition("%")[0], name[1])


def share_port(listener: trio.SocketListener) -> None:
    """Let dials of this node leave from a listener's port.

    Set after it was bound, so that a second daemon at the same port is still refused.
    """
    if _REUSE_PORT is not None:
        with suppress(OSError):
            listener.socket.setsockopt(socket.SOL_SOCKET, _REUSE_PORT, 1)


async def dial_from(port: int, to: Address) -> trio.SocketStream:
    """Dial a numeric address from our listening port. Raises OSError or ValueError."""
    family = socket.AF_INET6 if ":" in to.host else socket.AF_INET
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if _REUSE_PORT is not None:
            sock.setsockopt(socket.SOL_SOCKET, _REUSE_PORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104 - any way out
        await sock.connect((to.host, to.port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


async def dial_until_open(port: int, to: Address) -> trio.SocketStream:
    """Dial again and again until the other side does so too. Raises OSError when it cannot be; bound the time."""
    while True:
        try:
            return await dial_from(port, to)
        except OSError as error:
            if error.errno in _NO_WAY:  # the same two ends are connected already, or no such address
                raise
        await trio.sleep(_AGAIN_S)


async def speaks_first(stream: trio.SocketStream) -> bool:
    """Tell whether the other side begins to speak within a moment; nothing is taken from it."""
    with trio.move_on_after(_SILENT_S):
        return bool(await stream.socket.recv(1, socket.MSG_PEEK))
    return False
