"""The commands that keep, check and show snapshots."""

import argparse
from typing import Any

from nanobarter.cli.exits import Exit
from nanobarter.cli.reading import client_of
from nanobarter.cli.show_storage import lines_of
from nanobarter.cli.talk import answer_json, follow, say


def _put(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        answer_json(answer)
        return
    for line in lines_of(answer):
        print(line)


def forget(asked: argparse.Namespace) -> int:
    """Forget snapshots; with --prune, free their space too."""
    asks = {"snapshots": asked.snapshots, "keep": asked.keep, "dry_run": asked.dry_run}
    done = follow(client_of(asked).stream("/v1/forget", asks))
    if not done["published"]:
        say("no peer could be told yet", "the next backup or prune tells them")
    if not asked.prune or asked.dry_run:
        _put(done, as_json=asked.json)
        return Exit.DONE
    if not asked.json:
        _put(done, as_json=False)
    return prune(asked)


def prune(asked: argparse.Namespace) -> int:
    """Free the space of what no snapshot needs."""
    done = follow(client_of(asked).stream("/v1/prune", {"dry_run": asked.dry_run}))
    _put(done, as_json=asked.json)
    return Exit.FAILED if done["short"] or done["unread"] or done["missing_chunks"] else Exit.DONE
