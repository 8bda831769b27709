"""What waits to be written to one connection: control before bulk, joined into few large writes.

How much is joined follows the line. On a fast one a large write costs least; on a slow one it would hold up the
control frame that comes next, so it is no more than goes out in a moment.

A bulk message that nobody wants any more is taken back, as far as it was not written.
"""

from collections import OrderedDict
from enum import Enum, auto
from typing import Final

import trio

from nanobarter.net.frames import Frame

_JOIN_MIN: Final = 16 * 1024
_JOIN_FIRST: Final = 64 * 1024
_JOIN_MAX: Final = 256 * 1024  # beyond it a larger write gains nothing; below, each costs a TLS record and a call
_FAST: Final = 0.02  # seconds for a write: then the next one may be twice as large
_SLOW: Final = 0.1


class Dropped(Enum):
    """What was taken back of a message."""

    NOTHING = auto()  # it does not wait here: it was written, or never was a bulk message
    WHOLE = auto()  # none of it was written
    REST = auto()  # the other side has some of its parts and waits for the others


class Outbox:
    """Two queues of frames. ``add`` never waits: its callers are bounded by slots, windows and ``held``."""

    __slots__ = ("_begun", "_bulk", "_control", "_join", "_serial", "_writer", "held")

    def __init__(self) -> None:
        self.held = 0  # bytes that wait here
        self._control = list[Frame]()  # short: what is written is taken out at once
        # By message, so that one is taken back without a search; the frames of each in reverse, the next one last.
        self._bulk = OrderedDict[int, list[Frame]]()
        self._serial = 0  # falls: the keys of messages that are never taken back
        self._begun = 0  # the first in the bulk queue, once some of its frames were written
        self._join = _JOIN_FIRST
        self._writer: trio.lowlevel.Task | None = None

    @property
    def is_fast(self) -> bool:
        """Whether the line has taken such writes in a moment that the largest are in order."""
        return self._join == _JOIN_MAX

    def add(self, frames: list[Frame], *, bulk: bool, number: int = 0) -> None:
        """Queue the frames of one message, in order. A bulk one with a ``number`` can be dropped."""
        if bulk:
            self._serial -= 1
            # A peer that asks twice under one number, before it took the first answer, cannot take back the second.
            self._bulk[number if number and number not in self._bulk else self._serial] = frames[::-1]
        else:
            self._control.extend(frames)
        for frame in frames:
            for piece in frame:
                self.held += len(piece)
        if self._writer is not None:
            trio.lowlevel.reschedule(self._writer)
            self._writer = None

    def drop(self, number: int) -> Dropped:
        """Take back what was not written of the bulk message with this number."""
        frames = self._bulk.pop(number, None)
        if frames is None:
            return Dropped.NOTHING
        self.held -= sum(len(piece) for frame in frames for piece in frame)
        if self._begun != number:
            return Dropped.WHOLE
        self._begun = 0
        return Dropped.REST

    async def wait_next(self) -> bytes:
        """Return what to write next, at least one frame: all control that fits, then bulk."""
        while not self._control and not self._bulk:  # again, when what woke us was dropped
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_writer)
        taken, size = list[bytes | memoryview](), 0
        count = 0
        for frame in self._control:
            if size >= self._join:
                break
            count += 1
            taken += frame
            for piece in frame:
                size += len(piece)
        del self._control[:count]
        while self._bulk and size < self._join:
            size += self._take_bulk(taken, self._join - size)
        self.held -= size
        return b"".join(taken)

    def _take_bulk(self, taken: list[bytes | memoryview], wanted: int) -> int:
        """Take frames of the first bulk message until they have as many bytes as wanted; return how many they have."""
        key, frames = next(iter(self._bulk.items()))
        size = 0
        while frames and size < wanted:
            frame = frames.pop()
            taken += frame
            for piece in frame:
                size += len(piece)
        if frames:
            self._begun = key
        else:
            del self._bulk[key]
            self._begun = 0
        return size

    def written(self, size: int, seconds: float) -> None:
        """Note how long a write took, for the size of the next ones."""
        if seconds > _SLOW:
            self._join = max(self._join // 2, _JOIN_MIN)
        elif seconds < _FAST and size >= self._join:
            self._join = min(self._join * 2, _JOIN_MAX)

    def _forget_writer(self, _raise: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED
