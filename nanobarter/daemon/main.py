"""nanobarterd: one node as a process. It loads, locks, runs and stops cleanly; everything else is the node's.

Exit codes: 0 stopped on request, 1 failed, 2 the config or the command line is wrong.
"""

import argparse
import errno
import importlib
import logging
import logging.handlers
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
import trio

from nanobarter import __version__
from nanobarter.core.errors import InvariantBroken, LocalFault, NanobarterError, UsageError
from nanobarter.core.heap import share_heap
from nanobarter.daemon.api import leaf_of
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.config_network import parse_host_port
from nanobarter.daemon.home import Home, default_home
from nanobarter.daemon.passphrase import Source, unlock
from nanobarter.daemon.terms import beyond_offer

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
LOG_BYTES_MAX: Final = 2 * 1024 * 1024
LOG_FILES: Final = 3

RunNode = Callable[[Home, Config, Callable[[str], None]], Awaitable[None]]
_log = logging.getLogger("nanobarterd")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until it is told to stop; return the exit code."""
    asked = _parser().parse_args(argv)
    share_heap()
    try:
        home = Home.open(asked.home or default_home())
        # A disk that is not plugged in must not keep this node from serving others.
        config = _with_listen(load_config(home.config_path, folders_must_exist=False), asked.listen)
        home.check_not_taken()
        home = unlock(home, Source(asked.passphrase_file, asked.passphrase_fd))
        home.read_seed()  # a wrong mode or a damaged file is told before anything starts
        _start_log(home, asked.log_level)
        for folder in config.backup.folders:
            if not Path(folder).is_dir():
                _log.warning("the folder %s of [backup] is not there; it cannot be backed up now", folder)
        if beyond := beyond_offer(config):
            _log.warning("%s", beyond)
        with home.locked():
            trio.run(_serve, home, config)
    except BaseException as error:  # noqa: BLE001 - the edge of the program: every failure becomes one line
        return _tell(error)
    _log.info("stopped")
    return EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nanobarterd", description="one node of nanobarter")
    parser.add_argument("--home", type=Path, metavar="DIR", help="the home of the node")
    parser.add_argument("--listen", metavar="HOST:PORT", help="listen here instead of where the config says")
    parser.add_argument(
        "--passphrase-file", default="", metavar="FILE", help="the passphrase of the keys; - reads stdin"
    )
    parser.add_argument("--passphrase-fd", type=int, metavar="N", help="read it from this descriptor")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--version", action="version", version=f"nanobarterd {__version__}")
    return parser


def _with_listen(config: Config, listen: str | None) -> Config:
    if listen is None:
        return config
    try:
        parse_host_port(listen)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise UsageError(f"--listen: {what}", hint=remedy) from None
    return msgspec.structs.replace(config, network=msgspec.structs.replace(config.network, listen=listen))


def _start_log(home: Home, level: str) -> None:
    try:
        home.log_path.parent.mkdir(mode=0o700, exist_ok=True)
        to_file = logging.handlers.RotatingFileHandler(
            home.log_path, maxBytes=LOG_BYTES_MAX, backupCount=LOG_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise LocalFault(f"cannot write {home.log_path}: {error.strerror}", hint="check the disk") from None
    logging.raiseExceptions = False  # a full disk must not fill the person's screen with the log's own troubles
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(logging.Formatter("nanobarterd: %(levelname)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[to_file, to_stderr], force=True)


async def _serve(home: Home, config: Config) -> None:
    run_node = _find_node()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                async for number in signals:
                    _log.info("stopping on %s", signal.Signals(number).name)
                    nursery.cancel_scope.cancel()

            nursery.start_soon(stop_on_signal)
            await run_node(home, config, _say_ready)
            nursery.cancel_scope.cancel()


def _find_node() -> RunNode:
    """Import the composition late: ``--version`` and a wrong config must not wait for every library."""
    try:
        module = importlib.import_module("nanobarter.daemon.node")
    except ModuleNotFoundError as error:
        raise LocalFault(f"this build cannot run a node: {error}", hint="install nanobarter again") from None
    return cast("RunNode", module.run_node)


def _say_ready(listening: str) -> None:
    print(f"nanobarterd: ready, listening on {listening}", flush=True)  # noqa: T201 - who started us waits for it
    _log.info("ready, listening on %s", listening)


def _tell(error: BaseException) -> int:
    """Say one line on stderr and return the exit code; the traceback of a bug goes to the log."""
    error = leaf_of(error)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return EXIT_DONE if isinstance(error, KeyboardInterrupt) else EXIT_USAGE
    hint = getattr(error, "hint", "")
    message = str(error)
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
        message, hint = f"cannot listen: {error.strerror}", "choose another port: --listen HOST:PORT"
    elif isinstance(error, InvariantBroken) or not isinstance(error, NanobarterError):
        _log.critical("the node failed by a bug", exc_info=error)
        message = f"the node failed: {type(error).__name__}: {error}"
    print(f"nanobarterd: {message}", file=sys.stderr)  # noqa: T201 - the one line a person gets
    if hint:
        print(f"nanobarterd: hint: {hint}", file=sys.stderr)  # noqa: T201 - as above
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
