"""What waits to be written to one connection: control before bulk, joined into few large writes.

How much is joined follows the line. On a fast one a large write costs least; on a slow one it would hold up the
control frame that comes next, so it is no more than goes out in a moment.
"""

from typing import Final

import trio

from nanobarter.net.frames import Frame

_JOIN_MIN: Final = 16 * 1024
_JOIN_FIRST: Final = 64 * 1024
_JOIN_MAX: Final = 256 * 1024  # beyond it a larger write gains nothing; below, each costs a TLS record and a call
_FAST: Final = 0.02  # seconds for a write: then the next one may be twice as large
_SLOW: Final = 0.1


class Outbox:
    """Two queues of frames. ``add`` never waits: its callers are bounded by slots, windows and ``held``."""

    __slots__ = ("_bulk", "_control", "_join", "_writer", "held")

    def __init__(self) -> None:
        self.held = 0  # bytes that wait here
        self._control, self._bulk = list[Frame](), list[Frame]()  # short: what is written is taken out at once
        self._join = _JOIN_FIRST
        self._writer: trio.lowlevel.Task | None = None

    @property
    def is_fast(self) -> bool:
        """Whether the line has taken such writes in a moment that the largest are in order."""
        return self._join == _JOIN_MAX

    def add(self, frames: list[Frame], *, bulk: bool) -> None:
        """Queue the frames of one message, in order."""
        (self._bulk if bulk else self._control).extend(frames)
        for frame in frames:
            for piece in frame:
                self.held += len(piece)
        if self._writer is not None:
            trio.lowlevel.reschedule(self._writer)
            self._writer = None

    async def wait_next(self) -> bytes:
        """Return what to write next, at least one frame: all control that fits, then bulk."""
        if not self._control and not self._bulk:
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_writer)
        taken, size = list[bytes | memoryview](), 0
        for queue in (self._control, self._bulk):
            count = 0
            for frame in queue:
                if size >= self._join:
                    break
                count += 1
                taken += frame
                for piece in frame:
                    size += len(piece)
            del queue[:count]
        self.held -= size
        return b"".join(taken)

    def written(self, size: int, seconds: float) -> None:
        """Note how long a write took, for the size of the next ones."""
        if seconds > _SLOW:
            self._join = max(self._join // 2, _JOIN_MIN)
        elif seconds < _FAST and size >= self._join:
            self._join = min(self._join * 2, _JOIN_MAX)

    def _forget_writer(self, _raise: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED
