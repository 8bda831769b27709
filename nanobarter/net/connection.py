"""One connection to a known peer, and its end. The handshake came before (handshake.py).

A reader task and a writer task (writer.py) live as long as the connection. What is read goes where it belongs
(intake.py); requests are served by tasks of their own (serving.py). What we ask is in calls.py, streams are in
streams.py, signs of life in pulse.py. The dialling side numbers its requests and streams oddly, the other evenly, so no
number has two meanings.

Two connections to one peer arise when both dial at once. Both sides prefer the same one (links.py) and retire the
other (retiring.py).
"""

from dataclasses import dataclass
from typing import Final

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, PeerFault
from nanobarter.core.ids import PublicKey, node_id_of, short_node
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Body, Priority
from nanobarter.core.units import SECOND, Span
from nanobarter.net.calls import Calls, Numbers, Retired
from nanobarter.net.frames import GIVEN_UP, FrameDecoder, Kind, Message, frames_of
from nanobarter.net.intake import Intake
from nanobarter.net.messages import Bye, Hello, Parting
from nanobarter.net.methods import Methods
from nanobarter.net.outbox import Dropped, Outbox
from nanobarter.net.pulse import Pulse, Rhythm, Sign
from nanobarter.net.punch import Ends
from nanobarter.net.retiring import Retirement
from nanobarter.net.serving import Serving
from nanobarter.net.stream import Stream
from nanobarter.net.streams import Streams
from nanobarter.net.timers import Timers
from nanobarter.net.tls import TlsStream
from nanobarter.net.writer import Writer

_READ_BYTES: Final = 256 * 1024

Channel = trio.abc.Stream
"""The encrypted bytes below: a ``tls.TlsStream`` in life."""


