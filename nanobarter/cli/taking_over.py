"""``nbctl recover --take-over``: a fresh home that goes on as the node of a phrase."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from nanobarter.cli.node import make_home, refuse_used
from nanobarter.cli.talk import say
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_file import parse_config
from nanobarter.daemon.takeover import take_over


def check_target(path: Path) -> None:
    """Raise UsageError unless a home can be made here."""
    refuse_used(path, None)


def make_taken(path: Path, phrase: str, policies: str, bootstrap: Sequence[str]) -> None:
    """Make the home: the lost node's config, or a plain one, with those who were asked as first peers."""
    config = parse_config(policies, path / "config.toml", folders_must_exist=False) if policies else Config()
    first = tuple(dict.fromkeys([*bootstrap, *config.network.bootstrap]))
    config = msgspec.structs.replace(config, network=msgspec.structs.replace(config.network, bootstrap=first))
    home = make_home(path, phrase, config)
    take_over(home, config, SystemClock().now(), SystemEntropy())
    if not policies:
        say("the config of the lost node was not found", f"write its folders into {home.config_path}")
    say(f"{home.path} is the node of this phrase from now on: its former notes are retired", "start it: nbctl up")
