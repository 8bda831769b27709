"""The counter of the mint: requests come in, are looked up, authorised, committed together, signed and answered.

That order is the whole safety. A crash between any two steps loses nothing, since an answer can be made again
from the rows (``recall``).
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken, NanobarterError, Reason, Refused
from nanobarter.core.keys import Signed
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.mint import operations, times
from nanobarter.mint.answers import Speaker
from nanobarter.mint.authority import authorise
from nanobarter.mint.events import MintEvent
from nanobarter.mint.messages import REQUEST_BYTES_MAX, Body, Request, request_id_of
from nanobarter.mint.outcomes import Book, Case, Done, No, Outcome
from nanobarter.mint.recall import replay
from nanobarter.mint.rows import Db


@dataclass
class _Reply:
    """Where the answer to one request will be."""

    done: trio.Event = field(default_factory=trio.Event)
    answer: bytes = b""
    error: NanobarterError | None = None


class Desk:
    """Serves requests on what ``book`` returns at that moment; ``told`` hears of changes after their commit."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        book: Callable[[], Book],
        speaker: Speaker,
        told: Callable[[MintEvent], None],
    ) -> None:
        self._store, self._clock, self._book = store, clock, book
        self._speaker, self._tell = speaker, told
        self._workers: trio.Nursery | None = None

    @asynccontextmanager
    async def staffed(self) -> AsyncGenerator[None]:
        """Give the desk tasks of its own while the block runs; without, a caller's task does all the work."""
        try:
            async with trio.open_nursery() as self._workers:
                yield
                self._workers.cancel_scope.cancel()
        finally:
            self._workers = None

    async def serve(self, body: bytes) -> bytes:
        """Return the signed answer to one request. Raises Malformed when the bytes are none."""
        request = decode(body, Request, size_max=REQUEST_BYTES_MAX)
        inner = decode(request.body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
        case = Case(request_id_of(request.body), inner, request.witnesses)
        if self._workers is None:
            return encode(await self._serve(case))
        # A peer that hangs up cancels this handler, but what it asked for may be committed already, and then our
        # own observers must hear of it. So the work belongs to ``run``, and only the waiting to the peer.
        reply = _Reply()
        self._workers.start_soon(self._serve_into, case, reply)
        await reply.done.wait()
        if reply.error is not None:
            raise reply.error
        return reply.answer

    async def _serve_into(self, case: Case, reply: "_Reply") -> None:
        try:
            reply.answer = encode(await self._serve(case))
        except NanobarterError as error:
            reply.error = error
            if isinstance(error, InvariantBroken):
                raise
        finally:
            reply.done.set()

    async def _serve(self, case: Case) -> Signed:
        done = await self._decide(case)
        signed, event = await trio.to_thread.run_sync(self._speaker.say, case, done)
        if event is not None:
            self._tell(event)
        return signed

    async def _decide(self, case: Case) -> Done:
        book = self._book()
        if case.body.mint != book.node:
            now = self._store.read_now(lambda db: times.newest_time(db, self._clock.now()))
            return Done(No(Refused(Reason.WRONG_MINT, "the request is for another mint"), now))
        early = await self._store.read(lambda db: self._look_up(db, book, case))
        if early is not None:
            return Done(early)
        return await self._store.write(lambda db: operations.apply(db, book, case, self._clock.now()))

    def _look_up(self, db: Db, book: Book, case: Case) -> Outcome | None:
        now = times.newest_time(db, self._clock.now())
        if (before := replay(db, book, case, now)) is not None:
            return before
        refused = authorise(db, book, case)
        return None if refused is None else No(refused, now)