@dataclass(frozen=True)
class Shared:
    """What all connections of a node have in common: the rhythm of their keep-alive, and who keeps their deadlines."""

    rhythm: Rhythm
    timers: Timers


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
        shared: Shared | None = None,
    ) -> None:
        self.peer, self.key, self.hello = node_id_of(key), key, hello
        self.dialled, self.serial = serial > 0, serial or hello.serial
        self.closed = trio.Event()
        self.fault: PeerFault | None = None
        self.since = trio.current_time()
        self.ends: Ends | None = None
        """Both ends of its socket; none over a relay."""
        self.path = "out" if self.dialled else "in"  # how it came up, for people
        self.bytes_in = 0
        self.outbox = Outbox()
        self._own_timers = Timers() if shared is None else None
        shared = shared or Shared(Rhythm(limits), self._own_timers or Timers())
        self._rhythm = shared.rhythm
        self.pulse = Pulse(limits, self._rhythm, self.since)
        self._channel, self._decoder, self._limits = channel, decoder, limits
        self._receive = channel.receive_view if isinstance(channel, TlsStream) else channel.receive_some
        self._is_over = False
        self._scope = trio.CancelScope()
        self._retirement = Retirement(
            has_own=lambda: bool(self.calls) or self.streams.has_own,
            say_done=lambda: self._post(Kind.DONE, 0),
            over=self._scope.cancel,
        )
        self._numbers = Numbers(dialled=self.dialled)
        self.calls = Calls(
            self.peer,
            self._numbers,
            self._post,
            give_up=self._give_up,
            slots=min(hello.requests_max, limits.requests_at_once_max),
            bulk_slots=min(hello.bulk_max, limits.bulk_at_once_max),
            timers=shared.timers,
        )
        self.serving = Serving(
            self.peer, methods, limits, self._post, unsent=lambda: self.outbox.held, timers=shared.timers
        )
        self.streams = Streams(self.peer, self._numbers, methods, limits, self._post, forgotten=self._retirement.look)
        self._intake = Intake(
            numbers=self._numbers,
            calls=self.calls,
            serving=self.serving,
            streams=self.streams,
            outbox=self.outbox,
            pulse=self.pulse,
            retirement=self._retirement,
            post=self._post,
            give_up=self._give_up,
            over=self._scope.cancel,
            limits=limits,
        )
        self._writer = Writer(channel, self.outbox, self.pulse, broken=self._scope.cancel)
        self._nursery: trio.Nursery | None = None
        self._sign: trio.Event | None = None

    # -- its life

    async def run(self, first: list[Message]) -> None:
        """Serve until the connection ends; ``first`` came in the same bytes as the hello.

        Faults of our own handlers escape. A rule that the peer broke is in ``fault`` afterwards.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    self._nursery.start_soon(self._writer.run)
                    if self._own_timers is not None:
                        self._nursery.start_soon(self._own_timers.run)
                    await self._read(first, self._nursery)
                    self._nursery.cancel_scope.cancel()
        finally:
            self._end()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._channel)

    def close(self) -> None:
        """End the connection now; calls under way fail with Unreachable."""
        self._scope.cancel()
        self._end()

    def part(self, parting: Parting, detail: str) -> None:
        """Say why, then end the connection."""
        self._writer.leaves = True
        self._post(Kind.BYE, 0, encode(Bye(parting, detail[:200])))

    @property
    def bytes_out(self) -> int:
        """Bytes of messages written so far."""
        return self._writer.bytes_out

    @property
    def last_work(self) -> float:
        """When it was last used for anything but signs of life."""
        return self.pulse.last_work

    @property
    def is_usable(self) -> bool:
        """Whether new calls may start here: not ended and not retired by either side."""
        return not (self._is_over or self._retirement.has_begun)

    @property
    def is_busy(self) -> bool:
        """Whether something is under way that the peer's death would hold up."""
        return bool(self.calls) or bool(self.streams) or self.pulse.writing_since is not None or self.pulse.waits

    def retire(self) -> None:
        """Start no more calls here, and say DONE once those under way were answered."""
        self._retirement.begin()

    def look_after(self, now: float) -> None:
        """Ping a silent peer; close when a ping or a write got nowhere for too long."""
        match self.pulse.look(now, busy=self.is_busy):
            case Sign.CLOSE:
                self.close()
            case Sign.PING:
                self.ping(now)
            case Sign.NOTHING:
                pass

    async def prove(self) -> None:
        """Close the connection unless the peer gives a sign of life soon."""
        self._sign = trio.Event()
        self.ping(trio.current_time())
        with trio.move_on_after(self._limits.proof_timeout / SECOND) as scope:
            await self._sign.wait()
        if scope.cancelled_caught:
            self.close()

    def ping(self, now: float) -> None:
        """Ask for a sign of life, unless an earlier ping still waits."""
        if not self.pulse.waits:
            self.pulse.pinged(now)
            self._post(Kind.PING, 0)

    def _end(self) -> None:
        self._is_over = True
        self.closed.set()
        if self._sign is not None:
            self._sign.set()
        self.calls.end()
        self.streams.end()

    # -- what we ask

    async def call(self, method: str, body: Body, *, timeout: Span, priority: Priority) -> bytes:
        """Return the peer's answer; being cancelled tells the peer to stop.

        Raises Retired when another connection must be used, else as ``core.ports.Caller.call``.
        """
        try:
            return await self.calls.ask(
                method, body, timeout, bulk=priority == "bulk", usable=lambda: self.is_usable, streams=self.streams
            )
        finally:
            if self._retirement.has_begun:
                self._retirement.look()

    def open_stream(self, method: str, body: bytes) -> Stream:
        """Open a stream; a refusal shows when it is used. Raises Retired, or Unreachable when too many are open."""
        if not self.is_usable:
            raise Retired
        return self.streams.open(self._numbers.fresh(self.calls, self.streams), method, body)

    def _post(
        self, kind: Kind, number: int, body: bytes = b"", rest: bytes | memoryview = b"", *, bulk: bool = False
    ) -> None:
        if not self._is_over:
            droppable = kind is Kind.REQUEST or kind is Kind.ANSWER
            self.outbox.add(frames_of(kind, number, body, rest), bulk=bulk, number=number if droppable else 0)
            self._rhythm.stir()

    def _give_up(self, number: int) -> None:
        """Take back what was not sent of a request of ours, or of an answer that the peer no longer wants."""
        dropped = self.outbox.drop(number)
        if dropped is Dropped.REST:
            self._post(Kind.CANCEL, number, GIVEN_UP)
        elif dropped is Dropped.NOTHING and self._numbers.owns(number):
            self._post(Kind.CANCEL, number)

    async def _read(self, messages: list[Message], nursery: trio.Nursery) -> None:
        try:
            while True:
                await self._intake.take_all(messages, nursery)
                data = await self._receive(_READ_BYTES)
                if not data:
                    return
                self.bytes_in += len(data)
                self.pulse.heard(trio.current_time())
                if self._sign is not None:
                    self._sign.set()
                messages = self._decoder.feed(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        except Malformed as error:
            self.fault = PeerFault(f"{short_node(self.peer)} broke the protocol: {error}")
            # A courtesy to whoever debugs the other side: the writer ends us once the reason was sent.
            self.part(Parting.MALFORMED, str(error))
            with trio.move_on_after(1):
                await trio.sleep_forever()
