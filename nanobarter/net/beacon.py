"""The beacon: nodes on one local network find each other without any server, by signed datagrams to a group.

A datagram is ``public key | signature | canonical [node record]``: it says on which port a node listens; the host is
the one it came from. Whoever hears an unknown node dials it; the dial pins its key, so a replayed or forged beacon
costs one dial at most. A node speaks at its start and then rarely, and answers a newcomer at once, so that idle
networks are quiet and nobody waits.
"""

import errno
import ipaddress
import socket
import struct
from collections.abc import Callable
from typing import Annotated, Final

import trio
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, PublicKey, Signature, node_id_of
from nanobarter.core.keys import SigningKey, verify
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND
from nanobarter.net.address import Address

GROUP: Final = "239.255.47.73"  # of the organisation's own scope (RFC 2365); routers do not pass it on
PORT: Final = 4773
DOMAIN: Final = "beacon"
DATAGRAM_MAX: Final = 128
_KEY, _SIGNATURE = 32, 64
_NO_NETWORK: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM, errno.EADDRNOTAVAIL, errno.ENODEV}
)


class Beacon(Record, frozen=True):
    """What a beacon says: the version of this format, and the TCP port."""

    version: Annotated[int, Meta(ge=1, le=255)]
    port: Annotated[int, Meta(ge=1, le=65535)]


def make_beacon(key: SigningKey, port: int) -> bytes:
    """Return the datagram of a node that listens on a port."""
    body = encode(Beacon(1, port))
    return key.public + key.sign(DOMAIN, body) + body


def read_beacon(data: bytes) -> tuple[NodeId, int]:
    """Return who listens on which port. Raises Malformed."""
    if not _KEY + _SIGNATURE < len(data) <= DATAGRAM_MAX:
        raise Malformed(f"a beacon of {len(data)} bytes")
    key, signature, body = PublicKey(data[:_KEY]), Signature(data[_KEY : _KEY + _SIGNATURE]), data[_KEY + _SIGNATURE :]
    said = decode(body, Beacon, size_max=DATAGRAM_MAX)
    if not verify(key, DOMAIN, body, signature):
        raise Malformed("a beacon that its key did not sign")
    return node_id_of(key), said.port


class LanBeacon:
    """Speaks and hears on the local network.

    ``heard`` is told of each node not ourselves with where it is; it returns True when the node was news, and then it
    is answered. Runs on every interface that the system chooses; without a network it hears nothing.
    """

    def __init__(
        self,
        key: SigningKey,
        port: Callable[[], int],
        heard: Callable[[NodeId, Address], bool],
        limits: Limits,
        *,
        group: tuple[str, int] = (GROUP, PORT),
    ) -> None:
        self._key, self._port, self._heard, self._limits, self._group = key, port, heard, limits, group
        self._next_answer = 0.0

    async def run(self) -> None:
        """Speak and hear until cancelled. A machine that knows no multicast is no fault."""
        try:
            sock = await self._open()
        except OSError:
            return
        with sock:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._speak, sock)
                await self._hear(sock)

    async def _open(self) -> trio.socket.SocketType:
        sock = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Several nodes of one machine, and other programs that hear the group, share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            await sock.bind(("", self._group[1]))
            member = struct.pack("4sI", socket.inet_aton(self._group[0]), socket.INADDR_ANY)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError:
            sock.close()
            raise
        return sock

    async def _speak(self, sock: trio.socket.SocketType) -> None:
        # Three times at first, for datagrams get lost; then rarely, for networks that join and part.
        for pause in (1.0, 5.0):
            await self._say(sock)
            await trio.sleep(pause)
        while True:
            await self._say(sock)
            await trio.sleep(self._limits.beacon_period / SECOND)

    async def _say(self, sock: trio.socket.SocketType) -> None:
        port = self._port()
        if not port:
            return
        try:
            await sock.sendto(make_beacon(self._key, port), self._group)
        except OSError as error:
            if error.errno not in _NO_NETWORK:
                raise

    async def _hear(self, sock: trio.socket.SocketType) -> None:
        budget, refilled = float(self._limits.beacons_per_s), trio.current_time()
        while True:
            data, (host, *_) = await sock.recvfrom(DATAGRAM_MAX + 1)
            now = trio.current_time()
            budget = min(budget + (now - refilled) * self._limits.beacons_per_s, self._limits.beacons_per_s)
            refilled = now
            if budget < 1:  # a flood on the local network: a signature check each would be too dear
                continue
            budget -= 1
            if self._take(data, str(host)) and now >= self._next_answer:
                self._next_answer = now + 1
                await self._say(sock)

    def _take(self, data: bytes, host: str) -> bool:
        try:
            node, port = read_beacon(data)
        except Malformed:
            return False
        return node != self._key.node_id and is_near(host) and self._heard(node, Address(host, port))


def is_near(host: str) -> bool:
    """Tell whether a host is on a private network or this machine; beacons from elsewhere are forged."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_private or number.is_link_local or number.is_loopback
