"""The commands that make, start and stop a node."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from nanobarter.cli.beside import beside
from nanobarter.cli.client import Client
from nanobarter.cli.estimate import expected_plan, show_cost
from nanobarter.cli.estimating import measured
from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.last_words import last_words, said_path
from nanobarter.cli.private import write_new
from nanobarter.cli.talk import answer_json, say
from nanobarter.core.errors import UsageError
from nanobarter.core.phrase import make_phrase, seed_of
from nanobarter.core.system import SystemEntropy
from nanobarter.core.units import MIB, LeaseKind, parse_size, show_size
from nanobarter.daemon.config import Backup, Config, Offer
from nanobarter.daemon.config_file import SPACE_BYTES_MIN, parse_config
from nanobarter.daemon.config_network import Network
from nanobarter.daemon.config_text import write_config
from nanobarter.daemon.disk import disk_free, too_little
from nanobarter.daemon.home import Home, default_home
from nanobarter.daemon.passphrase import Source, find
from nanobarter.daemon.phrase_file import keep_phrase
from nanobarter.storage.measuring import FolderSize

POLL_SECONDS: Final = 0.05
GIGABYTE: Final = 10**9


def init(asked: argparse.Namespace) -> int:
    """Make a home: show the cost, ask, show the phrase once, write the config and the seed."""
    if asked.peers < 1:
        raise UsageError(f"--peers {asked.peers}: a backup needs another node", hint="expect at least one: --peers 1")
    path: Path = (asked.home or default_home()).absolute()
    refuse_used(path, asked.phrase_out)
    folders = [str(Path(text).expanduser().absolute()) for text in asked.folder or _ask_folders(asked)]
    config = config_from_flags(asked, folders, path)
    parse_config(write_config(config), path / "config.toml")  # a flag that is wrong is told before any cost
    found = measured(config, path)
    _check_cost(config, found, asked.peers, chosen=asked.space is not None)
    if told := too_little(disk_free(path), config.offer.space_bytes, 0):
        say(f"attention: {told}; free some space, or lend less: --space")
    if not asked.yes:
        _ask_consent()
    phrase = make_phrase(SystemEntropy())
    # The phrase first: a home whose phrase nobody could read would be used, and lost with its disk.
    if asked.phrase_out:
        write_new(asked.phrase_out, f"{phrase}\n".encode())
    elif not asked.json:
        _show_phrase(phrase)
    home = make_home(path, phrase, config)
    if asked.json:
        answer_json({"type": "init", "home": str(home.path), "config": str(home.config_path),
                     "phrase": None if asked.phrase_out else phrase})  # fmt: skip
    elif asked.phrase_out:
        print(f"{home.path} is made; the phrase is in {asked.phrase_out}")
    else:
        print(f"{home.path} is made; start it: nbctl up")
    return Exit.DONE


def config_from_flags(asked: argparse.Namespace, folders: list[str], home: Path) -> Config:
    """Return the checked config that the flags of ``nbctl init`` mean. Raises UsageError."""
    network = Network(bootstrap=tuple(asked.bootstrap), same_host_ok=asked.same_host)
    if asked.listen:
        network = msgspec.structs.replace(network, listen=asked.listen)
    config = Config(backup=Backup(folders=tuple(folders), exclude=tuple(asked.exclude)), network=network)
    plan = expected_plan(measured(config, home).size_bytes, LeaseKind("30d"), asked.peers)
    space = asked.space or f"{max(1, -(-beside(Config(), plan).folders // GIGABYTE))}GB"
    return msgspec.structs.replace(config, offer=Offer(space=space))


def make_home(path: Path, phrase: str, config: Config) -> Home:
    """Write a fresh home. The config is read back first, so that no home is made that could not start."""
    text = write_config(config)
    parse_config(text, path / "config.toml")
    seed = seed_of(phrase)
    home = Home.create(path, seed, text)
    keep_phrase(home, seed, phrase)
    return home


def refuse_used(path: Path, phrase_out: Path | None) -> None:
    """Raise UsageError where something is in the way of a fresh home or of the file of its phrase."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} is not empty", hint="name another home: nbctl --home DIR init")
    if phrase_out and phrase_out.exists():
        raise UsageError(f"{phrase_out} exists already", hint="name a new file: --phrase-out FILE")


def _ask_folders(asked: argparse.Namespace) -> list[str]:
    if asked.yes or asked.json or not sys.stdin.isatty():
        return []
    say("folders to back up, one per line; an empty line ends")
    return list(iter(lambda: input("folder: ").strip(), ""))


