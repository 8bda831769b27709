"""One operation, callable again after a crash: find the body that was written, or write one, and send it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from nanobarter.core.errors import InvariantBroken, Reason, Refused
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, after
from nanobarter.mint.answer_messages import Answer, Refusal
from nanobarter.wallet import rows
from nanobarter.wallet.courier import Courier
from nanobarter.wallet.rows import Cheque


class Acts:
    """Keeps operations repeatable: one body per subject, one call at a time for each."""

    def __init__(self, *, store: Store, clock: Clock, limits: Limits, courier: Courier) -> None:
        self._store, self._clock, self._limits, self._courier = store, clock, limits, courier
        self._busy: dict[bytes, trio.Lock] = {}

    def until(self) -> Instant:
        """Return how long a body written now stays valid."""
        return after(self._clock.now(), self._limits.wallet_body_valid)

    async def act(
        self,
        subject: bytes,
        make: Callable[[], Awaitable[Cheque | Refused]],
        fits: Callable[[Cheque], bool] = lambda _: True,
    ) -> Answer | Refused:
        """Send the body of a subject, writing one first where none is; a dead one found there is replaced once.

        One that does not fit is left alone: the answer to another question would be taken for that to this one.
        """
        async with self._one_at_a_time(subject):
            old = self._store.read_now(lambda db: rows.find_cheque(db, subject))
            if old is not None:
                if not fits(old):
                    return Refused(Reason.CONFLICT, "something else was asked for under this name before")
                answer = await self._courier.deliver(old)
                if not isinstance(answer, Refusal):
                    return answer
                if self._store.read_now(lambda db: rows.find_cheque(db, subject)) is not None:
                    return no_of(answer)
            made = await make()
            return made if isinstance(made, Refused) else await self._courier.deliver(made)

    @asynccontextmanager
    async def _one_at_a_time(self, subject: bytes) -> AsyncGenerator[None]:
        """Hold off a second call for the same subject until the first is through."""
        busy = self._busy.setdefault(subject, trio.Lock())
        try:
            async with busy:
                yield
        finally:
            if not busy.locked():
                self._busy.pop(subject, None)


def no_of(answer: Answer | Refused) -> Refused:
    """Return the no of an operation that did not get what it asked for."""
    if isinstance(answer, Refused):
        return answer
    if isinstance(answer, Refusal):
        return Refused(answer.reason, answer.detail)
    raise InvariantBroken(f"an operation was answered with {type(answer).__name__}")
