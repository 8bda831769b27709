"""The requests of the peer over one connection: each a task with its deadline, all within the peer's bounds."""

from collections.abc import Callable

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.net.calls import Post
from nanobarter.net.frames import Kind
from nanobarter.net.messages import FailedBody, Request
from nanobarter.net.methods import Failed, Failure, Methods


class Serving:
    """What the peer asked and was not answered yet."""

    def __init__(self, peer: NodeId, methods: Methods, limits: Limits, post: Post, unsent: Callable[[], int]) -> None:
        self._peer, self._methods, self._limits, self._post, self._unsent = peer, methods, limits, post, unsent
        self._scopes: dict[int, trio.CancelScope] = {}
        self._bulk_turns = trio.Semaphore(limits.bulk_at_once_max)
        self._owed = 0  # bytes of request bodies in work
        self.served = 0

    def __len__(self) -> int:
        return len(self._scopes)

    def __contains__(self, number: int) -> bool:
        return number in self._scopes

    def take_request(self, number: int, body: bytes, nursery: trio.Nursery) -> None:
        """Serve a request in the nursery, or refuse it when there are too many. Raises Malformed."""
        request = decode(body, Request, size_max=len(body))
        if self._is_busy():
            self._post_failed(number, Failed(Failure.BUSY, "too many requests at once"))
            return
        scope = trio.CancelScope(deadline=trio.current_time() + request.timeout / 1000)
        self._scopes[number] = scope
        self._owed += len(request.body)
        nursery.start_soon(self._serve, number, request, scope)

    def cancel(self, number: int) -> None:
        """Stop working on a request: no answer is wanted any more."""
        if number in self._scopes:
            self._scopes[number].cancel()

    def _is_busy(self) -> bool:
        return (
            len(self._scopes) >= 2 * self._limits.requests_at_once_max  # twice: its cancels may still be on the way
            or self._owed + self._unsent() > self._limits.owed_bytes_max
        )

    async def _serve(self, number: int, request: Request, scope: trio.CancelScope) -> None:
        try:
            with scope:
                if request.bulk:
                    async with self._bulk_turns:
                        answer = await self._methods.answer(self._peer, request.method, request.body)
                else:
                    answer = await self._methods.answer(self._peer, request.method, request.body)
                if isinstance(answer, Failed):
                    self._post_failed(number, answer)
                else:
                    self._post(Kind.ANSWER, number, answer, bulk=request.bulk)
                self.served += 1
        finally:
            del self._scopes[number]
            self._owed -= len(request.body)

    def _post_failed(self, number: int, failed: Failed) -> None:
        self._post(Kind.FAILED, number, failed_body(failed))


def failed_body(failed: Failed) -> bytes:
    """Return the body of a FAILED frame."""
    return encode(FailedBody(failed.failure, failed.detail[:300]))
