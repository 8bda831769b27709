"""What a policy asks and gives among so many peers: the estimate that is shown before it is accepted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nanobarter.cli.beside import ALWAYS, Beside, beside, planned_bytes
from nanobarter.cli.estimate import FolderSize, expected_plan, measure
from nanobarter.core.units import MIB
from nanobarter.daemon.config import Config
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


def estimate(config: Config, peers: int) -> Estimate:
    """Measure the folders of a config, and work out what they need."""
    found = measure(Path(folder).expanduser() for folder in config.backup.folders)
    kind = config.offer.lease_kinds[0]
    size = planned_bytes(config, found.size_bytes)
    plan = expected_plan(size, kind, peers, high=config.backup.durability == "high")
    return Estimate(config, found, peers, plan)