def _check_cost(config: Config, found: FolderSize, peers: int, *, chosen: bool) -> None:
    high = config.backup.durability == "high"
    plan = expected_plan(found.size_bytes, config.offer.lease_kinds[0], peers, high=high)
    offered = parse_size(config.offer.space)
    say(show_cost(plan, peers))
    say(f"this node will lend {config.offer.space}")
    if chosen and max(plan.lent * MIB, SPACE_BYTES_MIN) > offered:
        needed = max(plan.lent * MIB, SPACE_BYTES_MIN)
        hint = f"lend more: --space {-(-needed // 10**6)}MB"
        raise UsageError(f"too little space: {show_size(needed)} are needed, {show_size(offered)} offered", hint=hint)
    for line in beside(config, plan).told():
        say(line)


def _ask_consent() -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to accept the plan", hint="accept it: --yes")
    if input("nbctl: make this home? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CommandFailed("nothing was made")


def _show_phrase(phrase: str) -> None:
    words = phrase.split()
    print("These words are the only way back to your data. Write them down; they are shown once.\n")
    for row in range(0, len(words), 6):
        print("  " + "  ".join(f"{row + i + 1:>2} {word:<9}" for i, word in enumerate(words[row : row + 6])).rstrip())
    print(flush=True)


def up(asked: argparse.Namespace) -> int:
    """Start the daemon; in front, or behind and wait until it answers."""
    home = Home.open(asked.home or default_home())
    if pid := home.running_pid():
        raise UsageError(f"a daemon (pid {pid}) already serves {home.path}", hint="ask it: nbctl status")
    if asked.foreground:
        sys.stdout.flush()
        given = ["--passphrase-file", asked.passphrase_file] if asked.passphrase_file else []
        os.execv(sys.executable, [*daemon_command(home), *given])  # noqa: S606 - the daemon takes our place, no shell
    passphrase = find(Source(asked.passphrase_file), f"passphrase of {home.path}: ") if home.needs_passphrase else None
    if passphrase is not None:
        home.unlocked(passphrase)  # a slip is told here and now
    process = start_daemon(home, passphrase)
    wait_ready(home, process, asked.wait)
    print(f"{home.path} is up (pid {process.pid})")
    return Exit.DONE


def daemon_command(home: Home) -> list[str]:
    """Return the command line that runs the daemon of a home with this same interpreter."""
    return [sys.executable, "-m", "nanobarter.daemon.main", "--home", str(home.path)]


def start_daemon(home: Home, passphrase: str | None = None) -> subprocess.Popen[bytes]:
    """Start the daemon of a home in the background; what it says before its log opens goes to ``log/start.log``.

    A passphrase goes through a pipe, which nobody else can read.
    """
    command, given = daemon_command(home), os.pipe() if passphrase is not None else None
    if given is not None:
        command += ["--passphrase-fd", str(given[0])]
        os.write(given[1], (passphrase or "").encode() + b"\n")  # shorter than a pipe holds
        os.close(given[1])
    try:
        with said_path(home).open("wb") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=given[:1] if given else (),
            )
    finally:
        if given is not None:
            os.close(given[0])


def wait_ready(home: Home, process: subprocess.Popen[bytes], seconds: float) -> dict[str, object]:
    """Return the status of a started daemon once it answers. Raises CommandFailed when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            message, hint = last_words(home)
            raise CommandFailed(message or f"the daemon ended at once (exit {code})", hint=hint, code=_code_of(code))
        try:
            return Client(home).get("/v1/status")
        except CommandFailed as failed:
            if failed.code != Exit.NO_DAEMON:
                raise
        time.sleep(POLL_SECONDS)
    raise CommandFailed(f"the daemon was not ready within {seconds:g} s", hint=f"see {home.log_path}")


def _code_of(code: int) -> Exit:
    return Exit.USAGE if code == Exit.USAGE else Exit.FAILED


def down(asked: argparse.Namespace) -> int:
    """Stop the daemon and wait until its home is free."""
    home = Home.open(asked.home or default_home())
    pid = home.running_pid()
    if not pid:
        raise CommandFailed(f"no daemon serves {home.path}", code=Exit.NO_DAEMON)
    os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: home.running_pid() is None, asked.wait):
        raise CommandFailed(f"the daemon (pid {pid}) did not stop within {asked.wait:g} s", hint=f"see {home.log_path}")
    print(f"{home.path} is down")
    return Exit.DONE


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = POLL_SECONDS) -> bool:
    """Poll until the condition holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True
