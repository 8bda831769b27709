"""The arguments of the commands that run a node, and of its long jobs, for ``main``. Only argparse, as there."""

import argparse
from collections.abc import Callable
from pathlib import Path

from nanobarter.cli.storage_args import add_passphrase

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its parent, its name, what it does, and what runs it."""


def add_node(commands: object, add: Add) -> None:
    """Add the commands that make, start and stop a node, and make its database anew."""
    init = add(commands, "init", "make a home: phrase, config, keys", "node:init", json=True)
    init.add_argument("--folder", action="append", default=[], metavar="DIR", help="a folder to back up (repeat)")
    init.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="what to leave out (repeat)")
    init.add_argument("--space", metavar="SIZE", help="how much of this disk to lend (default: what the folders need)")
    init.add_argument("--listen", metavar="HOST:PORT", help="where to listen")
    init.add_argument("--bootstrap", action="append", default=[], metavar="HOST:PORT", help="a node to ask (repeat)")
    init.add_argument(
        "--same-host", action="store_true", help="count nodes on this machine as different ones: only to try things out"
    )
    init.add_argument("--peers", type=int, default=6, metavar="N", help="other nodes to expect, for the estimate")
    init.add_argument("--phrase-out", type=Path, metavar="FILE", help="write the phrase here instead of showing it")
    init.add_argument("--yes", action="store_true", help="accept the plan without being asked")
    up = add(commands, "up", "start the daemon and wait until it is ready", "node:up")
    up.add_argument("--foreground", action="store_true", help="stay in front until Ctrl-C")
    up.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait (default 60)")
    add_passphrase(up)
    down = add(commands, "down", "stop the daemon and wait until it is gone", "node:down")
    down.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait (default 60)")
    anew = add(commands, "rebuild", "make a damaged database anew; the old one is kept", "rebuild:run", json=True)
    anew.add_argument(
        "--give-up-snapshots",
        action="store_true",
        help="after a rebuild: wait no longer for peers to show what was backed up before",
    )
    add_passphrase(anew)


def add_jobs(commands: object, add: Add) -> None:
    """Add the long jobs: backup, restore, recover."""
    backup = add(commands, "backup", "back up the folders and wait until peers hold them", "jobs:backup", json=True)
    backup.add_argument("folders", nargs="*", metavar="DIR", help="these instead of those in the config")
    backup.add_argument("--wait", action="store_true", help="wait until every share is placed (always so; for scripts)")
    restore = add(commands, "restore", "give folders back", "jobs:restore", json=True)
    restore.add_argument("paths", nargs="*", metavar="PATH", help="these files and folders (default: everything)")
    restore.add_argument(
        "--at", default="", metavar="DATE", help="as it was then (UTC): 2026-11-20 or '2026-11-20 14:30'"
    )
    restore.add_argument("--target", type=Path, required=True, metavar="DIR", help="where to put them")
    restore.add_argument("--snapshot", default="", metavar="ID", help="which (default: the newest)")
    restore.add_argument("--overwrite", action="store_true", help="replace files that are there")
    restore.add_argument("--phrase-file", metavar="FILE", help="restore from nothing but this phrase; - reads stdin")
    recover = add(commands, "recover", "what a phrase alone brings back", "jobs:recover", json=True)
    recover.add_argument("--phrase-file", default="-", metavar="FILE", help="read it here (default: ask)")
    recover.add_argument("--config", type=Path, metavar="FILE", help="write the lost node's config to this new file")
    recover.add_argument(
        "--take-over",
        action="store_true",
        help="make a home (--home) that goes on as the lost node: its former notes are retired",
    )
    for command in (restore, recover):
        command.add_argument(
            "--bootstrap", action="append", default=[], metavar="HOST:PORT", help="a living node (repeat)"
        )
        command.add_argument(
            "--scan", action="store_true", help="if no peer has the vault's head, look through the shares themselves"
        )
        command.add_argument(
            "--patience",
            default="10min",
            metavar="SPAN",
            help="how long to wait for peers who are away (default 10min)",
        )
