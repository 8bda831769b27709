"""nbctl: the command line. This file knows the commands; the modules it names do them.

Only argparse is imported here, so that ``nbctl --version`` costs next to nothing: a command names its function as
text, and the module is loaded when it is run. No traceback ever reaches a person; ``NANOBARTER_DEBUG=1`` shows it.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

from nanobarter import __version__
from nanobarter.cli.economy_args import add_economy, add_policy
from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.market_args import add_drafts, add_market
from nanobarter.cli.node_args import add_jobs, add_node
from nanobarter.cli.sim_args import add_sim
from nanobarter.cli.storage_args import add_storage

Command = Callable[[argparse.Namespace], int]

READING = {
    "status": ("the node at a glance; exit 4 when a pack is below its repair threshold", "/v1/status"),
    "snapshots": ("what can be restored", "/v1/snapshots"),
    "balance": ("what stands where, in your own currency", "/v1/balance"),
    "leases": ("space held at others and given to them", "/v1/leases"),
    "plan": ("what the folders need", "/v1/plan"),
    "health": ("what peers have proven to keep", "/v1/health"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        asked = _asked(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.USAGE
    try:
        module, _, function = str(asked.run).partition(":")
        command = cast("Command", getattr(importlib.import_module(f"nanobarter.cli.{module}"), function))
        code = command(asked)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except BaseException as error:  # noqa: BLE001 - the edge of the program: every failure becomes one message
        return _tell(error)
    return code


def _asked(words: Sequence[str]) -> argparse.Namespace:
    top = parser()
    asked, unknown = top.parse_known_args(words)
    if unknown:
        first = unknown[0]
        early = first in words[: words.index(asked.command)]
        hint = f"; options of a command come after it: nbctl {asked.command} ... {first}" if early else ""
        top.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return asked


def _tell(error: BaseException) -> int:
    from nanobarter.cli.talk import say  # noqa: PLC0415 - only a command that fails pays for it
    from nanobarter.core.errors import NanobarterError, Unreachable, UsageError  # noqa: PLC0415 - as above

    if os.environ.get("NANOBARTER_DEBUG"):
        import traceback  # noqa: PLC0415 - asked for

        traceback.print_exception(error)
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseException", error.exceptions[0])
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return Exit.INTERRUPTED
    if isinstance(error, CommandFailed):
        say(str(error), error.hint)
        return error.code
    if isinstance(error, NanobarterError):
        say(str(error), str(getattr(error, "hint", "")))
        if isinstance(error, UsageError):
            return Exit.USAGE
        return Exit.NO_CREDIT if isinstance(error, Unreachable) else Exit.FAILED
    if isinstance(error, OSError):
        say(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        return Exit.FAILED
    say(f"failed by a bug: {type(error).__name__}: {error}", "NANOBARTER_DEBUG=1 shows where; please report it")
    return Exit.FAILED


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="nbctl", description="back up your folders on other people's disks")
    top.add_argument("--version", action="version", version=f"nbctl {__version__}")
    top.add_argument("--home", type=Path, metavar="DIR", help="the home of the node")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    add_node(commands, _command)
    _add_reading(commands)
    _add_offer(commands)
    _add_notes(commands)
    add_market(commands, _command)
    add_drafts(commands, _command)
    add_jobs(commands, _command)
    add_storage(commands, _command)
    add_economy(commands, _command)
    add_policy(commands, _command)
    add_sim(commands, _command)
    _add_friends(commands)
    _add_rest(commands)
    return top


class Commands(Protocol):
    """What argparse calls its subparsers; its own class is private."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:  # noqa: A002 - argparse's name
        """Add a command."""
        ...


def _command(commands: Commands, name: str, text: str, run: str, *, json: bool = False) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    if json:
        command.add_argument("--json", action="store_true", help="answer as JSON")
    return command


def _add_reading(commands: Commands) -> None:
    for name, (text, path) in READING.items():
        _command(commands, name, text, "reading:read", json=True).set_defaults(path=path)
    _command(commands, "audit", "challenge every share now, then tell", "reading:audit", json=True)
    mint = commands.add_parser("mint", help="the own mint", description="the own mint").add_subparsers(
        metavar="WHAT", required=True
    )
    _command(mint, "status", "where the pledged space is", "reading:read", json=True).set_defaults(
        path="/v1/mint/status"
    )
    _command(
        mint, "keysets", "the keys that sign notes: windows, sizes, issued and spent", "reading:read", json=True
    ).set_defaults(path="/v1/mint/keysets")
    _command(mint, "audit", "check the mint's books; exit 1 when they are wrong", "reading:mint_audit", json=True)


