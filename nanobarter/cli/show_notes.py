"""Notes as a person reads them."""

from collections.abc import Callable, Iterator
from typing import Final, cast

from nanobarter.cli.table import mib, short, table, when
from nanobarter.daemon import facade_notes as f
from nanobarter.daemon.shape import Shape

Teller = tuple[type[Shape], Callable[[Shape], Iterator[str]]]


def _list(notes: f.NoteList) -> Iterator[str]:
    rows = (
        (short(row.issuer), row.kind, f"{row.count} x {row.mib} MiB", row.state, when(row.redeem_until))
        for row in notes.notes
    )
    yield from table(("issuer", "kind", "notes", "state", "until"), rows, "no notes")
    if notes.sent:
        yield ""
        sent = ((row.name, short(row.issuer), row.kind, mib(row.mib), when(row.at)) for row in notes.sent)
        yield from table(("line sent", "issuer", "kind", "space", "made"), sent, "")
        yield from (row.line for row in notes.sent if row.line)
    if notes.waiting:
        yield ""
        waiting = ((row.name, short(row.issuer), mib(row.mib), when(row.since), row.problem) for row in notes.waiting)
        yield from table(("not yet ours", "issuer", "space", "since", "problem"), waiting, "")


def _sent(sent: f.NoteSent) -> Iterator[str]:
    yield sent.line


def _received(got: f.NoteReceived) -> Iterator[str]:
    if got.state == "yours":
        yield f"yours now: {mib(got.mib)} of {got.kind} space at {short(got.issuer)}"
    else:
        yield f"kept, not yours yet: {mib(got.mib)} at {short(got.issuer)}"


def _verified(note: f.NoteVerified) -> Iterator[str]:
    yield f"{mib(note.mib)} of {note.kind} space at {note.issuer}, good until {when(note.redeem_until)}"
    if note.own:
        yield "you made this line, and did not take it back"
    if note.spent_mib is None:
        yield "signed by its mint; whether it is spent only its mint knows: --ask, or receive it"
    elif note.spent_mib:
        yield f"spent: {mib(note.spent_mib)} of it"
    else:
        yield "not spent when its mint answered; it is yours only when you have received it"


def _refreshed(done: f.NotesRefreshed) -> Iterator[str]:
    rows = ((short(row.issuer), row.kind, mib(row.mib), row.problem) for row in done.renewed)
    nothing = "nothing to renew: no note held here is old enough, or none of that issuer is held"
    return table(("issuer", "kind", "renewed", "problem"), rows, nothing)


def _restored(done: f.WalletRestored) -> Iterator[str]:
    yield f"{mib(done.mib)} came back from {done.asked} issuers"
    if done.issuers:
        rows = ((short(row.issuer), mib(row.mib), row.problem) for row in done.issuers)
        yield from table(("issuer", "space", "problem"), rows, "")


TELLERS: Final = cast(
    "dict[str, Teller]",
    {
        "note_list": (f.NoteList, _list),
        "note_send": (f.NoteSent, _sent),
        "note_receive": (f.NoteReceived, _received),
        "note_verify": (f.NoteVerified, _verified),
        "note_refresh": (f.NotesRefreshed, _refreshed),
        "wallet_restore": (f.WalletRestored, _restored),
    },
)
