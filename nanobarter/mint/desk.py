"""The counter of the mint: requests come in, are looked up, authorised, committed together, signed and answered.

That order is the whole safety. A crash between any two steps loses nothing, since an answer can be made again
from the rows (``recall``). What waits at the same time goes through the steps together: one visit to a worker
thread, one commit with one fsync, and a few workers that sign, since each visit costs as much as a signature check.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken, NanobarterError, Reason, Refused, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Change, Store
from nanobarter.mint import operations, times
from nanobarter.mint.answers import Speaker
from nanobarter.mint.authority import authorise
from nanobarter.mint.events import MintEvent
from nanobarter.mint.messages import REQUEST_BYTES_MAX, Body, Request, request_id_of
from nanobarter.mint.outcomes import Book, Case, Done, No
from nanobarter.mint.recall import replay
from nanobarter.mint.rows import Db


@dataclass
class _Waiting:
    """A request, and where its answer will be."""

    case: Case
    done: trio.Event = field(default_factory=trio.Event)
    answer: bytes = b""
    error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """End the waiting without an answer, unless there is one."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


def read_case(body: bytes, sender: NodeId | None = None) -> Case:
    """Return the request that these bytes are. Raises Malformed when they are none."""
    request = decode(body, Request, size_max=REQUEST_BYTES_MAX)
    inner = decode(request.body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
    return Case(request_id_of(request.body), inner, request.witnesses, sender)


def _is_expected(error: Exception) -> bool:
    return isinstance(error, NanobarterError) and not isinstance(error, InvariantBroken)


class Desk:
    """Serves requests on what ``book`` returns at that moment; ``told`` hears of changes after their commit."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        limits: Limits,
        book: Callable[[], Book],
        speaker: Speaker,
        told: Callable[[MintEvent], None],
    ) -> None:
        self._store, self._clock, self._limits, self._book = store, clock, limits, book
        self._speaker, self._tell = speaker, told
        self._open = False
        self._queue_in, self._queue_out = trio.open_memory_channel[_Waiting](limits.mint_queue_max)

    async def serve(self, body: bytes, sender: NodeId | None = None) -> bytes:
        """Return the signed answer to one request. Raises Malformed when the bytes are none.

        While ``run`` runs, the work is done by its tasks and the caller only waits: a peer that hangs up cancels
        its handler, but what it asked for may be committed already, and then our own observers must hear of it.
        """
        waiting = _Waiting(read_case(body, sender))
        if self._open:
            try:
                self._queue_in.send_nowait(waiting)
            except trio.WouldBlock:
                await self._queue_in.send(waiting)
            await waiting.done.wait()
        else:
            await self._serve([waiting])
        if waiting.error is not None:
            raise waiting.error
        return waiting.answer

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve what waits, together, until cancelled; who waits then is told that nobody answers."""
        self._open = True
        task_status.started()
        places = trio.Semaphore(self._limits.mint_batches_max)
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await places.acquire()  # before the queue is looked at: nothing in hand may be lost
                    batch = [await self._queue_out.receive()]
                    nursery.start_soon(self._serve_and_leave, batch + self._others(), places)
        finally:
            self._open = False
            for waiting in self._others(everyone=True):
                waiting.fail(Unreachable("the mint is closing"))

    def _others(self, *, everyone: bool = False) -> list[_Waiting]:
        found = list[_Waiting]()
        while everyone or len(found) + 1 < self._limits.mint_batch_max:
            try:
                found.append(self._queue_out.receive_nowait())
            except trio.WouldBlock:
                break
        return found

    async def _serve_and_leave(self, batch: list[_Waiting], places: trio.Semaphore) -> None:
        try:
            await self._serve(batch)
        finally:
            places.release()
            for waiting in batch:
                waiting.fail(Unreachable("the mint is closing"))

    async def _serve(self, batch: Sequence[_Waiting]) -> None:
        """Take requests through all steps. Bugs escape, after everyone has an answer or an error."""
        try:
            decided = await self._decide([waiting.case for waiting in batch])
        except NanobarterError as error:
            decided = [error] * len(batch)
        size = self._limits.mint_sign_together
        async with trio.open_nursery() as nursery:
            for start in range(0, len(batch), size):
                nursery.start_soon(self._answer, batch[start : start + size], decided[start : start + size])
        for waiting in batch:
            if waiting.error is not None and not _is_expected(waiting.error):
                raise waiting.error

    async def _decide(self, cases: Sequence[Case]) -> Sequence[Done | Exception]:
        book = self._book()
        early = await self._store.read(lambda db: [self._look_up(db, book, case) for case in cases])
        found: dict[int, Done | Exception] = {place: done for place, done in enumerate(early) if done is not None}
        rest = [place for place in range(len(cases)) if place not in found]
        if rest:
            changes = [self._change(cases[place]) for place in rest]
            found |= zip(rest, await self._store.write_all(changes), strict=True)
        return [found[place] for place in range(len(cases))]

    def _change(self, case: Case) -> Change[Done]:
        # The book of that moment: keysets may have been withdrawn since the signatures were checked.
        return lambda db: operations.apply(db, self._book(), case, self._clock.now())

    def _look_up(self, db: Db, book: Book, case: Case) -> Done | None:
        now = times.newest_time(db, self._clock.now())
        if case.body.mint != book.node:
            return Done(No(Refused(Reason.WRONG_MINT, "the request is for another mint"), now))
        if (before := replay(db, book, case, now)) is not None:
            return Done(before)
        refused = authorise(db, book, case)
        return None if refused is None else Done(No(refused, now))

    async def _answer(self, batch: Sequence[_Waiting], decided: Sequence[Done | Exception]) -> None:
        said = await trio.to_thread.run_sync(self._say_all, batch, decided)
        for waiting, (answer, event) in zip(batch, said, strict=True):
            if isinstance(answer, Exception):
                waiting.fail(answer)
                continue
            waiting.answer = answer
            waiting.done.set()
            if event is not None:
                self._tell(event)

    def _say_all(
        self, batch: Sequence[_Waiting], decided: Sequence[Done | Exception]
    ) -> list[tuple[bytes | Exception, MintEvent | None]]:
        return [self._say(waiting.case, done) for waiting, done in zip(batch, decided, strict=True)]

    def _say(self, case: Case, done: Done | Exception) -> tuple[bytes | Exception, MintEvent | None]:
        if isinstance(done, Exception):
            return done, None
        try:
            signed, event = self._speaker.say(case, done)
        except Exception as error:  # noqa: BLE001 - handed to the one who asked
            return error, None
        return encode(signed), event
