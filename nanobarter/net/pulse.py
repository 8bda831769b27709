"""Whether the other end of a connection lives: when to ask it, and when to give it up. Pure: ``now`` is passed in.

A silent connection costs nothing but its keep-alive, which must be shorter than the patience of the routers on the
way and is otherwise waste: one ping a minute is 10 MB a month and peer. So it adapts. Each answered ping doubles the
silence that a connection allows itself, up to what all connections of the node have found to hold (``Rhythm``); one
that died of silence halves that for all, and answers at the edge let it grow again.

While calls wait for their answer the peer is asked soon, whatever the rhythm.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND

_FOREVER: Final = float("inf")
_SMOOTH: Final = 0.25  # of a new round trip in the figure that is told


def _nothing() -> None:
    pass


class Rhythm:
    """The longest silence that the routers around this node are known to bear, in seconds."""

    def __init__(self, limits: Limits) -> None:
        self._first = limits.idle_before_ping / SECOND
        self._last = limits.idle_before_ping_last / SECOND
        self.ceiling = self._last
        self.stir: Callable[[], None] = _nothing
        """Tells the watch that something began on a connection."""

    def held(self, silence: float) -> None:
        """Note that a connection lived through such a silence."""
        if silence >= self.ceiling * 0.9:
            self.ceiling = min(self.ceiling * 1.1, self._last)

    def broke(self, silence: float) -> None:
        """Note that a connection was dead after such a silence: a router forgot it, or the peer is gone."""
        self.ceiling = max(min(self.ceiling, silence / 2), self._first)


class Sign(Enum):
    """What to do about a connection now."""

    NOTHING = auto()
    PING = auto()
    CLOSE = auto()


class Pulse:
    """The signs of life of one connection. Times are in seconds of one clock."""

    def __init__(self, limits: Limits, rhythm: Rhythm, now: float) -> None:
        self._patience = limits.silence_max / SECOND
        self._span = limits.idle_before_ping / SECOND
        self._rhythm = rhythm
        self.last_heard = self.last_work = now
        self.latency: float | None = None
        """Seconds of a round trip, smoothed; None before the first."""
        self.writing_since: float | None = None
        self._pinged: float | None = None
        self._silence = 0.0  # before the ping that waits

    @property
    def waits(self) -> bool:
        """Whether a ping is not answered by any sign of life yet."""
        return self._pinged is not None and self.last_heard < self._pinged

    def heard(self, now: float) -> None:
        """Note that anything came."""
        if self.waits and self._silence:
            self._rhythm.held(self._silence)
            self._span = min(self._span * 2, self._rhythm.ceiling)
            self._silence = 0.0
        self.last_heard = now

    def worked(self) -> None:
        """Note that what came last was more than a sign of life."""
        self.last_work = self.last_heard

    def ponged(self, now: float) -> None:
        """Note the answer to a ping."""
        if self._pinged is not None:
            taken = now - self._pinged
            self.latency = taken if self.latency is None else self.latency + _SMOOTH * (taken - self.latency)
            self._pinged = None

    def pinged(self, now: float) -> None:
        """Note that a ping goes out."""
        if not self.waits:
            idle = now - self.last_heard
            self._silence = idle if idle >= self._span else 0.0
        self._pinged = now

    def look(self, now: float, *, busy: bool) -> Sign:
        """Tell what to do; ``busy`` while calls wait for the peer."""
        if now >= self._dead_at():
            if self.waits and self._silence:
                self._rhythm.broke(self._silence)
            return Sign.CLOSE
        return Sign.PING if now >= self._ask_at(busy=busy) else Sign.NOTHING

    def next_look(self, *, busy: bool) -> float:
        """Return when ``look`` may say something else, if nothing is heard until then."""
        return min(self._dead_at(), self._ask_at(busy=busy))

    def _dead_at(self) -> float:
        unanswered = self._pinged if self.waits else None
        stuck = self.writing_since
        return min(
            _FOREVER if unanswered is None else unanswered + self._patience,
            _FOREVER if stuck is None else stuck + self._patience,
        )

    def _ask_at(self, *, busy: bool) -> float:
        if self.waits:
            return _FOREVER
        return self.last_heard + (self._patience / 2 if busy else min(self._span, self._rhythm.ceiling))
