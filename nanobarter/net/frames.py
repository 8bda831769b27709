"""Frames: u32 length of the body, u8 kind, u32 number, body; all big-endian. No input or output happens here.

A message longer than a part goes as several PART frames and one last frame that carries its kind, all under its
number, so that control frames pass between the parts of a bulk message. A sender has at most one such message
under way in each of its two queues, so a receiver keeps at most two unfinished ones.

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


class Message(NamedTuple):
    """One whole message. ``number`` names the request or stream that it belongs to; 0 for the connection."""

    kind: Kind
    number: int
    body: bytes


def encode_message(kind: Kind, number: int, body: bytes = b"") -> list[bytes]:
    """Return the frames of a message, each ready to send."""
    if len(body) <= PART_BYTES:
        return [_HEADER.pack(len(body), kind, number) + body]
    frames, view = list[bytes](), memoryview(body)
    last = (len(body) - 1) // PART_BYTES * PART_BYTES
    for start in range(0, last, PART_BYTES):
        part = view[start : start + PART_BYTES]  # not copied until it stands behind its header
        frames.append(b"".join((_HEADER.pack(PART_BYTES, Kind.PART, number), part)))
    frames.append(b"".join((_HEADER.pack(len(body) - last, kind, number), view[last:])))
    return frames


class FrameDecoder:
    """Turns the bytes of one direction of a connection into messages.

    Messages have at most ``message_max`` bytes, the very first one at most ``first_max``: a stranger's hello.
    """

    def __init__(self, message_max: int, *, first_max: int | None = None) -> None:
        self._message_max = message_max
        self._frame_max = min(PART_BYTES, message_max if first_max is None else first_max)
        self._head = bytearray()  # of a header that has not come whole
        self._kind = Kind.HELLO
        self._number = self._left = 0
        self._body: bytearray | None = None  # of a frame that has not come whole
        self._unfinished: dict[int, list[bytes | bytearray]] = {}

    @property
    def held(self) -> int:
        """Bytes of messages that are not whole yet."""
        begun = len(self._head) + (0 if self._body is None else len(self._body))
        return begun + sum(PART_BYTES * len(parts) for parts in self._unfinished.values())

    def feed(self, data: bytes | bytearray) -> list[Message]:
        """Return the messages that these bytes complete. Raises Malformed; the decoder is then of no more use."""
        messages, at, view = list[Message](), 0, memoryview(data)
        while True:
            if self._body is None and not self._left:
                end = at + HEADER_BYTES - len(self._head)
                self._head += view[at:end]
                if len(self._head) < HEADER_BYTES:
                    return messages
                self._begin()
                at = end
            taken = view[at : at + self._left]
            at += len(taken)
            self._left -= len(taken)
            if self._left:
                if self._body is None:
                    self._body = bytearray(taken)
                else:
                    self._body += taken
                return messages
            if self._body is not None:
                self._body += taken
            # A frame that came whole is copied once only.
            body, self._body = bytes(taken) if self._body is None else self._body, None
            self._head.clear()
            if self._kind is Kind.PART:
                self._keep(self._number, body)
            else:
                messages.append(Message(self._kind, self._number, self._join(self._number, body)))

    def _begin(self) -> None:
        self._left, code, self._number = _HEADER.unpack(self._head)
        self._kind = self._check(self._left, code)
        self._frame_max = min(PART_BYTES, self._message_max)

    def _check(self, length: int, code: int) -> Kind:
        # Judged from the header alone, so that a hostile length never makes us wait for or hold its bytes.
        if not 1 <= code <= Kind.BYE:
            raise Malformed(f"a frame of unknown kind {code}")
        if length > self._frame_max:
            raise Malformed(f"a frame of {length} bytes where at most {self._frame_max} are allowed")
        if code == Kind.PART and length != PART_BYTES:
            raise Malformed(f"a part of {length} bytes")
        return Kind(code)

    def _keep(self, number: int, body: bytes | bytearray) -> None:
        parts = self._unfinished.setdefault(number, [])
        parts.append(body)
        if len(self._unfinished) > _UNFINISHED_MAX:
            raise Malformed("too many unfinished messages at once")
        if len(parts) * PART_BYTES >= self._message_max:
            raise Malformed(f"a message of more than {self._message_max} bytes")

    def _join(self, number: int, body: bytes | bytearray) -> bytes:
        parts = self._unfinished.pop(number, None)
        if parts is None:
            return bytes(body)
        if not body or len(parts) * PART_BYTES + len(body) > self._message_max:
            raise Malformed(f"a message in parts that is too long or has an empty end, under number {number}")
        return b"".join([*parts, body])
