"""The routes of what a person does with notes by hand."""

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade_notes import NotesFacade
from nanobarter.daemon.routing import Asked, many, one


class _List(Asked, frozen=True):
    lines: str = ""


class _Send(Asked, frozen=True):
    quantity: str
    kind: str = ""
    issuer: str = ""


class _Receive(Asked, frozen=True):
    line: str


class _Verify(Asked, frozen=True):
    line: str
    ask: bool = False


class _Refresh(Asked, frozen=True):
    issuer: str = ""
    everything: bool = False


class _Restore(Asked, frozen=True):
    issuer: str = ""


def note_routes(notes: NotesFacade) -> Routes:
    """Return the routes that serve these notes. What a line is travels in bodies, never in a path."""
    return {
        ("GET", "/v1/note/list"): one(_List, lambda asked: notes.list(lines=asked.lines == "yes")),
        ("POST", "/v1/note/send"): one(_Send, lambda asked: notes.send(asked.quantity, asked.kind, asked.issuer)),
        ("POST", "/v1/note/receive"): one(_Receive, lambda asked: notes.receive(asked.line)),
        ("POST", "/v1/note/verify"): one(_Verify, lambda asked: notes.verify(asked.line, ask=asked.ask)),
        ("POST", "/v1/note/refresh"): one(
            _Refresh, lambda asked: notes.refresh(asked.issuer, everything=asked.everything)
        ),
        ("POST", "/v1/wallet/restore"): many(_Restore, lambda asked: notes.restore(asked.issuer)),
    }
