"""The calls that this side makes over one connection: slots, numbers, and answers brought to who waits."""

from collections import deque
from collections.abc import Callable, Container
from typing import Final, Protocol

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.units import Span
from nanobarter.net.frames import Kind
from nanobarter.net.messages import TIMEOUT_MS_MAX, Request
from nanobarter.net.methods import Failed, unwrap

_NUMBERS: Final = 2**32


class Post(Protocol):
    """Sends one message of a connection; it never waits."""

    def __call__(self, kind: Kind, number: int, body: bytes = b"", *, bulk: bool = False) -> None:
        """Queue the message, unless the connection is over."""
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

    def fresh(self, *taken: Container[int]) -> int:
        """Return a number that nothing open has."""
        number = self._next
        while number == 0 or any(number in group for group in taken):
            number = (number + 2) % _NUMBERS
        self._next = (number + 2) % _NUMBERS
        return number


class Slots:
    """How many calls may be under way; whoever comes when all are taken waits in line.

    A semaphore of trio passes through the scheduler even when a slot is free, which is a tenth of a call's cost.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line = deque[trio.lowlevel.Task]()

    async def take(self) -> None:
        """Wait for a slot."""
        if self._free:
            self._free -= 1
            return
        task = trio.lowlevel.current_task()
        self._line.append(task)

        def abort(_raise: Callable[[], object]) -> trio.lowlevel.Abort:
            self._line.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def give(self) -> None:
        """Hand a slot on to the first in line, or put it back."""
        if self._line:
            trio.lowlevel.reschedule(self._line.popleft())
        else:
            self._free += 1


class Calls:
    """What was asked and not answered yet."""

    def __init__(self, peer: NodeId, numbers: Numbers, post: Post, *, slots: int, bulk_slots: int) -> None:
        self._peer, self._numbers, self._post = peer, numbers, post
        self._waiting: dict[int, trio.lowlevel.Task] = {}
        self._answers: dict[int, bytes | Failed] = {}  # of those who will run in a moment
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
        body: bytes,
        timeout: Span,
        *,
        bulk: bool,
        usable: Callable[[], bool],
        streams: Container[int],
    ) -> bytes:
        """Return the peer's answer. The caller bounds the time; being cancelled tells the peer to stop.

        Raises Retired when another connection must be used (``usable`` is asked once there is a slot), else as
        ``core.ports.Caller.call``.
        """
        slots = self._bulk_slots if bulk else self._slots
        await slots.take()
        try:
            if not usable():
                raise Retired
            number = self._numbers.fresh(self._waiting, streams)
            request = Request(method, min(timeout, TIMEOUT_MS_MAX), bulk, body)
            self._post(Kind.REQUEST, number, encode(request), bulk=bulk)
            answer = await self._wait(number)
        finally:
            slots.give()
        if answer is None:
            self.failed += 1
            raise Unreachable(f"the connection to {short_node(self._peer)} broke during {method}")
        self.answered += 1
        return unwrap(self._peer, method, answer)

    async def _wait(self, number: int) -> bytes | Failed | None:
        self._waiting[number] = trio.lowlevel.current_task()

        def abort(_raise: Callable[[], object]) -> trio.lowlevel.Abort:
            del self._waiting[number]
            self.failed += 1
            self._post(Kind.CANCEL, number)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        return self._answers.pop(number, None)

    def take_answer(self, number: int, answer: bytes | Failed) -> None:
        """Bring an answer to who waits, if he still does. Raises Malformed when the number is the peer's own."""
        if not self._numbers.owns(number):
            raise Malformed("an answer to a request of its own")
        if (task := self._waiting.pop(number, None)) is not None:
            self._answers[number] = answer
            trio.lowlevel.reschedule(task)

    def end(self) -> None:
        """Fail all that wait: the connection is gone."""
        waiting, self._waiting = self._waiting, {}
        for task in waiting.values():
            trio.lowlevel.reschedule(task)
