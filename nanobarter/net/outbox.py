"""What waits to be written to one connection: control before bulk, joined into few large writes."""

from collections import deque
from typing import Final

import trio

_JOIN_BYTES: Final = 256 * 1024  # beyond it a larger write gains nothing; below, each costs a TLS record and a call


class Outbox:
    """Two queues of frames. ``add`` never waits: its callers are bounded by slots, windows and ``held``."""

    def __init__(self) -> None:
        self.held = 0  # bytes that wait here
        self._control = deque[bytes]()
        self._bulk = deque[bytes]()
        self._news = trio.Event()

    def add(self, frames: list[bytes], *, bulk: bool) -> None:
        """Queue the frames of one message, in order."""
        (self._bulk if bulk else self._control).extend(frames)
        self.held += sum(map(len, frames))
        self._news.set()

    async def wait_next(self) -> bytes:
        """Return what to write next, at least one frame: all control that fits, then bulk."""
        while not self._control and not self._bulk:
            self._news = trio.Event()
            await self._news.wait()
        taken, size = list[bytes](), 0
        for queue in (self._control, self._bulk):
            while queue and size < _JOIN_BYTES:
                frame = queue.popleft()
                taken.append(frame)
                size += len(frame)
        self.held -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)
