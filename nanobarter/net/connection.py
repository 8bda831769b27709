"""One connection to a known peer: calls, streams, pings and its end. The handshake came before (handshake.py).

A reader task and a writer task live as long as the connection; each request served has a task of its own. The
dialling side numbers its requests and streams oddly, the other evenly, so no number has two meanings.

Two connections to one peer arise when both dial at once. Both sides prefer the same one (network.py) and *retire*
the other: no new calls start on it, and when its last call was answered the side says DONE. After both said it,
nothing can be under way and it closes; so no call is lost.
"""

from dataclasses import dataclass, field
from typing import Final

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import PublicKey, node_id_of, short_node
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Priority
from nanobarter.core.units import SECOND, Span
from nanobarter.net.frames import PART_BYTES, FrameDecoder, Kind, Message, encode_message
from nanobarter.net.messages import TIMEOUT_MS_MAX, Bye, FailedBody, Hello, Open, Parting, Request
from nanobarter.net.methods import Failed, Failure, Methods, unwrap
from nanobarter.net.outbox import Outbox
from nanobarter.net.stream import Stream, read_failed, serve_stream

_READ_BYTES: Final = 256 * 1024
_RECORD_MAX: Final = 1024  # FAILED, BYE and CREDIT bodies
_STREAM_KINDS: Final = frozenset({Kind.DATA, Kind.END, Kind.CREDIT, Kind.RESET, Kind.FAILED})


class Retired(Exception):
    """This connection takes no new calls; another one does."""


Channel = trio.abc.Stream
"""The encrypted bytes below: a ``trio.SSLStream`` in life."""


@dataclass
class _Waiting:
    done: trio.Event = field(default_factory=trio.Event)
    answer: bytes | Failed | None = None


class Connection:
    """An authenticated peer at the other end of a channel. ``serial`` is our dial's number, 0 if it dialled us."""

    def __init__(
        self,
        channel: Channel,
        decoder: FrameDecoder,
        key: PublicKey,
        hello: Hello,
        *,
        serial: int,
        methods: Methods,
        limits: Limits,
    ) -> None:
        self.peer, self.key, self.hello = node_id_of(key), key, hello
        self.dialled, self.serial = serial > 0, serial or hello.serial
        self.closed = trio.Event()
        self.fault: PeerFault | None = None
        self.last_heard = self.since = trio.current_time()
        self.outbox = Outbox()
        self._channel, self._decoder = channel, decoder
        self._methods, self._limits = methods, limits
        self._number = 1 if self.dialled else 2
        self._calls: dict[int, _Waiting] = {}
        self._serving: dict[int, tuple[trio.CancelScope, int]] = {}
        self._streams: dict[int, Stream] = {}
        self._slots = trio.Semaphore(min(hello.requests_max, limits.requests_at_once_max))
        self._bulk_slots = trio.Semaphore(min(hello.bulk_max, limits.bulk_at_once_max))
        self._bulk_turns = trio.Semaphore(limits.bulk_at_once_max)
        self._owed = 0
        self._leaving = self._retiring = self._done_said = self._done_heard = False
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._pinged: float | None = None
        self._sign: trio.Event | None = None
        self._writing_since: float | None = None

    # -- its life

    async def run(self, first: list[Message]) -> None:
        """Serve until the connection ends; ``first`` came in the same bytes as the hello.

        Faults of our own handlers escape. A rule that the peer broke is in ``fault`` afterwards.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    self._nursery.start_soon(self._write)
                    await self._read(first)
                    self._nursery.cancel_scope.cancel()
        finally:
            self._end()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._channel)

    def close(self) -> None:
        """End the connection now; calls under way fail with Unreachable."""
        self._scope.cancel()
        self._end()

    @property
    def is_usable(self) -> bool:
        """Whether new calls may start here: not ended and not retired by either side."""
        return not (self.closed.is_set() or self._retiring or self._done_heard)

    def retire(self) -> None:
        """Start no more calls here, and say DONE once those under way were answered."""
        self._retiring = True
        self._maybe_done()

    def look_after(self, now: float) -> None:
        """Ping a silent peer; close when a ping or a write got nowhere for too long. Called now and then."""
        patience = self._limits.silence_max / SECOND
        unanswered = self._pinged is not None and self.last_heard < self._pinged < now - patience
        if unanswered or (self._writing_since is not None and self._writing_since < now - patience):
            self.close()
        elif now - self.last_heard > self._limits.idle_before_ping / SECOND:
            self.ping(now)

    async def prove(self) -> None:
        """Close the connection unless the peer gives a sign of life soon."""
        self._sign = trio.Event()
        self._post(Kind.PING, 0)
        with trio.move_on_after(self._limits.proof_timeout / SECOND) as scope:
            await self._sign.wait()
        if scope.cancelled_caught:
            self.close()

    def ping(self, now: float) -> None:
        """Ask for a sign of life, unless an earlier ping still waits."""
        if self._pinged is None or self.last_heard >= self._pinged:
            self._pinged = now
            self._post(Kind.PING, 0)

    def _end(self) -> None:
        self.closed.set()
        if self._sign is not None:
            self._sign.set()
        for waiting in self._calls.values():
            waiting.done.set()
        for stream in self._streams.values():
            stream.break_off()

    def _maybe_done(self) -> None:
        own_streams = any(self._is_ours(number) for number in self._streams)
        if self._retiring and not self._done_said and not self._calls and not own_streams:
            self._done_said = True
            self._post(Kind.DONE, 0)
        if self._done_said and self._done_heard:
            self._scope.cancel()

    # -- what we ask

    async def call(self, method: str, body: bytes, *, timeout: Span, priority: Priority) -> bytes:
        """Return the peer's answer. The caller bounds the time; being cancelled tells the peer to stop.

        Raises Retired when another connection must be used, else as ``core.ports.Caller.call``.
        """
        bulk = priority == "bulk"
        async with self._bulk_slots if bulk else self._slots:
            if not self.is_usable:
                raise Retired
            number, waiting = self._next_number(), _Waiting()
            self._calls[number] = waiting
            request = Request(method, min(timeout, TIMEOUT_MS_MAX), bulk, body)
            self._post(Kind.REQUEST, number, encode(request), bulk=bulk)
            try:
                await waiting.done.wait()
            except trio.Cancelled:
                self._post(Kind.CANCEL, number)
                raise
            finally:
                del self._calls[number]
                if self._retiring:
                    self._maybe_done()
        if waiting.answer is None:
            raise Unreachable(f"the connection to {short_node(self.peer)} broke during {method}")
        return unwrap(self.peer, method, waiting.answer)

    def open_stream(self, method: str, body: bytes) -> Stream:
        """Open a stream; a refusal shows when it is used. Raises Retired, or Unreachable when too many are open."""
        if not self.is_usable:
            raise Retired
        if len(self._streams) >= self._limits.streams_at_once_max:
            raise Unreachable(f"{len(self._streams)} streams with {short_node(self.peer)} are open already")
        number = self._next_number()
        stream = self._streams[number] = self._make_stream(number, method, body)
        self._post(Kind.OPEN, number, encode(Open(method, body)), bulk=True)
        return stream

    def _next_number(self) -> int:
        number = self._number
        while number in self._calls or number in self._streams or number == 0:
            number = (number + 2) % 2**32
        self._number = (number + 2) % 2**32
        return number

    def _is_ours(self, number: int) -> bool:
        return number % 2 == int(self.dialled)

    def _post(self, kind: Kind, number: int, body: bytes = b"", *, bulk: bool = False) -> None:
        if not self.closed.is_set():
            self.outbox.add(encode_message(kind, number, body), bulk=bulk)

    # -- the two tasks

    async def _write(self) -> None:
        try:
            while True:
                data = await self.outbox.wait_next()
                self._writing_since = trio.current_time()
                await self._channel.send_all(data)
                self._writing_since = None
                if self._leaving and self.outbox.held == 0:
                    self._scope.cancel()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._scope.cancel()

    async def _read(self, messages: list[Message]) -> None:
        try:
            while True:
                for message in messages:
                    self._take(message)
                data = await self._channel.receive_some(_READ_BYTES)
                if not data:
                    return
                self.last_heard = trio.current_time()
                if self._sign is not None:
                    self._sign.set()
                messages = self._decoder.feed(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        except Malformed as error:
            self.fault = PeerFault(f"{short_node(self.peer)} broke the protocol: {error}")
            # A courtesy to whoever debugs the other side: the writer ends us once the reason was sent.
            self._leaving = True
            self._post(Kind.BYE, 0, encode(Bye(Parting.MALFORMED, str(error)[:200])))
            with trio.move_on_after(1):
                await trio.sleep_forever()

    def _take(self, message: Message) -> None:
        kind, number, body = message
        if kind in _STREAM_KINDS and number in self._streams:
            self._take_stream(self._streams[number], message)
            return
        match kind:
            case Kind.REQUEST:
                self._take_request(number, body)
            case Kind.ANSWER:
                self._take_answer(number, body)
            case Kind.FAILED:
                self._take_answer(number, read_failed(body))
            case Kind.CANCEL:
                if number in self._serving:
                    self._serving[number][0].cancel()
            case Kind.OPEN:
                self._take_open(number, body)
            case _:
                self._take_control(kind, number, body)

    def _take_control(self, kind: Kind, number: int, body: bytes) -> None:
        match kind:
            case Kind.PING:
                # A peer that pings and does not read must not fill our memory; and what waits in the outbox is
                # a sign of life as good as a pong.
                if self.outbox.held < PART_BYTES:
                    self._post(Kind.PONG, number)
            case Kind.DONE:
                self._done_heard = self._retiring = True
                self._maybe_done()
            case Kind.BYE:
                decode(body, Bye, size_max=_RECORD_MAX)
                self._scope.cancel()
            case Kind.HELLO | Kind.PART:
                raise Malformed(f"{kind.name} after the handshake")
            case _:  # a pong, or the rest of a stream that was abandoned here and crossed our RESET
                pass

    # -- what the peer asks

    def _take_request(self, number: int, body: bytes) -> None:
        self._check_new(number)
        request = decode(body, Request, size_max=len(body))
        busy = (
            len(self._serving) >= 2 * self._limits.requests_at_once_max  # twice: its cancels may still be on the way
            or self._owed + self.outbox.held > self._limits.owed_bytes_max
        )
        if busy or self._nursery is None:
            self._post_failed(number, Failed(Failure.BUSY, "too many requests at once"))
            self._check_outbox()
            return
        scope = trio.CancelScope(deadline=trio.current_time() + request.timeout / 1000)
        self._serving[number] = (scope, len(request.body))
        self._owed += len(request.body)
        self._nursery.start_soon(self._serve, number, request, scope)

    async def _serve(self, number: int, request: Request, scope: trio.CancelScope) -> None:
        with scope:
            if request.bulk:
                async with self._bulk_turns:
                    answer = await self._methods.answer(self.peer, request.method, request.body)
            else:
                answer = await self._methods.answer(self.peer, request.method, request.body)
            if isinstance(answer, Failed):
                self._post_failed(number, answer)
            else:
                self._post(Kind.ANSWER, number, answer, bulk=request.bulk)
        del self._serving[number]
        self._owed -= len(request.body)

    def _take_answer(self, number: int, answer: bytes | Failed) -> None:
        if not self._is_ours(number):
            raise Malformed("an answer to a request of its own")
        if (waiting := self._calls.get(number)) is not None:  # else we gave up on it meanwhile
            waiting.answer = answer
            waiting.done.set()

    def _take_open(self, number: int, body: bytes) -> None:
        self._check_new(number)
        opening = decode(body, Open, size_max=len(body))
        handler = self._methods.stream_handler(opening.method)
        if handler is None or self._nursery is None:
            self._post_failed(number, Failed(Failure.UNKNOWN_METHOD, f"{opening.method!r} is not served here"))
        elif len(self._streams) >= 2 * self._limits.streams_at_once_max:
            self._post_failed(number, Failed(Failure.BUSY, "too many streams at once"))
        else:
            stream = self._streams[number] = self._make_stream(number, opening.method, opening.body)
            self._nursery.start_soon(serve_stream, stream, handler)
        self._check_outbox()

    def _make_stream(self, number: int, method: str, body: bytes) -> Stream:
        def post(kind: Kind, data: bytes) -> None:
            self._post(kind, number, data, bulk=kind is not Kind.CREDIT)
            if kind is Kind.RESET or (kind is Kind.END and stream.is_over):
                self._forget_stream(number)

        stream = Stream(self.peer, method, body, window=self._limits.stream_window, post=post)
        return stream

    def _take_stream(self, stream: Stream, message: Message) -> None:
        stream.take(message.kind, message.body)
        if stream.is_over:
            self._forget_stream(message.number)

    def _forget_stream(self, number: int) -> None:
        self._streams.pop(number, None)
        self._maybe_done()

    def _check_new(self, number: int) -> None:
        if self._is_ours(number) or number == 0 or number in self._serving or number in self._streams:
            raise Malformed(f"the number {number} is not free")

    def _post_failed(self, number: int, failed: Failed) -> None:
        self._post(Kind.FAILED, number, encode(FailedBody(failed.failure, failed.detail[:300])))

    def _check_outbox(self) -> None:
        """Refusals are answers too: a peer that floods and never reads is cut off."""
        if self.outbox.held > 2 * self._limits.owed_bytes_max:
            raise Malformed("it asks much and reads nothing")
