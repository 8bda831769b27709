"""What a plan takes from how the node is used: what the folders hold, what is kept of older versions, what changes.

A plan for the folders alone would be short of space after some weeks: snapshots that are kept hold what has changed
meanwhile, each further backup adds to it, and folders grow. All of it only ever adds to the plan, and what is to come
at most doubles it: a first import says little about ordinary days. What grows is in what changes too, unless it was
forgotten with its snapshot, so the larger of the two counts and not their sum.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nanobarter.core.units import DAY, Instant, Span, span_between
from nanobarter.translator.plan import GROWTH, SLACK_PER_ISSUER

AHEAD_DAYS: Final = 15  # changes are planned for as long as it takes until leases come up for renewal
HISTORY_DAYS_MIN: Final = 3  # fewer days of backups tell nothing of a rate
STALE_DAYS: Final = 30  # folders that were not backed up for so long, while others were, grow no more


@dataclass(frozen=True)
class Use:
    """What is to be kept, in bytes: the folders, older versions beyond what they hold now, new bytes in a day.

    ``growth_bytes_day``: by how much the folders themselves become larger in a day.
    """

    folder_bytes: int
    old_bytes: int = 0
    change_bytes_day: int = 0
    growth_bytes_day: int = 0

    @property
    def planned_bytes(self) -> int:
        """What the plan is made for; nothing without folders."""
        if not self.folder_bytes:
            return 0
        kept = self.folder_bytes + self.old_bytes
        return kept + min(AHEAD_DAYS * max(self.change_bytes_day, self.growth_bytes_day), kept)


@dataclass(frozen=True)
class Backup:
    """One snapshot: when it began, how much it stored that was not stored before, what it saw in which folders."""

    started: Instant
    new_bytes: int
    seen_bytes: int = 0
    folders: tuple[bytes, ...] = ()


def use_of(folder_bytes: int, stored_bytes: int, backups: Sequence[Backup], now: Instant) -> Use:
    """Return what is known: ``stored_bytes`` is what all packs hold, ``backups`` the snapshots that are kept.

    The first backup is the import of what was there; what came later, by the days that it took, is the change.
    """
    ordered = sorted(backups, key=lambda each: each.started)
    allowed = int(folder_bytes * GROWTH) + 2 * SLACK_PER_ISSUER  # what a plan for the folders alone has room for
    days = span_between(ordered[0].started, now) / DAY if ordered else 0.0
    change = int(sum(each.new_bytes for each in ordered[1:]) / days) if days >= HISTORY_DAYS_MIN else 0
    return Use(folder_bytes, max(0, stored_bytes - allowed), change, growth_of(ordered))


def growth_of(ordered: Sequence[Backup]) -> int:
    """Return by how many bytes the folders grow in a day, from snapshots in the order of time; never below zero.

    Only snapshots of the same folders are compared: a folder that is named anew is no growth, and one that was backed
    up by hand in between hides none. Of sets that share a folder the one seen last counts, and none unseen for long.
    """
    newest, oldest = dict[tuple[bytes, ...], Backup](), dict[tuple[bytes, ...], Backup]()
    counted, growth = set[bytes](), 0
    for each in ordered:
        oldest.setdefault(each.folders, each)
        newest[each.folders] = each
    for folders, last in sorted(newest.items(), key=lambda item: -item[1].started):
        days = span_between(oldest[folders].started, last.started) / DAY
        stale = span_between(last.started, ordered[-1].started) > STALE_DAYS * DAY
        if days >= HISTORY_DAYS_MIN and not stale and counted.isdisjoint(folders):
            counted.update(folders)
            growth += max(0, int((last.seen_bytes - oldest[folders].seen_bytes) / days))
    return growth


def days_until_too_small(use: Use, lent_bytes: int, offered_bytes: int) -> float | None:
    """Return in how many days folders that grow on like this need more than is offered, by what they need lent now.

    None: they do not grow, or nothing is known; 0: they need more already.
    """
    if lent_bytes > offered_bytes:
        return 0.0
    if not (use.growth_bytes_day and use.planned_bytes and lent_bytes):
        return None
    lent_a_day = use.growth_bytes_day * lent_bytes / use.planned_bytes
    return (offered_bytes - lent_bytes) / lent_a_day


@dataclass(frozen=True)
class Restore:
    """One restore: when, of a snapshot made when, and whether that was the newest of its folders."""

    at: Instant
    made: Instant
    newest: bool


def reached_back(restores: Iterable[Restore]) -> Span:
    """Return how old the oldest version was that a person asked for; nothing while all took the newest one.

    The newest snapshot is kept whatever the policy says, so how old it was tells nothing of what must be kept.
    """
    return max((span_between(each.made, each.at) for each in restores if not each.newest), default=Span(0))


def forgets_too_soon(reached: Span, holds: Span | None, keep: str) -> str:
    """Return what to tell a person who restores older versions than her policy is sure to hold (None: all)."""
    if holds is None or reached <= holds:
        return ""
    days = -(-reached // DAY)
    more = f"daily {days + 2}" if days <= 30 else f"monthly {days // 28 + 3}"  # noqa: PLR2004 - a month
    return (
        f'you have restored a version {_days(reached)} old, and keep = "{keep}" is sure to hold only {_days(holds)}: '
        f'older ones are forgotten unless it says more, like "{more}"'
    )


def _days(span: Span) -> str:
    days = -(-span // DAY)
    return f"{days} day{'' if days == 1 else 's'}"
