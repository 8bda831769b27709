"""The commands that change what this disk lends."""

import argparse

from nanobarter.cli.exits import Exit
from nanobarter.cli.reading import client_of, put
from nanobarter.cli.talk import say


def change(asked: argparse.Namespace) -> int:
    """Grow or shrink the pledge; one that promises forbid is a failure, and the answer says which."""
    answer = client_of(asked).post(f"/v1/offer/{asked.way}", {"space": asked.space, "kind": asked.kind})
    put(answer, as_json=asked.json)
    if answer["changed"]:
        return Exit.DONE
    say("nothing was changed: more is promised than would be left", "shrink by less, or wait until these have ended")
    return Exit.FAILED
