"""What the house asks of the outside world: time, randomness, and other nodes.

Services get these passed in. The real ones are in ``core.system`` and ``net``; fakes pass the same tests.
"""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from nanobarter.core.ids import NodeId
from nanobarter.core.units import Instant, Span

Handler = Callable[[NodeId, bytes], Awaitable[bytes]]
"""Answers one request of an authenticated peer. May raise Malformed or PeerFault (blames the peer)."""

Body = bytes | tuple[bytes, bytes | memoryview]
"""The body of a request: bytes, or a beginning and the long rest, which is then not copied to stand behind it."""

Priority = Literal["control", "bulk"]


def whole(body: Body) -> bytes:
    """Return a body as it arrives."""
    return body if isinstance(body, bytes) else b"".join(body)


def size_of(body: Body) -> int:
    """Return the length of a body as it arrives."""
    return len(body) if isinstance(body, bytes) else sum(map(len, body))


class Clock(Protocol):
    """Wall time. It may jump; deadlines inside one process use trio's clock instead."""

    def now(self) -> Instant:
        """Return milliseconds since 1970 UTC."""
        ...


class Entropy(Protocol):
    """Secret randomness."""

    def token(self, count: int, /) -> bytes:
        """Return so many unpredictable bytes."""
        ...


class Caller(Protocol):
    """Asks other nodes, and oneself, by node id."""

    @property
    def node_id(self) -> NodeId:
        """The id of this node."""
        ...

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        """Return the peer's answer to one request; a call to one's own id reaches one's own handlers.

        Raises Unreachable when no answer came in time, PeerFault when the peer broke the protocol or
        reported that it does not know the method or finds the body malformed.
        """
        ...


class Registrar(Protocol):
    """Takes the handlers of the services; each method name has one."""

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method, for instance ``mint.request``. Bodies longer than ``body_max`` never reach it."""
        ...
