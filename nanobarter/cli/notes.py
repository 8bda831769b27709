"""The commands of somebody who hands notes on: list, send, receive, verify, refresh, and find them by the phrase."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.reading import client_of, put
from nanobarter.cli.table import mib, short
from nanobarter.cli.talk import follow, say
from nanobarter.core.errors import LocalFault, UsageError

LINE_BYTES_MAX: Final = 256 * 1024  # the longest line is about 30 kB, and mail programs add breaks
QR_BORDER: Final = 2  # light modules around the code; the standard asks for four, readers do with two


def list_(asked: argparse.Namespace) -> int:
    """Show the notes, the lines made and the lines that wait."""
    put(client_of(asked).get("/v1/note/list", {"lines": "yes" if asked.lines else ""}), as_json=asked.json)
    return Exit.DONE


def send(asked: argparse.Namespace) -> int:
    """Make a line: the line alone on stdout, what it means on stderr."""
    if asked.qr_file is not None:
        _refuse_used(asked.qr_file)
    terms = {"quantity": asked.size, "kind": asked.kind, "issuer": asked.issuer}
    made = client_of(asked).post("/v1/note/send", terms)
    put(made, as_json=asked.json)
    say(f"whoever holds this line owns {mib(made['mib'])} of {made['kind']} space at {short(made['issuer'])}")
    say("until it is received you may take it back", "nbctl note receive; the line is kept: nbctl note list --lines")
    if asked.qr_file is not None:
        _save_code(made["line"], asked.qr_file)
    if asked.qr:
        _draw_code(made["line"])
    return Exit.DONE


def receive(asked: argparse.Namespace) -> int:
    """Swap a line for notes of one's own; "yours now" is said only with the mint's receipt."""
    answer = client_of(asked).post("/v1/note/receive", {"line": _line(asked.line)})
    put(answer, as_json=asked.json)
    if answer["state"] == "yours":
        return Exit.DONE
    say(
        f"not yet safe: {answer['problem']}; its giver could still take it back",
        "the line is kept and tried again; see nbctl note list",
    )
    return Exit.NOT_YET


def verify(asked: argparse.Namespace) -> int:
    """Tell what a line is worth; a spent one is a failure."""
    answer = client_of(asked).post("/v1/note/verify", {"line": _line(asked.line), "ask": asked.ask})
    put(answer, as_json=asked.json)
    return Exit.FAILED if answer["spent_mib"] else Exit.DONE


def refresh(asked: argparse.Namespace) -> int:
    """Swap notes for fresh ones."""
    answer = client_of(asked).post("/v1/note/refresh", {"issuer": asked.issuer, "everything": asked.all})
    put(answer, as_json=asked.json)
    return Exit.FAILED if any(row["problem"] for row in answer["renewed"]) else Exit.DONE


def restore(asked: argparse.Namespace) -> int:
    """Find the phrase's notes again; an issuer that did not answer is a failure, as its notes are still to come."""
    done = follow(client_of(asked).stream("/v1/wallet/restore", {"issuer": asked.issuer}))
    put(done, as_json=asked.json)
    return Exit.FAILED if any(row["problem"] for row in done["issuers"]) else Exit.DONE


def _line(given: str) -> str:
    """Return the line from the command line or, for ``-``, from stdin, where no other user's ``ps`` sees it."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        say("paste the line, then Enter")
        text = sys.stdin.readline(LINE_BYTES_MAX)
    else:
        text = sys.stdin.read(LINE_BYTES_MAX + 1)
    if len(text) > LINE_BYTES_MAX:
        raise UsageError("this is no note: it is too long", hint="give the one line that begins with nbn1")
    if not text.strip():
        raise UsageError("no line came in", hint="give the line that begins with nbn1")
    return text


# -- codes


def _code(line: str) -> Any:
    import segno  # noqa: PLC0415 - only who wants a code pays for it

    try:
        return segno.make_qr(line, error="l", boost_error=False)
    except segno.DataOverflowError:
        raise CommandFailed(
            "the line is too long for a QR code",
            hint="the line is good: hand it on as text, or send less at once (few powers of two make few notes)",
        ) from None


def _draw_code(line: str) -> None:
    code = _code(line)
    columns, _ = code.symbol_size(scale=1, border=QR_BORDER)
    room = shutil.get_terminal_size().columns
    if sys.stderr.isatty() and columns > room:
        raise CommandFailed(
            f"the code needs {columns} columns, the terminal has {room}",
            hint="the line is good; widen the terminal and see nbctl note list --lines, or use --qr-file",
        )
    code.terminal(out=sys.stderr, border=QR_BORDER, compact=True)


def _refuse_used(path: Path) -> None:
    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"{path} is neither a .png nor a .svg", hint="--qr-file note.png")
    if path.exists():
        raise UsageError(f"{path} exists", hint="name a new file")


def _save_code(line: str, path: Path) -> None:
    code = _code(line)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)  # it is money
        with os.fdopen(descriptor, "wb") as file:
            code.save(file, kind=path.suffix[1:], scale=4)
    except OSError as error:
        raise LocalFault(
            f"cannot write {path}: {error.strerror}", hint="the line is good: nbctl note list --lines"
        ) from None
