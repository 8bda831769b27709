"""Writes what waits in the outbox of one connection, in large pieces that follow the line's pace."""

from collections.abc import Callable

import trio

from nanobarter.net.outbox import Outbox
from nanobarter.net.pulse import Pulse
from nanobarter.net.tls import TlsStream


class Writer:
    """The one task of a connection that writes. ``broken`` is told when the other side is gone."""

    def __init__(self, channel: trio.abc.Stream, outbox: Outbox, pulse: Pulse, *, broken: Callable[[], None]) -> None:
        self._channel, self._outbox, self._pulse, self._broken = channel, outbox, pulse, broken
        self._tls = channel if isinstance(channel, TlsStream) else None
        self.bytes_out = 0
        self.leaves = False
        """Whether the connection ends as soon as nothing waits."""

    async def run(self) -> None:
        """Write until cancelled, or until the other side is gone."""
        try:
            while True:
                data = await self._outbox.wait_next()
                self._pulse.writing_since = began = trio.current_time()
                await self._channel.send_all(data)
                self._pulse.writing_since = None
                self.bytes_out += len(data)
                self._adapt(len(data), trio.current_time() - began)
                if self.leaves and self._outbox.held == 0:
                    self._broken()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._broken()

    def _adapt(self, size: int, seconds: float) -> None:
        was_fast = self._outbox.is_fast
        self._outbox.written(size, seconds)
        if self._tls is not None and self._outbox.is_fast != was_fast:
            self._tls.hurry(fast=self._outbox.is_fast)
