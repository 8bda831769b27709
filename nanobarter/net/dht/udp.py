"""Datagrams over a UDP socket."""

import ipaddress
import socket

import trio

from nanobarter.core.errors import UsageError
from nanobarter.net.address import Address
from nanobarter.net.dht.ports import Source

_IPV4_BYTES, _IPV6_BYTES = 4, 16
_MAPPED = bytes(10) + b"\xff\xff"  # how a socket of both families names an IPv4 host (RFC 4291, 2.5.5.2)
_READ_MAX = 2048  # longer than any datagram of ours, so that one that is too long is seen to be


class UdpDatagrams:
    """One bound socket. Close it when done."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket, self._is_v6 = bound, bound.family == socket.AF_INET6
        host, port = bound.getsockname()[:2]
        self.address = Address(host, port)

    @classmethod
    def open(cls, listen: Address) -> "UdpDatagrams":
        """Bind an address that is a number. Raises UsageError when it cannot be bound."""
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(listen.host).version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
            bound = socket.socket(family, socket.SOCK_DGRAM)
        except (ValueError, OSError) as error:
            raise UsageError(f"cannot take datagrams at {listen.show()}: {error}") from None
        try:
            bound.setblocking(False)
            bound.bind((listen.host, listen.port))
        except OSError as error:
            bound.close()
            raise UsageError(f"cannot take datagrams at {listen.show()}: {error}") from None
        return cls(bound)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def send(self, data: bytes, to: Source) -> None:
        """Send now or never: a full buffer or a host that cannot be reached loses the datagram, as networks do."""
        mapped = _MAPPED + to.host if self._is_v6 and len(to.host) == _IPV4_BYTES else to.host
        try:
            self._socket.sendto(data, (str(ipaddress.ip_address(mapped)), to.port))
        except (OSError, ValueError):
            return

    async def receive(self) -> tuple[bytes, Source]:
        """Return the next datagram."""
        while True:
            try:
                data, (host, port, *_) = self._socket.recvfrom(_READ_MAX)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
                continue
            except OSError:  # an earlier datagram of ours was refused; that is news of UDP, not of this socket
                await trio.lowlevel.checkpoint()
                continue
            await trio.lowlevel.checkpoint()
            packed = ipaddress.ip_address(host.partition("%")[0]).packed
            return data, Source(packed.removeprefix(_MAPPED) if len(packed) == _IPV6_BYTES else packed, port)
