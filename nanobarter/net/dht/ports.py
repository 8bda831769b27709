"""What the table asks of the world beneath: datagrams, sent and received."""

from typing import NamedTuple, Protocol


class Source(NamedTuple):
    """An address of datagrams: 4 or 16 bytes in network order, and a port."""

    host: bytes
    port: int


class Datagrams(Protocol):
    """Sends and receives single datagrams. Any may be lost, and any may come from anyone."""

    def send(self, data: bytes, to: Source) -> None:
        """Send if that can be done now; else the datagram is lost."""
        ...

    async def receive(self) -> tuple[bytes, Source]:
        """Return the next datagram and where it says it came from."""
        ...
