"""Frames: u32 length of the body, u8 kind, u32 number, body; all big-endian. No input or output happens here.

A message longer than a part goes as several PART frames and one last frame that carries its kind, all under its
number, so that control frames pass between the parts of a bulk message. A sender has at most one such message
under way in each of its two queues, so a receiver keeps at most two unfinished ones.

A CANCEL under the number of an unfinished message frees its parts. With a body it stands in the place of the last
frame, and nothing follows: so says a sender that took back the parts it had not written (a body, because a receiver
that knows no better joins it to the parts, and an empty end is a fault). Without one it has overtaken the rest,
which is then read past, up to its last frame, under the same bounds as if it were kept.

The law of the decoder: a list of messages or Malformed, the same whether bytes come whole or one by one.
"""

import struct
from enum import IntEnum, unique
from typing import Final, NamedTuple

from nanobarter.core.errors import Malformed

_HEADER: Final = struct.Struct(">IBI")
HEADER_BYTES: Final = _HEADER.size
PART_BYTES: Final = 64 * 1024  # half a second of a 1 Mbit/s upload is the longest that a control frame waits
_UNFINISHED_MAX: Final = 2


@unique
class Kind(IntEnum):
    """What a frame is. The numbers travel on the wire."""

    HELLO = 1
    PART = 2
    REQUEST = 3
    ANSWER = 4
    FAILED = 5
    CANCEL = 6
    OPEN = 7
    DATA = 8
    END = 9
    CREDIT = 10
    RESET = 11
    PING = 12
    PONG = 13
    DONE = 14
    BYE = 15


_KINDS: Final = (Kind.HELLO, *Kind)  # by their number; there is none with number 0


class Message(NamedTuple):
    """One whole message. ``number`` names the request or stream that it belongs to; 0 for the connection."""

    kind: Kind
    number: int
    body: bytes


GIVEN_UP: Final = b"\x00"
"""The body of a CANCEL that stands in the place of the last frame of a message."""

Frame = tuple[bytes | memoryview, ...]
"""The pieces of one frame, in order. They are joined when they are written, so a long body is copied once."""


def frames_of(kind: Kind, number: int, body: bytes = b"", rest: bytes | memoryview = b"") -> list[Frame]:
    """Return the frames of a message whose body is ``body`` and then ``rest``."""
    size = len(body) + len(rest)
    if size <= PART_BYTES:
        return [(_HEADER.pack(size, kind, number) + body, rest) if rest else (_HEADER.pack(size, kind, number) + body,)]
    frames, pieces = list[Frame](), _Pieces(body, rest)
    last = (size - 1) // PART_BYTES * PART_BYTES
    for _ in range(0, last, PART_BYTES):
        frames.append((_HEADER.pack(PART_BYTES, Kind.PART, number), *pieces.take(PART_BYTES)))
    frames.append((_HEADER.pack(size - last, kind, number), *pieces.take(size - last)))
    return frames


def encode_message(kind: Kind, number: int, body: bytes = b"") -> list[bytes]:
    """Return the frames of a message, each ready to send."""
    return [b"".join(frame) for frame in frames_of(kind, number, body)]


class _Pieces:
    """Two byte strings read as one, without joining them."""

    def __init__(self, *parts: bytes | memoryview) -> None:
        self._left = [memoryview(part) for part in parts if part]

    def take(self, count: int) -> list[memoryview]:
        taken = list[memoryview]()
        while count:
            first = self._left.pop(0)
            if len(first) > count:
                self._left.insert(0, first[count:])
            taken.append(first[:count])
            count -= len(taken[-1])
        return taken


class _Unfinished:
    """A message of which parts came; none are kept of one that was given up."""

    __slots__ = ("count", "parts")

    def __init__(self) -> None:
        self.count = 0
        self.parts: list[bytes | bytearray] | None = []


