"""The local API: HTTP/1.1 with JSON over a Unix socket that only the owner may open.

One request per connection, then it closes: local connections cost nothing, and no state can leak from one
request into the next. A route's handler answers with one object, or with an async iterator of objects that go
out as lines (application/x-ndjson) as they come; a failure after the first line is a last line of type
``error``. When the client goes away, its job is cancelled. Framing is h11's; nothing here parses HTTP.
"""

import logging
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec
import trio

from nanobarter.core.errors import (
    InvariantBroken,
    LocalFault,
    PeerFault,
    Reason,
    Refused,
    Unreachable,
    UsageError,
)
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.pathtext import printable

Params = dict[str, Any]
Answer = dict[str, Any]
Handler = Callable[[Params], Awaitable[Answer] | AsyncIterator[Answer]]
Routes = Mapping[tuple[str, str], Handler]

HTTP_OK: Final = 200
_READ_BYTES: Final = 64 * 1024
_DRAIN_READS_MAX: Final = 64
_BACKLOG: Final = 128  # connections that wait for their turn, in the kernel
_TIDY_SECONDS: Final = 5.0  # for a cancelled job to leave its files in order
_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """Carries a Refused out of a handler to the person who asked; for the edge of the daemon only."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail or refused.reason.name)
        self.refused = refused


@dataclass(frozen=True)
class _Failure:
    status: int
    kind: str
    message: str
    hint: str = ""
    reason: str = ""

    def as_json(self) -> Answer:
        told: Answer = {"type": "error", "kind": self.kind, "message": printable(self.message), "hint": self.hint}
        return {**told, "reason": self.reason} if self.reason else told


class _BadRequest(Exception):
    def __init__(self, failure: _Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def serve_api(
    path: Path,
    routes: Routes,
    *,
    limits: Limits = LIMITS,
    task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the routes at this path until cancelled; started with the path once it can be called.

    An old socket at the path is removed: the caller holds the lock of the home. Raises LocalFault when the
    socket cannot be made.
    """
    listener = _listen(path)
    gate = trio.CapacityLimiter(limits.api_connections_max)

    async def serve(stream: trio.SocketStream) -> None:
        async with gate:
            await _Connection(stream, routes, limits).serve()

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, serve, [listener])
            task_status.started(path)
    finally:
        _remove_socket(path)


