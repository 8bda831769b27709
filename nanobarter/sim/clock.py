"""Virtual time: what shall happen, in the order of its instants. No thread, no waiting, the same order every time."""

import heapq
from collections.abc import Callable
from typing import Final

from nanobarter.core.units import Instant, Span

START: Final = Instant(1_800_000_000_000)
"""When simulated worlds begin: a fixed day, so that what is signed in one run is signed alike in the next."""

Act = Callable[[], None]


class Scheduler:
    """The events of one world. Those of the same instant happen in the order in which they were asked for."""

    def __init__(self, start: Instant = START) -> None:
        self.now = start
        self.passed = 0
        self._queue = list[tuple[int, int, Act]]()
        self._number = 0

    def later(self, span: int, act: Act) -> None:
        """Let something happen after a span in milliseconds (at once, after what is under way, when zero)."""
        self._number += 1
        heapq.heappush(self._queue, (self.now + max(span, 0), self._number, act))

    def at(self, instant: Instant, act: Act) -> None:
        """Let something happen at an instant; at once when that has passed."""
        self.later(instant - self.now, act)

    def run(self, until: Instant, done: Callable[[], bool] = lambda: False) -> None:
        """Let everything up to an instant happen, or until ``done``, which is asked after each event."""
        queue = self._queue
        while queue and queue[0][0] <= until and not done():
            instant, _, act = heapq.heappop(queue)
            self.now = Instant(instant)
            self.passed += 1
            act()
        if not done():
            self.now = Instant(max(self.now, until))

    def run_for(self, span: Span) -> None:
        """Let everything in the next span happen."""
        self.run(Instant(self.now + span))
