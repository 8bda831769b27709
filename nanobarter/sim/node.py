"""A node of the world: a clock that is off, a disk that takes its time, and a life that ends with each crash.

The disk is the node's own SQLite tables in memory, inside one transaction that is undone when the world ends; a
durable write is one savepoint. It is made when the write is over, so a crash in between loses it. Torn rows cannot
occur: what the daemon's store does not commit, SQLite rolls back.
"""

import sqlite3
from collections.abc import Callable
from random import Random
from typing import TypeVar

from nanobarter.core.units import INSTANT_MAX, Instant, Span
from nanobarter.mint import times
from nanobarter.sim.clock import Act, Scheduler
from nanobarter.sim.luck import Luck
from nanobarter.sim.people import Person

T = TypeVar("T")
ALIVE_EVERY = 20_000  # a mint marks durably that it is up this often, as the daemon does

Crash = Callable[["Node"], bool]
"""Asked at each point between a write and a send: does the node crash here?"""


class Node:
    """See the module. ``lives`` are asked to forget and to take up again when the node crashes and restarts."""

    def __init__(self, person: Person, scheduler: Scheduler, random: Random, luck: Luck, crashes: Crash) -> None:
        self.person, self.key, self.node = person, person.key, person.key.node_id
        self.scheduler, self.random, self.luck, self.crashes = scheduler, random, luck, crashes
        self.db: sqlite3.Connection = person.db
        self.honest = True  # as a party
        self.honest_mint = True
        self.up = True
        self.restored = False  # came back from a copy of its disk
        self.life = 0
        self.skew = random.randint(-luck.skew, luck.skew)
        self.up_since = self.now
        self.deaf = False  # cut off from all others
        self.away = list[tuple[Instant, Instant]]()  # for the checker, in the world's own time
        self.forget = list[Act]()
        self.resume = list[Act]()
        self._busy_until = 0
        self._alive_since = self.now
        self.db.execute("BEGIN")
        self._beat()

    def close(self) -> None:
        """Undo all that happened in this world."""
        self.db.execute("ROLLBACK")

    @property
    def name(self) -> str:
        """How a person calls it."""
        return self.person.name

    @property
    def now(self) -> Instant:
        """The time as this node has it."""
        return Instant(self.scheduler.now + self.skew)

    # -- time

    def later(self, span: int, act: Act) -> None:
        """Let this life do something after a span; a crash forgets it."""
        life = self.life

        def then() -> None:
            if self.life == life and self.up:
                act()

        self.scheduler.later(span, then)

    def jump(self, span: int) -> None:
        """Set the clock forward or back, as a person or a suspended machine does."""
        self._mark()
        self.skew += span
        self._beat()
        for act in self.resume:
            act()

    # -- the disk

    def write(self, change: Callable[[sqlite3.Connection], T], then: Callable[[T], None]) -> None:
        """Make a change durable, one after the other, and go on when it is; a crash may come before and after."""
        self._busy_until = max(self._busy_until, self.scheduler.now) + self.random.randint(*self.luck.disk)
        life = self.life

        def commit() -> None:
            if self.life != life:
                return
            if self.up and self.crashes(self) and self.random.random() < self.luck.torn:
                return
            result = self._commit(change)
            if self.up and not self.crashes(self) and self.life == life:
                then(result)

        self.scheduler.later(self._busy_until - self.scheduler.now, commit)

    def _commit(self, change: Callable[[sqlite3.Connection], T]) -> T:
        self.db.execute("SAVEPOINT change")
        try:
            result = change(self.db)
        except BaseException:
            self.db.execute("ROLLBACK TO change")
            raise
        self.db.execute("RELEASE change")
        return result

    # -- being up

    def cut_off(self, *, deaf: bool) -> None:
        """Lose or regain all peers: a mint that nobody answers does not count as alive."""
        if deaf != self.deaf:
            self._mark()
            self.deaf = deaf
            if not deaf:
                self._beat()

    def crash(self, down: int) -> None:
        """Lose everything that is not on disk, and come back after a while."""
        if not self.up:
            return
        self._mark()
        self.up = False
        self.life += 1
        self._busy_until = 0
        self.away.append((self.scheduler.now, Instant(self.scheduler.now + down)))
        for act in self.forget:
            act()
        self.scheduler.later(down, self._restart)

    def back_up(self) -> None:
        """Copy the disk as it is now."""
        self.db.execute("SAVEPOINT backup")

    def put_back(self, down: int) -> None:
        """Lose the disk, and come back after a while with the copy of it."""
        if self.up:
            self.crash(down)
            self.db.execute("ROLLBACK TO backup")
            self.restored = True

    def _restart(self) -> None:
        self.up = True
        self._beat()
        for act in self.resume:
            act()

    def _beat(self) -> None:
        """Mark the mint as alive now: what the daemon does at its start and every twenty seconds."""
        self._alive_since = self.now
        self._commit(lambda db: times.mark_alive(db, times.advance_time(db, self.now), self.person.book.alive_gap))

    def _mark(self) -> None:
        """Write the last of the marks that the daemon would have made since ``_alive_since``."""
        if self.up and not self.deaf:
            last = Instant(self.now - (self.now - self._alive_since) % ALIVE_EVERY)
            if last > self._alive_since:
                self._commit(lambda db: times.mark_alive(db, times.advance_time(db, last), Span(INSTANT_MAX)))

    def stay_alive(self) -> None:
        """Bring the marks up to date, before anything asks for outages."""
        if self.now - self._alive_since > ALIVE_EVERY:
            self._mark()
