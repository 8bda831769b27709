"""The methods that a node serves, and what a caller learns when one fails.

Both the real network and the in-memory one answer through this table, so a service meets the same rules in
tests and in life. A handler that raises Malformed or PeerFault blames the caller, one that raises Unreachable
could not ask a third party; anything else is a fault of this node and escapes to whoever runs the network.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TYPE_CHECKING

from nanobarter.core.errors import InvariantBroken, Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.ports import Handler

if TYPE_CHECKING:
    from nanobarter.net.stream import Stream

StreamHandler = Callable[["Stream"], Awaitable[None]]
"""Serves one stream that a peer opened. The stream is finished when the handler returns."""

METHOD_NAME_MAX = 64
_DETAIL_MAX = 200


@unique
class Failure(IntEnum):
    """Why a request got no answer. The numbers travel on the wire and never change their meaning."""

    UNKNOWN_METHOD = 1
    BODY_TOO_LONG = 2
    BLAMED = 3  # the handler found the body malformed or against a rule
    BUSY = 4  # more requests at once than the peer allows
    UNABLE = 5  # the handler could not do its part now
    ANSWER_TOO_LONG = 6


@dataclass(frozen=True)
class Failed:
    """A request that got no answer, with a sentence for people."""

    failure: Failure
    detail: str


class Methods:
    """Which handler serves which method, and which one serves the streams of which name."""

    def __init__(self, answer_max: int) -> None:
        self._handlers: dict[str, tuple[Handler, int]] = {}
        self._streams: dict[str, StreamHandler] = {}
        self._answer_max = answer_max

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method. A second handler for one name is a bug of ours."""
        if method in self._handlers or not 0 < len(method.encode()) <= METHOD_NAME_MAX:
            raise InvariantBroken(f"the method name {method!r} is taken or too long")
        self._handlers[method] = (handler, body_max)

    def add_stream(self, method: str, handler: StreamHandler) -> None:
        """Serve streams of this name."""
        if method in self._streams or not 0 < len(method.encode()) <= METHOD_NAME_MAX:
            raise InvariantBroken(f"the stream name {method!r} is taken or too long")
        self._streams[method] = handler

    def stream_handler(self, method: str) -> StreamHandler | None:
        """Return who serves streams of this name."""
        return self._streams.get(method)

    async def answer(self, peer: NodeId, method: str, body: bytes) -> bytes | Failed:
        """Return what the handler answers, or why nobody did."""
        if method not in self._handlers:
            return Failed(Failure.UNKNOWN_METHOD, f"{method[:METHOD_NAME_MAX]!r} is not served here")
        handler, body_max = self._handlers[method]
        if len(body) > body_max:
            return Failed(Failure.BODY_TOO_LONG, f"{method} takes {body_max} bytes, not {len(body)}")
        try:
            answer = await handler(peer, body)
        except (Malformed, PeerFault) as error:
            return Failed(Failure.BLAMED, str(error)[:_DETAIL_MAX])
        except Unreachable as error:
            return Failed(Failure.UNABLE, str(error)[:_DETAIL_MAX])
        if len(answer) > self._answer_max:
            return Failed(Failure.ANSWER_TOO_LONG, f"the answer to {method} has {len(answer)} bytes")
        return answer


def unwrap(peer: NodeId, method: str, answer: bytes | Failed) -> bytes:
    """Return the answer, or raise what a caller should know: PeerFault, or Unreachable when trying later may help."""
    if isinstance(answer, bytes):
        return answer
    message = f"{short_node(peer)} did not answer {method}: {answer.detail}"
    if answer.failure in (Failure.BUSY, Failure.UNABLE):
        raise Unreachable(message)
    raise PeerFault(message)
