"""What a running daemon has seen of how its node is used, for an estimate that else knows only the folders.

An estimate needs no daemon: where none answers, only the disk is looked at.
"""

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from nanobarter.cli.client import Client
from nanobarter.cli.exits import CommandFailed
from nanobarter.cli.show_plan import used_lines
from nanobarter.core.units import Span
from nanobarter.daemon.config import Config
from nanobarter.daemon.disk import too_little
from nanobarter.daemon.facade_backup import Plan
from nanobarter.daemon.facade_bots import Bots
from nanobarter.daemon.facade_node import Status
from nanobarter.daemon.home import Home, default_home
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.measuring import measure
from nanobarter.translator.behaviour import forgets_too_soon

Told = TypeVar("Told")

CHANGED: Final = "was changed since the daemon started, which goes by the old one until: nbctl down, nbctl up"


@dataclass(frozen=True)
class Observed:
    """The plan of the daemon (None: none answers), what the disk has free, and what others fill of it."""

    plan: Plan | None
    disk_free: int
    kept_bytes: int

    def lines(self, config: Config) -> Iterator[str]:
        """Tell what was seen, and what of a config does not go with it."""
        if self.plan is not None:
            yield "as this node was used until now:"
            yield from (f"  {line}" for line in used_lines(self.plan))
            reached = Span(self.plan.restored_back_ms)
            if warning := forgets_too_soon(reached, config.backup.holds, config.backup.keep):
                yield f"attention: {warning}"
        if told := self.disk(config):
            yield f"attention: {told}; free some space, or offer less"

    def disk(self, config: Config) -> str:
        """Return what to tell when the disk could not hold what is offered; nothing when it can."""
        return too_little(self.disk_free, max(0, config.offer.space_bytes - self.kept_bytes), 0)


def observed(asked: argparse.Namespace) -> Observed:
    """Look at the disk, and ask the daemon if one answers."""
    home = _home(asked)
    free, kept = shutil.disk_usage(home.path).free, measure([home.vault_path], Excludes()).size_bytes
    return Observed(_told(asked, "/v1/plan", Plan), free, kept)


def stale(asked: argparse.Namespace) -> Iterator[str]:
    """Tell when a daemon runs that goes by another config than the home's file."""
    status = _told(asked, "/v1/status", Status)
    if status is not None and status.config_changed:
        yield f"attention: config.toml {CHANGED}"


def over(asked: argparse.Namespace, config: Config) -> Iterator[str]:
    """Tell which orders of a config were carried out and are over, if a daemon answers."""
    bots = _told(asked, "/v1/bots", Bots) if any(row.once for row in config.order) else None
    yield from bots.over if bots is not None else ()


def _told(asked: argparse.Namespace, path: str, shape: type[Told]) -> Told | None:
    """Return what the daemon tells; None: none answers, or one of another version."""
    try:
        return msgspec.convert(Client(_home(asked)).get(path), shape)
    except (CommandFailed, msgspec.ValidationError):
        return None


def _home(asked: argparse.Namespace) -> Home:
    return Home.open(asked.home or default_home())
