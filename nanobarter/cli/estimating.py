"""What a policy asks and gives among so many peers: the estimate that is shown before it is accepted."""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nanobarter.cli.beside import ALWAYS, Beside, beside, planned_bytes
from nanobarter.cli.estimate import expected_plan
from nanobarter.core.units import MIB
from nanobarter.daemon.config import Config
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.measuring import FolderSize, measure
from nanobarter.translator.plan import Plan

HOURS_TOLD: Final = {ALWAYS: "always", 16: "16 hours a day", 8: "8 hours a day"}


@dataclass(frozen=True)
class Estimate:
    """What a policy asks and gives, among so many peers."""

    config: Config
    found: FolderSize
    peers: int
    plan: Plan

    @property
    def lend_bytes(self) -> int:
        """What must be lent at par."""
        return self.plan.lent * MIB

    @property
    def enough(self) -> bool:
        """Whether the offer pays for it: at par, and at the prices of a machine that is always on."""
        return self.beside.folders <= self.config.offer.space_bytes

    @property
    def beside(self) -> Beside:
        """What goes for the folders, and what may go beside them."""
        return beside(self.config, self.plan)


def measured(config: Config, home: Path) -> FolderSize:
    """Return how much of the folders of a config a backup reads, without what it leaves out."""
    folders = [Path(folder).expanduser() for folder in config.backup.folders]
    return measure(folders, Excludes(config.backup.exclude, absolute=(home,)))


def estimate(config: Config, home: Path, peers: int) -> Estimate:
    """Measure the folders of a config, and work out what they need."""
    found = measured(config, home)
    kind = config.offer.lease_kinds[0]
    size = planned_bytes(config, found.size_bytes)
    plan = expected_plan(size, kind, peers, high=config.backup.durability == "high")
    return Estimate(config, found, peers, plan)


def folders_for(config: Config, peers: int) -> int:
    """Return for how many bytes of folders the whole offer pays."""
    kind, high = config.offer.lease_kinds[0], config.backup.durability == "high"

    def needs(megabytes: int) -> int:
        return beside(config, expected_plan(megabytes * 10**6, kind, peers, high=high)).folders

    offered = config.offer.space_bytes
    # Folders are never lent more cheaply than byte for byte, so what is offered bounds them.
    return bisect_right(range(offered // 10**6 + 1), offered, key=needs) * 10**6 - 10**6
