"""The commands about the book."""

import argparse

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.reading import client_of, put
from nanobarter.cli.talk import answer_json, say


def reliability(asked: argparse.Namespace) -> int:
    """Show how far peers can be relied on."""
    put(client_of(asked).get(f"/v1/peers/reliability?node={asked.node}"), as_json=asked.json)
    return Exit.DONE


def export(asked: argparse.Namespace) -> int:
    """Write the whole book for hledger, beancount or a spreadsheet."""
    answer = client_of(asked).get(f"/v1/ledger/export?format={asked.format}")
    if asked.out is not None:
        try:
            with asked.out.open("x", encoding="utf-8") as file:
                file.write(answer["text"])
        except FileExistsError:
            raise CommandFailed(f"{asked.out} exists already", hint="name a new file", code=Exit.USAGE) from None
        say(f"{answer['entries']} entries are in {asked.out}")
    if asked.json:
        answer_json(answer)
    elif asked.out is None:
        print(answer["text"], end="")
    return Exit.DONE
