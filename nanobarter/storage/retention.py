"""Which snapshots a policy keeps: the newest of so many days, weeks, months and years. Pure.

The rule is the usual one of backup programs (Bacula, restic, borg): for each period the newest snapshot stands for
it, and the policy says how many periods back are kept. Snapshots of the same folders are one series, judged by
itself, so that a backup by hand of another folder pushes nobody out. Periods are those of UTC.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final

from nanobarter.core.ids import Hash
from nanobarter.core.units import DAY, SECOND, Instant, Span

KEEP_ALL: Final = "all"
_COUNT_MAX: Final = 10_000  # 27 years of days
_RULE: Final = re.compile(r"(last|daily|weekly|monthly|yearly)\s+([0-9]{1,5})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Keep:
    """How many snapshots are kept: the newest ones, and the newest of each of the newest periods that have any."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0


@dataclass(frozen=True)
class Dated:
    """A snapshot as a policy sees it. ``series`` are the folders that it holds."""

    snapshot_id: Hash
    at: Instant
    series: tuple[bytes, ...]


def parse_keep(text: str) -> Keep | None:
    """Return what ``"daily 7, weekly 4, monthly 12"`` means; None for ``"all"``. Raises ValueError, naming the text."""
    if text.strip() == KEEP_ALL:
        return None
    counts = dict[str, int]()
    for part in text.split(","):
        found = _RULE.fullmatch(part.strip())
        if found is None or found[1] in counts or not 1 <= int(found[2]) <= _COUNT_MAX:
            raise ValueError(f'{text!r} is not a policy; write "all", or like "last 3, daily 7, weekly 4, monthly 12"')
        counts[found[1]] = int(found[2])
    return Keep(**counts)


def _day(at: datetime) -> object:
    return at.date()


def _week(at: datetime) -> object:
    return at.isocalendar()[:2]


def _month(at: datetime) -> object:
    return (at.year, at.month)


def _year(at: datetime) -> object:
    return at.year


_PERIODS: Final[Mapping[str, Callable[[datetime], object]]] = {
    "daily": _day,
    "weekly": _week,
    "monthly": _month,
    "yearly": _year,
}


def kept_by(snapshots: Iterable[Dated], keep: Keep) -> dict[Hash, tuple[str, ...]]:
    """Return the snapshots that the policy keeps, each with its reasons. The newest of a series is always kept."""
    series = dict[tuple[bytes, ...], list[Dated]]()
    for snapshot in snapshots:
        series.setdefault(snapshot.series, []).append(snapshot)
    reasons = dict[Hash, tuple[str, ...]]()
    for members in series.values():
        members.sort(key=lambda one: (-one.at, one.snapshot_id))
        reasons |= _kept_of(members, keep)
    return reasons


def _kept_of(newest_first: list[Dated], keep: Keep) -> dict[Hash, tuple[str, ...]]:
    reasons = dict[Hash, list[str]]()
    for one in newest_first[: max(keep.last, 1)]:
        reasons.setdefault(one.snapshot_id, []).append("last")
    for name, period_of in _PERIODS.items():
        met = set[object]()
        for one in newest_first:
            period = period_of(_EPOCH + timedelta(seconds=one.at // SECOND))
            if period not in met and len(met) < getattr(keep, name):
                met.add(period)
                reasons.setdefault(one.snapshot_id, []).append(name)
    return {snapshot_id: tuple(why) for snapshot_id, why in reasons.items()}


def show_keep(keep: Keep | None) -> str:
    """Return a policy as it is written in the config."""
    if keep is None:
        return KEEP_ALL
    return ", ".join(f"{one.name} {getattr(keep, one.name)}" for one in fields(keep) if getattr(keep, one.name))


def holds_back(keep: Keep | None, every: Span | None) -> Span | None:
    """Return how far back a policy is sure to hold versions, when backups go on ``every`` so often; None: all of them.

    The snapshot that stands for the oldest of so many periods may have been made at its end, and the newest period may
    have just begun; so it is two periods less.
    """
    if keep is None:
        return None
    spans = (
        (keep.daily - 2) * DAY,
        (keep.weekly - 2) * 7 * DAY,
        (keep.monthly - 2) * 28 * DAY,
        (keep.yearly - 2) * 365 * DAY,
        (keep.last - 1) * (every or 0),
    )
    return Span(max(0, *spans))