def _remove_socket(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise LocalFault(f"{path} is in the way and no socket", hint="move it away")
        path.unlink()


def _listen(path: Path) -> trio.SocketListener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_socket(path)
        old = os.umask(0o177)  # a chmod afterwards would leave a moment in which others could connect
        try:
            sock.bind(os.fsencode(path))
        finally:
            os.umask(old)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise LocalFault(f"cannot open the socket {path}: {error.strerror}", hint="check the folder's owner") from None
    except LocalFault:
        sock.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


class _Connection:
    """One connection: one request, one answer."""

    def __init__(self, stream: trio.SocketStream, routes: Routes, limits: Limits) -> None:
        self._stream = stream
        self._routes = routes
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)

    async def serve(self) -> None:
        """Answer, then close. Nothing that a client does escapes."""
        try:
            asked = None
            with trio.move_on_after(self._limits.api_request_timeout / 1000):
                asked = await self._read_request()
            if asked:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, nursery.cancel_scope)
                    await self._answer(*asked)
                    nursery.cancel_scope.cancel()
        except* _BadRequest as group:
            await self._send_failure(cast("_BadRequest", group.exceptions[0]).failure)
            await self._drain()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError):
            pass  # the client went away
        finally:
            with trio.move_on_after(1, shield=True):
                await self._stream.aclose()

    async def _drain(self) -> None:
        """Take what a refused client still sends: closing over unread bytes would reset the answer away."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError), trio.move_on_after(1):
            await self._stream.send_eof()
            for _ in range(_DRAIN_READS_MAX):
                if not await self._stream.receive_some(_READ_BYTES):
                    break

    async def _watch(self, job: trio.CancelScope) -> None:
        """Cancel the job when the client hangs up; what it sends beyond its request is not read further."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.receive_some(1)
        job.cancel()

    # -- the request

    async def _read_request(self) -> tuple[Handler, Params]:
        request = await self._next_event()
        if not isinstance(request, h11.Request):
            raise trio.BrokenResourceError
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > self._limits.api_body_bytes_max:
                raise _BadRequest(_Failure(413, "usage", "the request is too large"))
        target = urlsplit(request.target.decode("ascii", "replace"))
        handler = self._find(request.method.decode("ascii", "replace"), target.path)
        params: Params = dict(parse_qsl(target.query, keep_blank_values=True))
        if body:
            try:
                params |= msgspec.json.decode(bytes(body), type=dict[str, Any])
            except (msgspec.MsgspecError, RecursionError) as error:  # the latter from hostile nesting
                raise _BadRequest(_Failure(400, "usage", f"the request is not a JSON object: {error}")) from None
        return handler, params

    def _find(self, method: str, path: str) -> Handler:
        if handler := self._routes.get((method, path)):
            return handler
        if methods := [known for known, where in self._routes if where == path]:
            raise _BadRequest(_Failure(405, "usage", f"{path} takes {' or '.join(methods)}, not {method}"))
        raise _BadRequest(_Failure(404, "usage", f"there is no {path}", hint="is the daemon as new as nbctl?"))

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise _BadRequest(_Failure(error.error_status_hint, "usage", f"not HTTP: {error}")) from None
            if event is not h11.NEED_DATA:
                return cast("h11.Event | type[h11.PAUSED]", event)
            self._http.receive_data(await self._stream.receive_some(_READ_BYTES))

    # -- the answer

    async def _answer(self, handler: Handler, params: Params) -> None:
        begun = False
        try:
            answer = handler(params)
            if not isinstance(answer, AsyncIterator):
                await self._send(HTTP_OK, "application/json", msgspec.json.encode(await answer))
                return
            async with closing_job(answer):
                async for event in answer:
                    if not begun:
                        # The status waits for the first line, so that a job that fails at once fails as a request.
                        await self._start(HTTP_OK, [("Content-Type", "application/x-ndjson")])
                        begun = True
                    await self._put(h11.Data(data=msgspec.json.encode(event) + b"\n"))
            if not begun:
                await self._start(HTTP_OK, [("Content-Type", "application/x-ndjson")])
            await self._put(h11.EndOfMessage())
        except (trio.BrokenResourceError, trio.ClosedResourceError, InvariantBroken):
            raise
        except Exception as error:  # noqa: BLE001 - the daemon's edge: one bad request must not stop the node
            failure = failure_of(error)
            if not begun:
                await self._send_failure(failure)
                return
            await self._put(h11.Data(data=msgspec.json.encode(failure.as_json()) + b"\n"))
            await self._put(h11.EndOfMessage())

    async def _send_failure(self, failure: _Failure) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError):
            await self._send(failure.status, "application/json", msgspec.json.encode(failure.as_json()))

    async def _send(self, status: int, kind: str, body: bytes) -> None:
        await self._start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        await self._put(h11.Data(data=body))
        await self._put(h11.EndOfMessage())

    async def _start(self, status: int, headers: list[tuple[str, str]]) -> None:
        await self._put(h11.Response(status_code=status, headers=[*headers, ("Connection", "close")]))

    async def _put(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            await self._stream.send_all(data)


@asynccontextmanager
async def closing_job(job: AsyncIterator[object]) -> AsyncGenerator[None]:
    """Close a job's iterator on the way out, also under cancellation, and give it a moment to tidy up.

    One that is left to the garbage collector would tidy up at a random time, outside of its nursery.
    """
    try:
        yield
    finally:
        if isinstance(job, AsyncGenerator):
            with trio.move_on_after(_TIDY_SECONDS, shield=True):
                await cast("AsyncGenerator[object]", job).aclose()


def failure_of(error: BaseException) -> _Failure:
    """Return what a person is told of an error: never a traceback; that goes to the log when it is our bug."""
    error = leaf_of(error)
    match error:
        case RefusedError(refused=refused):
            return _Failure(409, "refused", str(error), reason=refused.reason.name)
        case UsageError():
            return _Failure(400, "usage", str(error), error.hint)
        case LocalFault():
            return _Failure(500, "local", str(error), error.hint)
        case Unreachable():
            return _Failure(504, "unreachable", str(error), "see who is there: nbctl peers")
        case PeerFault():
            return _Failure(502, "peer", str(error))
        case _:
            _log.error("a request failed by a bug", exc_info=error)
            what = f"{type(error).__name__}: {error}"
            return _Failure(500, "bug", f"the daemon failed: {what}", "its log says where; please report it")


def leaf_of(error: BaseException) -> BaseException:
    """Return the one error to tell of a group: a bug before a fault, since it may have caused the fault."""
    while isinstance(error, BaseExceptionGroup):
        inner = cast("tuple[BaseException, ...]", error.exceptions)
        error = next((e for e in inner if isinstance(e, InvariantBroken)), inner[0])
    return error


def refuse(reason: Reason, detail: str) -> RefusedError:
    """Return the exception to raise for an expected no."""
    return RefusedError(Refused(reason, detail))
