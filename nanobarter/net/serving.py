"""The requests of the peer over one connection, each with its deadline, all within the peer's bounds.

A task serves one request after the other and waits a little for the next: to start a task and to end it costs as
much as all the rest of a small call.
"""

from collections.abc import Callable
from typing import Final

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.net.calls import Post, Slots
from nanobarter.net.frames import Kind
from nanobarter.net.messages import FailedBody, Request, read_request
from nanobarter.net.methods import Failed, Failure, Methods
from nanobarter.net.timers import Timers

_IDLE_MAX: Final = 64  # tasks that wait for the next request
_IDLE_S: Final = 1.0  # and for how long: an idle connection has none


class Job:
    """One request in work."""

    __slots__ = ("is_over", "number", "request", "scope")

    def __init__(self, number: int, request: Request) -> None:
        self.number, self.request = number, request
        self.scope: trio.CancelScope | None = None
        self.is_over = False
        """Whether nobody wants the answer any more."""

    def expire(self) -> None:
        """Stop working on it."""
        self.is_over = True
        if self.scope is not None:
            self.scope.cancel()


class Serving:
    """What the peer asked and was not answered yet."""

    def __init__(
        self,
        peer: NodeId,
        methods: Methods,
        limits: Limits,
        post: Post,
        *,
        unsent: Callable[[], int],
        timers: Timers,
    ) -> None:
        self._peer, self._methods, self._limits, self._post, self._unsent = peer, methods, limits, post, unsent
        self._timers = timers
        self._jobs: dict[int, Job] = {}
        self._idle: dict[trio.lowlevel.Task, None] = {}
        self._given: dict[trio.lowlevel.Task, Job] = {}
        self._dismisses = False
        self._bulk_turns = Slots(limits.bulk_at_once_max)
        self._owed = 0  # bytes of request bodies in work
        self.served = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, number: int) -> bool:
        return number in self._jobs

    def take_request(self, number: int, body: bytes, nursery: trio.Nursery) -> None:
        """Serve a request in the nursery, or refuse it when there are too many. Raises Malformed."""
        request = read_request(body)
        if self._is_busy():
            self._post_failed(number, Failed(Failure.BUSY, "too many requests at once"))
            return
        job = self._jobs[number] = Job(number, request)
        self._owed += len(request.body)
        if self._idle:
            task, _ = self._idle.popitem()
            self._given[task] = job
            trio.lowlevel.reschedule(task)
        else:
            nursery.start_soon(self._work, job)

    def cancel(self, number: int) -> None:
        """Stop working on a request: no answer is wanted any more."""
        if number in self._jobs:
            self._jobs[number].expire()

    def expire(self) -> None:
        """Let the tasks that wait for a request end."""
        self._dismisses = False
        while self._idle:
            trio.lowlevel.reschedule(self._idle.popitem()[0])

    def _is_busy(self) -> bool:
        return (
            len(self._jobs) >= 2 * self._limits.requests_at_once_max  # twice: its cancels may still be on the way
            or self._owed + self._unsent() > self._limits.owed_bytes_max
        )

    async def _work(self, first: Job) -> None:
        """Serve requests until none comes; one that is given up takes the task with it."""
        job: Job | None = first
        with trio.CancelScope() as scope:
            while job is not None:
                job.scope = scope
                tick = self._timers.add(job, trio.current_time() + job.request.timeout / 1000)
                try:
                    if not job.is_over:
                        await self._serve(job)
                finally:
                    job.scope = None
                    tick.discard(job)
                    del self._jobs[job.number]
                    self._owed -= len(job.request.body)
                job = None if scope.cancel_called else await self._next()

    async def _next(self) -> Job | None:
        if len(self._idle) >= _IDLE_MAX:
            return None
        if not self._dismisses:
            self._dismisses = True
            self._timers.add(self, trio.current_time() + _IDLE_S)
        task = trio.lowlevel.current_task()
        self._idle[task] = None

        def abort(_raise: object) -> trio.lowlevel.Abort:
            self._idle.pop(task, None)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        return self._given.pop(task, None)

    async def _serve(self, job: Job) -> None:
        request = job.request
        if request.bulk:
            await self._bulk_turns.take()
            try:
                answer = await self._methods.answer(self._peer, request.method, request.body)
            finally:
                self._bulk_turns.give()
        else:
            answer = await self._methods.answer(self._peer, request.method, request.body)
        if isinstance(answer, Failed):
            self._post_failed(job.number, answer)
        else:
            self._post(Kind.ANSWER, job.number, answer, bulk=request.bulk)
        self.served += 1

    def _post_failed(self, number: int, failed: Failed) -> None:
        self._post(Kind.FAILED, number, failed_body(failed))


def failed_body(failed: Failed) -> bytes:
    """Return the body of a FAILED frame."""
    return encode(FailedBody(failed.failure, failed.detail[:300]))
