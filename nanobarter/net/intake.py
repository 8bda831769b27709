"""Brings each message of the peer to what it is about: a request, a call, a stream, or the connection itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.limits import Limits
from nanobarter.net.calls import Calls, Numbers, Post
from nanobarter.net.frames import PART_BYTES, Kind, Message
from nanobarter.net.messages import Bye
from nanobarter.net.outbox import Outbox
from nanobarter.net.pulse import Pulse
from nanobarter.net.retiring import Retirement
from nanobarter.net.serving import Serving
from nanobarter.net.stream import read_failed
from nanobarter.net.streams import Streams

_RECORD_MAX: Final = 1024  # of a BYE
_STREAM_KINDS: Final = frozenset({Kind.DATA, Kind.END, Kind.CREDIT, Kind.RESET, Kind.FAILED})
_TURN: Final = 16
"""Messages until the tasks that they woke have a turn. While their words are written and read, the rest is taken: with
all at once, two nodes that call each other often would work in turns, each waiting for the other."""


@dataclass(slots=True)
class Intake:
    """The messages of one connection, on their way in. All of it raises Malformed when the peer breaks a rule."""

    numbers: Numbers
    calls: Calls
    serving: Serving
    streams: Streams
    outbox: Outbox
    pulse: Pulse
    retirement: Retirement
    limits: Limits
    post: Post
    give_up: Callable[[int], None]
    over: Callable[[], None]

    async def take_all(self, messages: list[Message], nursery: trio.Nursery) -> None:
        """Take messages that came together; what they ask for runs in the nursery."""
        last = len(messages) - 1
        for place, message in enumerate(messages):
            self._take(message, nursery)
            if place % _TURN == _TURN - 1 and place != last:
                await trio.lowlevel.checkpoint()

    def _take(self, message: Message, nursery: trio.Nursery) -> None:
        kind, number, body = message
        if kind is Kind.REQUEST:
            self.pulse.worked()
            self._check_new(number)
            self.serving.take_request(number, body, nursery)
            self._check_outbox()
        elif kind is Kind.ANSWER:
            self.pulse.worked()
            self.calls.take_answer(number, body)
        elif kind in _STREAM_KINDS and number in self.streams:
            self.pulse.worked()
            self.streams.take(message)
        else:
            self._take_other(message, nursery)

    def _take_other(self, message: Message, nursery: trio.Nursery) -> None:
        kind, number, body = message
        match kind:
            case Kind.FAILED:
                self.calls.take_answer(number, read_failed(body))
            case Kind.CANCEL if not self.numbers.owns(number):
                self.serving.cancel(number)
                self.give_up(number)
            case Kind.OPEN:
                self._check_new(number)
                self.streams.take_open(number, body, nursery)
                self._check_outbox()
            case _:
                self._take_control(kind, number, body)

    def _take_control(self, kind: Kind, number: int, body: bytes) -> None:
        match kind:
            case Kind.PING:
                # A peer that pings and does not read must not fill our memory; and what waits in the outbox is
                # a sign of life as good as a pong.
                if self.outbox.held < PART_BYTES:
                    self.post(Kind.PONG, number)
            case Kind.PONG:
                self.pulse.ponged(trio.current_time())
            case Kind.DONE:
                self.retirement.heard_done()
            case Kind.BYE:
                decode(body, Bye, size_max=_RECORD_MAX)
                self.over()
            case Kind.HELLO | Kind.PART:
                raise Malformed(f"{kind.name} after the handshake")
            case _:  # the rest of a stream that was abandoned here and crossed our RESET
                pass

    def _check_new(self, number: int) -> None:
        if self.numbers.owns(number) or number == 0 or number in self.serving or number in self.streams:
            raise Malformed(f"the number {number} is not free")

    def _check_outbox(self) -> None:
        """Refusals are answers too: a peer that floods and never reads is cut off."""
        if self.outbox.held > 2 * self.limits.owed_bytes_max:
            raise Malformed("it asks much and reads nothing")