class FrameDecoder:
    """Turns the bytes of one direction of a connection into messages.

    Messages have at most ``message_max`` bytes, the very first one at most ``first_max``: a stranger's hello.
    """

    def __init__(self, message_max: int, *, first_max: int | None = None) -> None:
        self._message_max = message_max
        self._frame_max = min(PART_BYTES, message_max if first_max is None else first_max)
        self._later_max = min(PART_BYTES, message_max)
        self._head = bytearray()  # of a header that has not come whole
        self._kind: Kind = Kind.HELLO
        self._number = self._left = 0
        self._body: bytearray | None = None  # of a frame that has not come whole
        self._unfinished: dict[int, _Unfinished] = {}

    @property
    def held(self) -> int:
        """Bytes of messages that are not whole yet."""
        begun = len(self._head) + (0 if self._body is None else len(self._body))
        return begun + sum(PART_BYTES * len(each.parts or ()) for each in self._unfinished.values())

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """Return the messages that these bytes complete. Raises Malformed; the decoder is then of no more use."""
        messages, at, end = list[Message](), 0, len(data)
        view = memoryview(data)
        if self._head or self._left or self._body is not None:
            at = self._go_on(view, messages)
        while end - at >= HEADER_BYTES:
            left, code, number = _HEADER.unpack_from(view, at)
            kind = self._check(left, code)
            at += HEADER_BYTES
            if end - at < left:
                self._kind, self._number, self._left = kind, number, left - (end - at)
                self._body = bytearray(view[at:])
                return messages
            # A frame that came whole is copied once only.
            self._take(kind, number, bytes(view[at : at + left]), messages)
            at += left
        self._head += view[at:]
        return messages

    def _go_on(self, view: memoryview, messages: list[Message]) -> int:
        """Go on with what was begun; return how many bytes it took."""
        at = 0
        if self._body is None:
            at = HEADER_BYTES - len(self._head)
            self._head += view[:at]
            if len(self._head) < HEADER_BYTES:
                return len(view)
            self._left, code, self._number = _HEADER.unpack(self._head)
            self._kind, self._body = self._check(self._left, code), bytearray()
            self._head.clear()
        taken = view[at : at + self._left]
        self._body += taken
        self._left -= len(taken)
        if not self._left:
            body, self._body = self._body, None
            self._take(self._kind, self._number, body, messages)
        return at + len(taken)

    def _take(self, kind: Kind, number: int, body: bytes | bytearray, messages: list[Message]) -> None:
        if kind is Kind.PART:
            self._keep(number, body)
        elif number in self._unfinished:
            self._finish(kind, number, body, messages)
        else:
            messages.append(Message(kind, number, body if isinstance(body, bytes) else bytes(body)))

    def _check(self, length: int, code: int) -> Kind:
        # Judged from the header alone, so that a hostile length never makes us wait for or hold its bytes.
        if not 1 <= code < len(_KINDS):
            raise Malformed(f"a frame of unknown kind {code}")
        if length > self._frame_max:
            raise Malformed(f"a frame of {length} bytes where at most {self._frame_max} are allowed")
        kind = _KINDS[code]
        if kind is Kind.PART and length != PART_BYTES:
            raise Malformed(f"a part of {length} bytes")
        self._frame_max = self._later_max
        return kind

    def _keep(self, number: int, body: bytes | bytearray) -> None:
        begun = self._unfinished.get(number)
        if begun is None:
            begun = self._unfinished[number] = _Unfinished()
        begun.count += 1
        if begun.parts is not None:
            begun.parts.append(body)
        if len(self._unfinished) > _UNFINISHED_MAX:
            raise Malformed("too many unfinished messages at once")
        if begun.count * PART_BYTES >= self._message_max:
            raise Malformed(f"a message of more than {self._message_max} bytes")

    def _finish(self, kind: Kind, number: int, body: bytes | bytearray, messages: list[Message]) -> None:
        begun = self._unfinished[number]
        if kind is Kind.CANCEL and not body:  # it overtook the rest
            begun.parts = None
            return
        del self._unfinished[number]
        if kind is Kind.CANCEL:
            return
        if not body or begun.count * PART_BYTES + len(body) > self._message_max:
            raise Malformed(f"a message in parts that is too long or has an empty end, under number {number}")
        if begun.parts is not None:
            messages.append(Message(kind, number, b"".join([*begun.parts, body])))
