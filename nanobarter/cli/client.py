"""Asks the daemon of a home: HTTP/1.1 over its Unix socket, one request per connection, h11 for the framing."""

import json
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import urlencode

import h11

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.last_words import last_words, wait_last_words
from nanobarter.core.pathtext import sendable
from nanobarter.daemon.home import Home

Answer = dict[str, Any]

_LINE_BYTES_MAX: Final = 64 * 1024 * 1024  # a ledger of years fits; our own daemon is not hostile, only buggy
_OK: Final = 200
_NO_CREDIT: Final = frozenset({"NO_CAPACITY", "NO_STOCK", "OVER_QUOTA", "UNVETTED"})


class Client:
    """The local API of one home. Every failure is a CommandFailed with the exit code that it means."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a question."""
        return self._single("GET", target_of(path, query or {}), {})

    def post(self, path: str, params: Mapping[str, object]) -> Answer:
        """Return the answer to a request that does something short."""
        return self._single("POST", path, params)

    def stream(self, path: str, params: Mapping[str, object]) -> Generator[Answer]:
        """Yield the events of a long job as they come; the last is its result. Closing it cancels the job."""
        ended = False
        for event in self._request("POST", path, params):
            ended = event.get("type") != "progress"
            yield event
        if not ended:
            why, hint = wait_last_words(self._home)
            message = "the daemon went away in the middle of the work" + (f": {why}" if why else "")
            raise CommandFailed(message, hint=hint or "see its log, then run again")

    def _single(self, method: str, path: str, params: Mapping[str, object]) -> Answer:
        for answer in self._request(method, path, params):
            return answer
        raise CommandFailed("the daemon went away without an answer", hint="see its log")

    def _request(self, method: str, path: str, params: Mapping[str, object]) -> Generator[Answer]:
        body = json.dumps(sendable(dict(params))).encode() if method == "POST" else b""
        headers = [("Host", "localhost"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        http = h11.Connection(h11.CLIENT)
        with self._connected() as sock:
            sent = http.send(h11.Request(method=method, target=path, headers=headers)) or b""
            sent += http.send(h11.Data(data=body)) or b""
            sent += http.send(h11.EndOfMessage()) or b""
            sock.sendall(sent)
            yield from _answers(http, sock)

    @contextmanager
    def _connected(self) -> Generator[socket.socket]:
        path = self._home.find_socket()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            try:
                sock.connect(str(path))
            except OSError:
                why, hint = last_words(self._home)
                message = f"no daemon answers for {self._home.path}"
                if why and self._home.running_pid() is None:
                    raise CommandFailed(
                        f"{message}; the last one ended: {why}", hint=hint, code=Exit.NO_DAEMON
                    ) from None
                raise CommandFailed(message, hint="start it: nbctl up", code=Exit.NO_DAEMON) from None
            yield sock
        except (ConnectionError, h11.RemoteProtocolError):
            why, hint = wait_last_words(self._home)
            message = "the connection to the daemon broke" + (f": {why}" if why else "")
            code = Exit.FAILED if why else Exit.NO_DAEMON
            raise CommandFailed(message, hint=hint or "see its log", code=code) from None
        finally:
            sock.close()


def target_of(path: str, query: Mapping[str, str]) -> str:
    """Return what a request asks for, in ASCII whatever a person typed, also bytes that are no text."""
    return f"{path}?{urlencode(query, errors='surrogateescape')}" if query else path


def _answers(http: h11.Connection, sock: socket.socket) -> Generator[Answer]:
    status, rest, lines = _OK, b"", False
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(sock.recv(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            lines = dict(event.headers).get(b"content-type") == b"application/x-ndjson"
        elif isinstance(event, h11.Data):
            rest += bytes(event.data)
            if lines:
                *whole, rest = rest.split(b"\n")
                for line in whole:
                    yield _read(line, status)
            if len(rest) > _LINE_BYTES_MAX:
                raise CommandFailed("the daemon's answer is too large")
        else:
            break
    if rest:
        yield _read(rest, status)


def _read(text: bytes, status: int) -> Answer:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CommandFailed("the daemon's answer is not understood", hint="is it as new as nbctl?")
    told = cast("Answer", answer)
    if status != _OK or told.get("type") == "error":
        raise _failure(told)
    return told


def _failure(told: Answer) -> CommandFailed:
    kind, reason = str(told.get("kind", "")), str(told.get("reason", ""))
    code = Exit.FAILED
    if kind == "usage":
        code = Exit.USAGE
    elif kind == "unreachable" or reason in _NO_CREDIT:
        code = Exit.NO_CREDIT
    return CommandFailed(str(told.get("message", "the daemon failed")), hint=str(told.get("hint", "")), code=code)
