"""The commands that keep, check and show snapshots."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.reading import client_of
from nanobarter.cli.show_storage import lines_of
from nanobarter.cli.talk import answer_json, follow, plain, say


def _put(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        answer_json(answer)
        return
    for line in lines_of(answer):
        print(plain(line))


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


def ls(asked: argparse.Namespace) -> int:
    """List a folder of a snapshot."""
    path = str(Path(asked.path).expanduser().absolute()) if asked.path else ""
    return _listed(asked, "/v1/ls", {"snapshot": asked.snapshot, "path": path})


def find(asked: argparse.Namespace) -> int:
    """List what a pattern matches."""
    return _listed(asked, "/v1/find", {"snapshot": asked.snapshot, "pattern": asked.pattern})


def _listed(asked: argparse.Namespace, route: str, wish: dict[str, Any]) -> int:
    done = follow(client_of(asked).stream(route, wish))
    _put(done, as_json=asked.json)
    for folder in done["lost"]:
        say(
            f"{folder} is lost: no peer can bring it back" if folder in done["gone"] else f"{folder} cannot be read now"
        )
    return Exit.FAILED if done["lost"] or not done["rows"] else Exit.DONE


def diff(asked: argparse.Namespace) -> int:
    """Tell what differs between two snapshots."""
    done = follow(client_of(asked).stream("/v1/diff", {"old": asked.old, "new": asked.new}))
    _put(done, as_json=asked.json)
    return Exit.DONE


def check(asked: argparse.Namespace) -> int:
    """Check what is stored."""
    done = follow(client_of(asked).stream("/v1/check", {"read_data": asked.read_data}))
    _put(done, as_json=asked.json)
    if done["unreadable"] or done["damaged"] or done["missing_chunks"] or done["mended"]:
        return Exit.FAILED
    return Exit.BELOW_THRESHOLD if done["below_threshold"] else Exit.DONE


def drill(asked: argparse.Namespace) -> int:
    """Restore a sample and compare it."""
    done = follow(client_of(asked).stream("/v1/drill", {"snapshot": asked.snapshot, "files": asked.files}))
    _put(done, as_json=asked.json)
    return Exit.FAILED if done["problem_count"] else Exit.DONE


def explain(asked: argparse.Namespace) -> int:
    """Tell why a path is kept or not, and where it is."""
    path = os.path.abspath(os.path.expanduser(asked.path))  # noqa: PTH100, PTH111 - collapses .., follows no link
    done = follow(client_of(asked).stream("/v1/explain", {"path": path}))
    _put(done, as_json=asked.json)
    if done["below_threshold"]:
        return Exit.BELOW_THRESHOLD
    return Exit.DONE if any(row["present"] for row in done["snapshots"]) else Exit.FAILED


def dump(asked: argparse.Namespace) -> int:
    """Write one file of a snapshot to stdout: restored to a private place first, so that only whole files are shown."""
    path = Path(asked.path).expanduser().absolute()
    with tempfile.TemporaryDirectory(prefix="nbctl-dump-") as scratch:
        target = Path(scratch) / "back"
        wish = {"snapshot": asked.snapshot, "target": str(target), "paths": [str(path)]}
        done = follow(client_of(asked).stream("/v1/restore", wish))
        found = [one for one in target.rglob("*") if not one.is_dir()]
        if done["problem_count"] or len(found) != 1 or found[0].name != path.name or not found[0].is_file():
            why = "; ".join(done["problems"]) or "it is not one file"
            raise CommandFailed(f"{path} cannot be shown: {why}", hint="list it: nbctl ls")
        with found[0].open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    return Exit.DONE
