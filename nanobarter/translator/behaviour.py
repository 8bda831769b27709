"""What a plan takes from how the node is used: what the folders hold, what is kept of older versions, what changes.

A plan for the folders alone would be short of space after some weeks: snapshots that are kept hold what has changed
meanwhile, and each further backup adds to it. All of it only ever adds to the plan, and the changes to come at most
double it: a first import says little about ordinary days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nanobarter.core.units import DAY, Instant, span_between
from nanobarter.translator.plan import GROWTH, SLACK_PER_ISSUER

AHEAD_DAYS: Final = 15  # changes are planned for as long as it takes until leases come up for renewal
HISTORY_DAYS_MIN: Final = 3  # fewer days of backups tell nothing of a rate


@dataclass(frozen=True)
class Use:
    """What is to be kept, in bytes: the folders, older versions beyond what they hold now, new bytes in a day."""

    folder_bytes: int
    old_bytes: int = 0
    change_bytes_day: int = 0

    @property
    def planned_bytes(self) -> int:
        """What the plan is made for; nothing without folders."""
        if not self.folder_bytes:
            return 0
        kept = self.folder_bytes + self.old_bytes
        return kept + min(AHEAD_DAYS * self.change_bytes_day, kept)


@dataclass(frozen=True)
class Backup:
    """One snapshot: when it began, how much it stored that was not stored before."""

    started: Instant
    new_bytes: int


def use_of(folder_bytes: int, stored_bytes: int, backups: Sequence[Backup], now: Instant) -> Use:
    """Return what is known: ``stored_bytes`` is what all packs hold, ``backups`` the snapshots that are kept.

    The first backup is the import of what was there; what came later, by the days that it took, is the change.
    """
    ordered = sorted(backups, key=lambda each: each.started)
    allowed = int(folder_bytes * GROWTH) + 2 * SLACK_PER_ISSUER  # what a plan for the folders alone has room for
    days = span_between(ordered[0].started, now) / DAY if ordered else 0.0
    change = int(sum(each.new_bytes for each in ordered[1:]) / days) if days >= HISTORY_DAYS_MIN else 0
    return Use(folder_bytes, max(0, stored_bytes - allowed), change)
