"""The commands that only read: ask, show, and let the exit code tell what a script wants to know."""

import argparse
from typing import Any

from nanobarter.cli.client import Client
from nanobarter.cli.exits import Exit
from nanobarter.cli.show import lines_of
from nanobarter.cli.talk import answer_json, plain
from nanobarter.daemon.home import Home, default_home


def client_of(asked: argparse.Namespace) -> Client:
    """Return a client of the home that was named, or of the default one."""
    return Client(Home.open(asked.home or default_home()))


def put(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print an answer."""
    if as_json:
        answer_json(answer)
        return
    for line in lines_of(answer):
        print(plain(line))


def read(asked: argparse.Namespace) -> int:
    """Show one answer of the daemon; packs that are in danger, and snapshots that cannot be had, are in the code."""
    answer = client_of(asked).get(asked.path)
    put(answer, as_json=asked.json)
    return _health_code(answer)


def audit(asked: argparse.Namespace) -> int:
    """Have every share challenged, then show the health: packs in danger come before a peer that failed its proof."""
    answer = client_of(asked).post("/v1/audit", {})
    put(answer, as_json=asked.json)
    wrong = any(problem["kind"] == "wrong" for problem in answer["problems"])
    return _health_code(answer) or (Exit.FAILED if wrong else Exit.DONE)


def _health_code(answer: dict[str, Any]) -> int:
    health = answer.get("health", answer if answer["type"] == "health" else {})
    if health.get("below_threshold"):
        return Exit.BELOW_THRESHOLD
    if answer["type"] == "health" and health["state"] == "fetching":
        return Exit.FAILED
    if answer["type"] == "snapshots" and any(row["fate"] in ("away", "part", "lost") for row in answer["snapshots"]):
        return Exit.BELOW_THRESHOLD
    drill = answer.get("drill")
    return Exit.FAILED if drill and drill["problem_count"] else Exit.DONE


def mint_audit(asked: argparse.Namespace) -> int:
    """Check the mint's books; a finding is a failure."""
    answer = client_of(asked).get("/v1/mint/audit")
    put(answer, as_json=asked.json)
    return Exit.DONE if answer["ok"] else Exit.FAILED


def market_clear(asked: argparse.Namespace) -> int:
    """Match the books of a file, without a daemon."""
    from nanobarter.cli.market_files import clear  # noqa: PLC0415 - the matcher loads for those who clear

    return clear(asked.book, asked.rules, asked.json)


def market_flow(asked: argparse.Namespace) -> int:
    """Compute the flows of a file, without a daemon."""
    from nanobarter.cli.market_files import flow  # noqa: PLC0415 - as above

    return flow(asked.file, asked.json)


def completion(asked: argparse.Namespace) -> int:
    """Print the completion script of a shell."""
    import shtab  # noqa: PLC0415 - used once per machine

    from nanobarter.cli.main import parser  # noqa: PLC0415 - main loads us, not we it

    print(shtab.complete(parser(), shell=asked.shell))
    return Exit.DONE
