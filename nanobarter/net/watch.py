"""Looks after all connections of a node without polling: asleep until the next one may need something.

While anything is under way it looks every few seconds; an idle node wakes for its keep-alives alone.
"""

from typing import Final

import trio

from nanobarter.net.links import Links
from nanobarter.net.pulse import Rhythm

_EVERY: Final = 5.0  # seconds, while something is under way; a look at 500 connections takes under a millisecond
_RARELY: Final = 3600.0  # a bound on what a mistake in the times could cost


class Watch:
    """One task for all connections; a timer for each would cost more than the rest of an idle connection."""

    def __init__(self, links: Links, rhythm: Rhythm) -> None:
        self._links = links
        self._asleep: trio.Event | None = None
        rhythm.stir = self._stir

    def _stir(self) -> None:
        """Look again soon: something began on a connection. Costs nothing while the watch is awake anyway."""
        if self._asleep is not None:
            self._asleep.set()

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        while True:
            now = trio.current_time()
            for connection in self._links.all():
                connection.look_after(now)
            up = [connection for connection in self._links.all() if not connection.closed.is_set()]
            if any(connection.is_busy for connection in up):
                await trio.sleep(_EVERY)
                continue
            self._asleep = trio.Event()
            due = min((c.pulse.next_look(busy=False) for c in up), default=now + _RARELY)
            with trio.move_on_at(min(max(due, now + 0.1), now + _RARELY)):
                await self._asleep.wait()
            self._asleep = None
