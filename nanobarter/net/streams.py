"""The streams of one connection, those that we opened and those of the peer."""

from collections.abc import Callable

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.limits import Limits
from nanobarter.net.calls import Numbers, Post
from nanobarter.net.frames import Kind, Message
from nanobarter.net.messages import Open
from nanobarter.net.methods import Failed, Failure, Methods
from nanobarter.net.serving import failed_body
from nanobarter.net.stream import Stream, serve_stream


class Streams:
    """Which stream has which number."""

    def __init__(
        self,
        peer: NodeId,
        numbers: Numbers,
        methods: Methods,
        limits: Limits,
        post: Post,
        *,
        forgotten: Callable[[], None],
    ) -> None:
        self._forgotten = forgotten
        self._peer, self._numbers, self._methods, self._limits, self._post = peer, numbers, methods, limits, post
        self._streams: dict[int, Stream] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def has_own(self) -> bool:
        """Whether a stream that we opened is not over."""
        return any(self._numbers.owns(number) for number in self._streams)

    def open(self, number: int, method: str, body: bytes) -> Stream:
        """Open a stream; a refusal shows when it is used. Raises Unreachable when too many are open."""
        if len(self._streams) >= self._limits.streams_at_once_max:
            raise Unreachable(f"{len(self._streams)} streams with {short_node(self._peer)} are open already")
        stream = self._make(number, method, body)
        self._post(Kind.OPEN, number, encode(Open(method, body)), bulk=True)
        return stream

    def take_open(self, number: int, body: bytes, nursery: trio.Nursery) -> None:
        """Serve a stream of the peer in the nursery, or refuse it. Raises Malformed."""
        opening = decode(body, Open, size_max=len(body))
        handler = self._methods.stream_handler(opening.method)
        if handler is None:
            refusal = Failed(Failure.UNKNOWN_METHOD, f"{opening.method!r} is not served here")
            self._post(Kind.FAILED, number, failed_body(refusal))
        elif len(self._streams) >= 2 * self._limits.streams_at_once_max:  # half of them are the peer's
            self._post(Kind.FAILED, number, failed_body(Failed(Failure.BUSY, "too many streams at once")))
        else:
            nursery.start_soon(serve_stream, self._make(number, opening.method, opening.body), handler)

    def take(self, message: Message) -> None:
        """Give a stream its frame. Raises Malformed when it breaks a rule."""
        stream = self._streams[message.number]
        stream.take(message.kind, message.body)
        if stream.is_over:
            self._forget(message.number)

    def end(self) -> None:
        """Break all: the connection is gone."""
        for stream in self._streams.values():
            stream.break_off()

    def _forget(self, number: int) -> None:
        self._streams.pop(number, None)
        self._forgotten()

    def _make(self, number: int, method: str, body: bytes) -> Stream:
        def post(kind: Kind, data: bytes) -> None:
            self._post(kind, number, data, bulk=kind is not Kind.CREDIT)
            if kind is Kind.RESET or (kind is Kind.END and stream.is_over):
                self._forget(number)

        stream = Stream(self._peer, method, body, window=self._limits.stream_window, post=post)
        self._streams[number] = stream
        return stream