def _add_offer(commands: Commands) -> None:
    offer = _command(commands, "offer", "what this disk lends to others", "reading:read", json=True)
    offer.set_defaults(path="/v1/offer")
    what = offer.add_subparsers(metavar="WHAT")
    for way, text in (("grow", "lend so much more"), ("shrink", "lend so much less, as far as promises allow")):
        change = _command(what, way, text, "offering:change", json=True)
        change.set_defaults(way=way)
        change.add_argument("space", metavar="SPACE", help="by how much, such as 5GB")
        change.add_argument("--kind", default="", metavar="KIND", help="of this lease kind only (default: all evenly)")


def _add_notes(commands: Commands) -> None:
    wallet = _command(commands, "wallet", "the notes held", "reading:read", json=True)
    wallet.set_defaults(path="/v1/wallet")
    again = _command(
        wallet.add_subparsers(metavar="WHAT"),
        "restore",
        "find the notes of the phrase again at their issuers",
        "notes:restore",
        json=True,
    )
    again.add_argument("issuer", nargs="?", default="", metavar="ISSUER", help="only this one (default: all known)")
    note = commands.add_parser("note", help="notes by hand", description="notes by hand").add_subparsers(
        metavar="WHAT", required=True
    )
    shown = _command(
        note, "list", "the notes, lines sent, and lines that wait for their mints", "notes:list_", json=True
    )
    shown.add_argument("--lines", action="store_true", help="show the lines sent in full: whoever sees them owns them")
    send = _command(note, "send", "make a line of text that is worth so much", "notes:send", json=True)
    send.add_argument("size", metavar="SIZE", help="how much (MiB, or a size like 5GB, whole MiB)")
    send.add_argument("--kind", default="", metavar="KIND", help="which lease kind, such as 30d")
    send.add_argument("--issuer", default="", metavar="NODE", help="whose notes (default: those held most)")
    send.add_argument("--qr", action="store_true", help="also draw the line as a QR code, on stderr")
    send.add_argument("--qr-file", type=Path, metavar="FILE", help="also save the code as a new .png or .svg")
    take = _command(note, "receive", "swap a line for notes of your own", "notes:receive", json=True)
    check = _command(note, "verify", "what a line is worth, without taking it", "notes:verify", json=True)
    check.add_argument("--ask", action="store_true", help="ask its mint whether it is spent")
    for command in (take, check):
        command.add_argument("line", nargs="?", default="-", metavar="LINE", help="the line (default: read stdin)")
    fresh = _command(note, "refresh", "swap ageing notes for fresh ones now", "notes:refresh", json=True)
    fresh.add_argument("--issuer", default="", metavar="NODE", help="only those of this node")
    fresh.add_argument("--all", action="store_true", help="also notes that are not old")


def _add_friends(commands: Commands) -> None:
    _command(commands, "doctor", "what works, what does not, and what to do", "doctor:doctor", json=True)
    _command(commands, "friends", "with whom this node talks", "friends:friends", json=True)
    invite = _command(
        commands, "invite", "print a line that makes whoever takes it a friend", "friends:invite", json=True
    )
    invite.add_argument("--valid", default="7d", metavar="SPAN", help="how long it is good, once (default 7d)")
    join = _command(commands, "join", "take a friend's invitation", "friends:join", json=True)
    join.add_argument("invitation", metavar="LINE", help="the line; - reads it from standard input")


def _add_rest(commands: Commands) -> None:
    demo = _command(commands, "demo", "a small network of real daemons: loss and restore", "demo:demo", json=True)
    demo.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="default: Python's standard library")
    demo.add_argument("--nodes", type=int, default=6, metavar="N", help="daemons, the owner's included (default 6)")
    demo.add_argument("--keep", action="store_true", help="leave the folders of the demo behind")
    completion = _command(commands, "completion", "print a script that completes nbctl", "reading:completion")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


if __name__ == "__main__":
    sys.exit(main())
