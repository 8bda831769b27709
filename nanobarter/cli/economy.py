"""The commands about the book."""

import argparse
import re
from pathlib import Path

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.reading import client_of, put
from nanobarter.cli.talk import answer_json, say


def reliability(asked: argparse.Namespace) -> int:
    """Show how far peers can be relied on."""
    put(client_of(asked).get("/v1/peers/reliability", {"node": asked.node}), as_json=asked.json)
    return Exit.DONE


def export(asked: argparse.Namespace) -> int:
    """Write the whole book for hledger, beancount or a spreadsheet."""
    answer = client_of(asked).get("/v1/ledger/export", {"format": asked.format})
    if asked.out is not None:
        _write_new(asked.out, answer["text"])
        say(f"{answer['entries']} entries are in {asked.out}")
    if asked.json:
        answer_json(answer)
    elif asked.out is None:
        print(answer["text"], end="")
    return Exit.DONE


def report(asked: argparse.Namespace) -> int:
    """Show one month, and draw it where that is asked for."""
    if asked.month and not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", asked.month):
        raise CommandFailed(f"{asked.month!r} is not a month", hint="write it like 2026-11", code=Exit.USAGE)
    answer = client_of(asked).get("/v1/report", {"month": asked.month})
    if asked.svg is not None:
        from nanobarter.cli.show_month import drawn  # noqa: PLC0415 - only who draws pays for it

        _write_new(asked.svg, drawn(answer))
        say(f"the report is drawn in {asked.svg}")
    put(answer, as_json=asked.json)
    return Exit.DONE


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CommandFailed(f"{path} exists already", hint="name a new file", code=Exit.USAGE) from None
