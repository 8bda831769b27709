"""A stream: bytes both ways beside the calls of a connection, each direction held back by the reader's credit.

The same class works over a connection and in memory; ``post`` carries its frames to the other end. A sender has
a window of bytes; the reader gives credit back as the application takes them, so an idle reader holds at most
one window in memory.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.net.frames import PART_BYTES, Kind
from nanobarter.net.messages import Credit, FailedBody
from nanobarter.net.methods import Failed, Failure, StreamHandler, unwrap

_CREDIT_BYTES: Final = 16
_FAILED_MAX: Final = 2048  # 300 letters of up to four bytes, and the number


class Stream:
    """One end of a stream. ``body`` is what it was opened with, ``peer`` the other end."""

    def __init__(
        self, peer: NodeId, method: str, body: bytes, *, window: int, post: Callable[[Kind, bytes], None]
    ) -> None:
        self.peer, self.method, self.body = peer, method, body
        self._window = window
        self._post = post
        self._credit = window
        self._taken = 0  # bytes given to the application and not yet given back as credit
        self._held = 0
        self._inbox = deque[bytes]()
        self._ended_here = self._ended_there = self._broken = False
        self._failed: Failed | None = None
        self._moved = trio.lowlevel.ParkingLot()

    @property
    def is_over(self) -> bool:
        """Whether neither side will say more."""
        return self._broken or (self._ended_here and self._ended_there)

    async def send(self, data: bytes) -> None:
        """Send bytes, waiting for credit. Raises Unreachable when the other end is gone, PeerFault if it refused."""
        view = memoryview(data)
        await trio.lowlevel.checkpoint()
        while view:
            while self._credit == 0 and not self._broken:
                await self._moved.park()
            self._check_alive()
            if self._ended_here:
                raise Unreachable(f"the stream {self.method} was ended on this side")
            count = min(len(view), self._credit, PART_BYTES)
            self._credit -= count
            self._post(Kind.DATA, bytes(view[:count]))
            view = view[count:]

    async def receive(self) -> bytes:
        """Return the next bytes, or none at the end. Raises as ``send`` does."""
        await trio.lowlevel.checkpoint()
        while not self._inbox and not self._ended_there and not self._broken:
            await self._moved.park()
        if not self._inbox:
            if not self._ended_there:
                self._check_alive()
            return b""
        data = self._inbox.popleft()
        self._held -= len(data)
        self._taken += len(data)
        if self._taken * 2 >= self._window and not self.is_over:
            self._post(Kind.CREDIT, encode(Credit(self._taken)))
            self._taken = 0
        return data

    def finish(self) -> None:
        """Say that this side sends no more; what was sent still arrives. Harmless when repeated."""
        if not self._ended_here and not self._broken:
            self._ended_here = True
            self._post(Kind.END, b"")

    def abandon(self) -> None:
        """Give the stream up in both directions; the other end gets Unreachable."""
        if not self.is_over:
            self._post(Kind.RESET, b"")
            self.break_off()

    def break_off(self, failed: Failed | None = None) -> None:
        """Mark the other end as gone, or as having refused; called by the connection."""
        if not self.is_over:
            self._broken, self._failed = True, failed
        self._moved.unpark_all()

    def take(self, kind: Kind, body: bytes) -> None:
        """Take a frame from the other end; called by the connection. Raises Malformed when it breaks a rule."""
        match kind:
            case Kind.DATA:
                self._take_data(body)
            case Kind.END:
                self._ended_there = True
            case Kind.CREDIT:
                self._credit += decode(body, Credit, size_max=_CREDIT_BYTES).count
                if self._credit > self._window:
                    raise Malformed("more credit on a stream than was used")
            case Kind.FAILED:
                self.break_off(read_failed(body))
            case _:
                self.break_off()
        self._moved.unpark_all()

    def _take_data(self, body: bytes) -> None:
        self._held += len(body)
        if self._ended_there or not body or self._held + self._taken > self._window:
            raise Malformed("data on a stream without credit, empty, or after its end")
        if not self._broken:
            self._inbox.append(body)

    def _check_alive(self) -> None:
        if self._failed is not None:
            unwrap(self.peer, self.method, self._failed)
        if self._broken:
            raise Unreachable(f"the stream {self.method} with {short_node(self.peer)} broke")


async def serve_stream(stream: Stream, handler: StreamHandler) -> None:
    """Let a handler serve a stream: it is finished when the handler returns, abandoned when the peer is to blame."""
    try:
        await handler(stream)
        stream.finish()
    except (Malformed, PeerFault, Unreachable):
        stream.abandon()


def read_failed(body: bytes) -> Failed:
    """Return what a FAILED frame says. A reason of a newer version counts as blame. Raises Malformed."""
    said = decode(body, FailedBody, size_max=_FAILED_MAX)
    known = said.failure in set(Failure)
    return Failed(Failure(said.failure) if known else Failure.BLAMED, said.detail)
