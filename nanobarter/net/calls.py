"""The calls that this side makes over one connection: slots, numbers, and answers brought to who waits."""

from collections.abc import Callable, Container
from typing import Final, Protocol

import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.ports import Body
from nanobarter.core.units import SECOND, Span
from nanobarter.net.frames import Kind
from nanobarter.net.messages import TIMEOUT_MS_MAX, request_parts
from nanobarter.net.methods import Failed, unwrap
from nanobarter.net.timers import Timers

_NUMBERS: Final = 2**32


class Post(Protocol):
    """Sends one message of a connection; it never waits."""

    def __call__(
        self, kind: Kind, number: int, body: bytes = b"", rest: bytes | memoryview = b"", *, bulk: bool = False
    ) -> None:
        """Queue the message whose body is ``body`` and ``rest``, unless the connection is over."""
        ...


class Retired(Exception):
    """This connection takes no new calls; another one does."""


class Numbers:
    """The numbers that one side gives to its requests and streams: odd from who dialled, even from the other."""

    def __init__(self, *, dialled: bool) -> None:
        self._parity = int(dialled)
        self._next = 1 if dialled else 2

    def owns(self, number: int) -> bool:
        """Tell whether a number is one of this side."""
        return number % 2 == self._parity

    def fresh(self, taken: Container[int], also: Container[int]) -> int:
        """Return a number that nothing open has."""
        number = self._next
        while number == 0 or number in taken or number in also:
            number = (number + 2) % _NUMBERS
        self._next = (number + 2) % _NUMBERS
        return number


class Slots:
    """How many calls may be under way; whoever comes when all are taken waits in line.

    A semaphore of trio passes through the scheduler even when a slot is free, which is a tenth of a call's cost.
    """

    __slots__ = ("_free", "_line")

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: dict[trio.lowlevel.Task, None] | None = None

    @property
    def is_free(self) -> bool:
        """Whether a slot can be had without waiting."""
        return self._free > 0

    async def take(self) -> None:
        """Wait for a slot."""
        if self._free:
            self._free -= 1
            return
        task = trio.lowlevel.current_task()
        line = self._line = {} if self._line is None else self._line
        line[task] = None

        def abort(_raise: Callable[[], object]) -> trio.lowlevel.Abort:
            del line[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def give(self) -> None:
        """Hand a slot on to the first in line, or put it back."""
        if self._line:
            task = next(iter(self._line))
            del self._line[task]
            trio.lowlevel.reschedule(task)
        else:
            self._free += 1


class Asked:
    """One call that waits for its answer, until its time is over."""

    __slots__ = ("_waiting", "answer", "is_late", "number", "task")

    def __init__(self, number: int, waiting: "dict[int, Asked]") -> None:
        self.number, self._waiting = number, waiting
        self.task = trio.lowlevel.current_task()
        self.answer: bytes | Failed | None = None
        self.is_late = False

    def expire(self) -> None:
        """Let who asked go on without an answer."""
        if self._waiting.pop(self.number, None) is not None:
            self.is_late = True
            trio.lowlevel.reschedule(self.task)


class Calls:
    """What was asked and not answered yet."""

    def __init__(
        self,
        peer: NodeId,
        numbers: Numbers,
        post: Post,
        *,
        give_up: Callable[[int], None],
        slots: int,
        bulk_slots: int,
        timers: Timers,
    ) -> None:
        self._peer, self._numbers, self._post, self._timers = peer, numbers, post, timers
        self._give_up = give_up
        self._waiting: dict[int, Asked] = {}
        self._slots, self._bulk_slots = Slots(slots), Slots(bulk_slots)
        self.answered = self.failed = 0
        """Calls that got an answer, also an unwelcome one; and those that got none."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, number: int) -> bool:
        return number in self._waiting

    async def ask(
        self,
        method: str,
        body: Body,
        timeout: Span,
        *,
        bulk: bool,
        usable: Callable[[], bool],
        streams: Container[int],
    ) -> bytes:
        """Return the peer's answer; being cancelled tells the peer to stop.

        Raises Retired when another connection must be used (``usable`` is asked once there is a slot), else as
        ``core.ports.Caller.call``.
        """
        slots = self._bulk_slots if bulk else self._slots
        deadline = trio.current_time() + timeout / SECOND
        if slots.is_free:
            await slots.take()
        else:
            with trio.move_on_at(deadline) as scope:
                await slots.take()
            if scope.cancelled_caught:
                raise late(self._peer, method, timeout)
        try:
            if not usable():
                raise Retired
            asked = Asked(self._numbers.fresh(self._waiting, streams), self._waiting)
            head, rest = request_parts(method, min(timeout, TIMEOUT_MS_MAX), bulk=bulk, body=body)
            self._post(Kind.REQUEST, asked.number, head, rest, bulk=bulk)
            await self._wait(asked, deadline)
        finally:
            slots.give()
        if asked.answer is None:
            self.failed += 1
            if asked.is_late:
                self._give_up(asked.number)
                raise late(self._peer, method, timeout)
            raise Unreachable(f"the connection to {short_node(self._peer)} broke during {method}")
        self.answered += 1
        return unwrap(self._peer, method, asked.answer)

    async def _wait(self, asked: Asked, deadline: float) -> None:
        self._waiting[asked.number] = asked
        tick = self._timers.add(asked, deadline)

        def abort(_raise: Callable[[], object]) -> trio.lowlevel.Abort:
            del self._waiting[asked.number]
            tick.discard(asked)
            self.failed += 1
            self._give_up(asked.number)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        tick.discard(asked)

    def take_answer(self, number: int, answer: bytes | Failed) -> None:
        """Bring an answer to who waits, if he still does. Raises Malformed when the number is the peer's own."""
        if not self._numbers.owns(number):
            raise Malformed("an answer to a request of its own")
        if (asked := self._waiting.pop(number, None)) is not None:
            asked.answer = answer
            trio.lowlevel.reschedule(asked.task)

    def end(self) -> None:
        """Fail all that wait: the connection is gone."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        for asked in waiting:
            trio.lowlevel.reschedule(asked.task)


def late(peer: NodeId, method: str, timeout: Span) -> Unreachable:
    """Return what to raise when no answer came in time."""
    return Unreachable(f"{short_node(peer)} did not answer {method} in {timeout} ms")
