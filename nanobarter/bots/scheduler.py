"""The scheduler: starts a backup by itself, so long after the last one as the person said.

A machine that was off makes its missed backup soon after it is on again, once. A backup that fails is tried again
sooner than the next one would be, but not at once: the peers or the disk need time. And when something that is stored
is lost, the next backup, which stores again what the folders still hold of it, does not wait for its turn.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import trio

from nanobarter.core.errors import InvariantBroken
from nanobarter.core.ids import PackId
from nanobarter.core.ports import Clock
from nanobarter.core.units import HOUR, MINUTE, SECOND, Instant, Span, after, span_between

SETTLE: Final = Span(2 * MINUTE)  # after a start, for peers to be found and bids to be heard
RETRY: Final = Span(HOUR)
LOOK_AGAIN: Final = Span(MINUTE)  # the wall clock may jump, so it is looked at
_log = logging.getLogger(__name__)


def due_at(started: Instant, last: Instant | None, failed: Instant | None, every: Span) -> Instant:
    """Return when the next backup begins."""
    due = max(after(started, SETTLE), after(last, every) if last is not None else Instant(0))
    return due if failed is None else max(due, after(failed, Span(min(RETRY, every))))


def last_until(now: Instant, times: Iterable[Instant]) -> Instant | None:
    """Return the last of these times that is not to come.

    A backup of a day on which the clock was a year ahead must not stop all others for a year.
    """
    return max((at for at in times if at <= now), default=None)


class Scheduler:
    """Runs backups, or drills, on schedule; ``every`` None means only by hand.

    ``open_at`` tells whether one may begin now; one that has begun goes on.
    """

    def __init__(
        self,
        *,
        every: Span | None,
        last: Callable[[], Awaitable[Instant | None]],
        backup: Callable[[], Awaitable[None]],
        clock: Clock,
        lost: Callable[[], frozenset[PackId]] = frozenset,
        open_at: Callable[[Instant], bool] = lambda _now: True,
        name: str = "backup",
    ) -> None:
        self._every, self._last, self._backup, self._clock, self._lost = every, last, backup, clock, lost
        self._open_at, self._name = open_at, name

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Back up whenever it is due, until cancelled."""
        task_status.started()
        if self._every is None:
            return
        started, failed, tried = self._clock.now(), None, frozenset[PackId]()
        while True:
            lost = self._lost()  # once for each loss: what no folder holds any more stays lost
            urgent = bool(lost - tried)  # nor does it wait for the night
            every = min(self._every, RETRY) if urgent else self._every
            now = self._clock.now()
            started = min(started, now)  # the clock may have been ahead then
            failed = None if failed is None else min(failed, now)
            due = due_at(started, await self._last(), failed, every)
            if now < due or not (urgent or self._open_at(now)):
                await trio.sleep(min(span_between(now, due) or LOOK_AGAIN, LOOK_AGAIN) / SECOND)
                continue
            try:
                await self._backup()
                failed, tried = None, lost
            except InvariantBroken:
                raise
            except Exception as error:  # noqa: BLE001 - told in the log and by status; the next try comes by itself
                _log.warning("the scheduled %s failed: %s", self._name, error)
                failed = self._clock.now()
