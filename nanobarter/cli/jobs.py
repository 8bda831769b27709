"""The long commands: back up and restore, with progress."""

import argparse
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nanobarter.cli.exits import Exit
from nanobarter.cli.private import write_new
from nanobarter.cli.reading import client_of, put
from nanobarter.cli.talk import Follower, follow, say
from nanobarter.core.errors import UsageError
from nanobarter.core.phrase import seed_of
from nanobarter.core.units import parse_span
from nanobarter.daemon.config_network import parse_host_port
from nanobarter.daemon.home import default_home
from nanobarter.daemon.shape import Progress, Shape

if TYPE_CHECKING:
    from nanobarter.daemon.recover import Phrase


def backup(asked: argparse.Namespace) -> int:
    """Back up; done when peers hold every share."""
    folders = [str(_folder(text)) for text in asked.folders]
    done = follow(client_of(asked).stream("/v1/backup", {"folders": folders}))
    put(done, as_json=asked.json)
    if done["below_threshold"]:
        say(f"{done['below_threshold']} packs are on too few peers to be safe; see nbctl health, and back up again")
        return Exit.BELOW_THRESHOLD
    return Exit.PARTLY_READ if done["outcome"] == "partial" else Exit.DONE


def _folder(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder", hint="name a folder that exists")
    return path


def restore(asked: argparse.Namespace) -> int:
    """Restore through the daemon of a home or, with a phrase, from nothing."""
    target: Path = asked.target.expanduser().absolute()
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is not a folder", hint="name a new folder: --target DIR")
    wish = {
        "snapshot": asked.snapshot,
        "target": str(target),
        "overwrite": asked.overwrite,
        "paths": [str(Path(text).expanduser().absolute()) for text in asked.paths],
        "at": until(asked.at),
        "patience_ms": _span(asked.patience),
    }
    if asked.phrase_file is None:
        if asked.bootstrap or asked.scan:
            flag = "--bootstrap" if asked.bootstrap else "--scan"
            raise UsageError(f"{flag} goes with --phrase-file", hint="the daemon of a home knows its peers")
        done = follow(client_of(asked).stream("/v1/restore", wish))
    else:
        done = _restore_from_phrase(asked, wish)
    put(done, as_json=asked.json)
    if done["unfinished"]:
        say("some peers are away", "the same command goes on where it stopped when they are back")
    return Exit.FAILED if done["problem_count"] else Exit.DONE


def until(text: str) -> int:
    """Return the instant that ``2026-11-20`` (its end) or ``2026-11-20 14:30`` means, in UTC; 0 for nothing."""
    if not text:
        return 0
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - only who asks for a date pays for it

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date", hint="write it like 2026-11-20 or '2026-11-20 14:30'") from None
    if len(text) <= len("2026-11-20"):
        found += timedelta(days=1, milliseconds=-1)
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(found.timestamp() * 1000)


def _span(text: str) -> int:
    try:
        return parse_span(text)
    except ValueError as error:
        raise UsageError(f"--patience: {error}") from None


def _restore_from_phrase(asked: argparse.Namespace, wish: dict[str, Any]) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415 - with trio, only here

    from nanobarter.daemon.recover import recover_and_restore  # noqa: PLC0415 - as above
    from nanobarter.daemon.storage_facade import RestoreWish  # noqa: PLC0415 - as above

    phrase = _phrase_of(asked, wish["patience_ms"])
    return _followed(lambda say: recover_and_restore(phrase, msgspec.convert(wish, RestoreWish), say))


def _phrase_of(asked: argparse.Namespace, patience_ms: int, words: str = "") -> "Phrase":
    from nanobarter.daemon.recover import Phrase  # noqa: PLC0415 - with trio, only who needs it pays for it

    seed = seed_of(words or read_phrase(asked.phrase_file))
    if not asked.bootstrap:
        raise UsageError("a restore from the phrase needs one living node", hint="name it: --bootstrap HOST:PORT")
    return Phrase(seed, [_address(text) for text in asked.bootstrap], asked.scan, patience_ms)


def _followed(work: "Callable[[Callable[[Progress], None]], Awaitable[Shape]]") -> dict[str, Any]:
    """Run work of this process and show its progress; return its result as the daemon would answer it."""
    import msgspec  # noqa: PLC0415 - with trio, only here
    import trio  # noqa: PLC0415 - as above

    with Follower() as follower:

        def report(progress: Progress) -> None:
            follower.see(msgspec.to_builtins(progress))

        async def run() -> dict[str, Any]:
            return cast("dict[str, Any]", msgspec.to_builtins(await work(report)))

        return trio.run(run)


def recover(asked: argparse.Namespace) -> int:
    """Tell what a phrase brings back; with --config, write the policies of the lost node to a new file."""
    from nanobarter.cli.taking_over import check_target, make_taken  # noqa: PLC0415 - with all of a node, only here
    from nanobarter.daemon.recover import recover_only  # noqa: PLC0415 - with trio, only here

    if asked.config and asked.config.exists():
        raise UsageError(f"{asked.config} exists", hint="name a new file: --config FILE")
    target = (asked.home or default_home()).absolute() if asked.take_over else None
    if target is not None:
        check_target(target)
    words = read_phrase(asked.phrase_file)
    phrase = _phrase_of(asked, _span(asked.patience), words)
    done = _followed(lambda say: recover_only(phrase, say, take_over=asked.take_over))
    if target is not None:
        make_taken(target, words, done["policies"], asked.bootstrap)
    if asked.config and done["policies"]:
        write_new(asked.config, done["policies"].encode())
    elif asked.config:
        say("the policies of the lost node were not found", "nbctl init makes a config")
    put(done, as_json=asked.json)
    return Exit.DONE if done["snapshots"] else Exit.FAILED


def _address(text: str) -> tuple[str, int]:
    try:
        return parse_host_port(text)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise UsageError(f"--bootstrap: {what}", hint=remedy) from None


def read_phrase(name: str) -> str:
    """Return the text of a file or, for ``-``, of stdin: typed without an echo at a terminal. Raises UsageError."""
    if name == "-":
        return getpass.getpass("the twenty-four words: ") if sys.stdin.isatty() else sys.stdin.read()
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}", hint="name the file with the phrase") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not text", hint="name the file with the phrase") from None
