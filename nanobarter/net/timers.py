"""Deadlines of many calls by one task. A cancel scope of trio for each call costs a third of the whole call."""

import heapq
from typing import Final, Protocol

import trio

_PER_SECOND: Final = 32  # a deadline is kept that exactly; nobody minds 30 ms, and one tick serves all of them


class Timed(Protocol):
    """Something that wants to be told when its time is over."""

    def expire(self) -> None:
        """Take note; must not wait."""
        ...


class Tick(set[Timed]):
    """All whose time is over in the same moment. Whoever is done early takes itself out (``discard``)."""


class Timers:
    """Tells each when its time is over. ``run`` must be running."""

    def __init__(self) -> None:
        self._ticks: dict[int, Tick] = {}
        self._order = list[int]()
        self._wakes = float("inf")
        self._earlier = trio.Event()

    def add(self, timed: Timed, deadline: float) -> Tick:
        """Tell ``timed`` at that time of trio's clock, unless it is taken out of what is returned before."""
        number = int(deadline * _PER_SECOND) + 1
        tick = self._ticks.get(number)
        if tick is None:
            tick = self._ticks[number] = Tick()
            heapq.heappush(self._order, number)
            if number < self._wakes:
                self._earlier.set()
        tick.add(timed)
        return tick

    async def run(self) -> None:
        """Keep the time until cancelled."""
        while True:
            now = trio.current_time() * _PER_SECOND
            # Those that are done early leave empty ticks behind, an hour of which is small; they need no waking.
            while self._order and (self._order[0] <= now or not self._ticks[self._order[0]]):
                tick = self._ticks.pop(heapq.heappop(self._order))
                while tick:
                    tick.pop().expire()
            self._earlier = trio.Event()
            self._wakes = self._order[0] if self._order else float("inf")
            with trio.move_on_at(self._wakes / _PER_SECOND):
                await self._earlier.wait()
