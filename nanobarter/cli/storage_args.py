"""The arguments of the commands about snapshots; ``main`` takes them in. Only argparse, as there."""

import argparse
from collections.abc import Callable
from pathlib import Path

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""


def add_storage(commands: object, add: Add) -> None:
    """Add the commands that keep, check and show snapshots."""
    forget = add(commands, "forget", "forget snapshots, by name or by policy", "storage:forget", json=True)
    forget.add_argument(
        "snapshots", nargs="*", metavar="ID", help="these (default: those that the policy does not keep)"
    )
    forget.add_argument("--keep", default="", metavar="POLICY", help="like 'daily 7, weekly 4' (default: the config's)")
    forget.add_argument("--dry-run", action="store_true", help="only tell what would be forgotten")
    forget.add_argument("--prune", action="store_true", help="then free the space")
    prune = add(commands, "prune", "free the space of what no snapshot needs", "storage:prune", json=True)
    prune.add_argument("--dry-run", action="store_true", help="only tell what would be freed")
    _add_looking(commands, add)
    _add_key(commands, add)
    leave = add(commands, "leave", "go in good order: others move what is kept for them", "leaving:leave", json=True)
    what = leave.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="only tell how far it is")
    what.add_argument("--cancel", action="store_true", help="stay after all")
    leave.add_argument("--wait", action="store_true", help="wait until nothing is left")


def _add_key(commands: object, add: Add) -> None:
    key = add(commands, "key", "the phrase: check it, print it", "key:verify")
    what = key.add_subparsers(metavar="WHAT", required=True)
    verify = add(what, "verify", "is this phrase the one of this home?", "key:verify", json=True)
    sheet = add(what, "sheet", "write a recovery sheet to print", "sheet:sheet", json=True)
    sheet.add_argument("--output", type=Path, required=True, metavar="FILE", help="a new .html or .txt")
    sheet.add_argument(
        "--bootstrap", action="append", default=[], metavar="HOST:PORT", help="whom to ask (default: the peers of now)"
    )
    verify.add_argument("--whole", action="store_true", help="ask for all words, not for three")
    lock = add(what, "passphrase", "the passphrase over the keys in this home", "key:passphrase")
    ways = lock.add_subparsers(metavar="WAY", required=True)
    for way, text in (("set", "lock the keys"), ("change", "take another one"), ("remove", "leave the keys open")):
        command = add(ways, way, text, "key:passphrase", json=True)
        command.set_defaults(way=way)
        add_passphrase(command)
        command.add_argument("--new-passphrase-file", default="", metavar="FILE", help="read the new one here")
    for command in (verify, sheet):
        add_passphrase(command)
        command.add_argument("--phrase-file", default="", metavar="FILE", help="read the phrase here; - reads stdin")


def add_passphrase(command: argparse.ArgumentParser) -> None:
    """Let a command that needs the keys be told their passphrase."""
    command.add_argument(
        "--passphrase-file", default="", metavar="FILE", help="read the passphrase of the keys here; - reads stdin"
    )


def _add_looking(commands: object, add: Add) -> None:
    ls = add(commands, "ls", "list a folder of a snapshot", "storage:ls", json=True)
    ls.add_argument("path", nargs="?", default="", metavar="PATH", help="the folder (default: what was backed up)")
    find = add(commands, "find", "find files in a snapshot", "storage:find", json=True)
    find.add_argument("pattern", metavar="PATTERN", help="like '*.jpg'; with a slash it is matched with whole paths")
    dump = add(commands, "dump", "write one file of a snapshot to stdout", "storage:dump")
    dump.add_argument("path", metavar="PATH", help="the file, as it was backed up")
    drill = add(commands, "drill", "restore a random sample and compare it", "storage:drill", json=True)
    drill.add_argument("--files", type=int, default=20, metavar="N", help="how many (default 20)")
    for command in (ls, find, dump, drill):
        command.add_argument("--snapshot", default="", metavar="ID", help="which (default: the newest)")
    explain = add(commands, "explain", "why a path is kept or not, and who holds it", "storage:explain", json=True)
    explain.add_argument("path", metavar="PATH", help="a file or folder, as it is or was on this disk")
    diff = add(commands, "diff", "what differs between two snapshots", "storage:diff", json=True)
    diff.add_argument("old", metavar="OLD", help="the id of a snapshot")
    diff.add_argument("new", nargs="?", default="", metavar="NEW", help="another (default: the newest)")
    check = add(commands, "check", "check that all that snapshots need is there", "storage:check", json=True)
    check.add_argument("--read-data", action="store_true", help="fetch and check every byte: as much as a restore")
