"""A policy that forgets the wrong snapshot loses the very day that somebody wants back."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import sha256
from nanobarter.core.units import DAY, HOUR, Instant, Span
from nanobarter.storage.retention import Dated, Keep, holds_back, kept_by, parse_keep, show_keep

FOLDER = (b"/home",)


def at(text: str, series: tuple[bytes, ...] = FOLDER) -> Dated:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Dated(sha256(text.encode() + b"".join(series)), Instant(int(moment.timestamp() * 1000)), series)


def days(*texts: str) -> list[Dated]:
    return [at(text) for text in texts]


def test_each_period_is_stood_for_by_its_newest() -> None:
    made = days("2026-11-19T08:00", "2026-11-19T20:00", "2026-11-20T08:00", "2026-11-21T08:00", "2026-10-31T23:59")
    kept = kept_by(made, Keep(daily=2, monthly=2))
    assert {made.index(one) for one in made if one.snapshot_id in kept} == {2, 3, 4}
    assert kept[made[3].snapshot_id] == ("last", "daily", "monthly")
    assert kept[made[4].snapshot_id] == ("monthly",)


def test_weeks_are_those_of_the_calendar_also_across_the_year() -> None:
    made = days("2026-12-28T10:00", "2027-01-03T10:00", "2027-01-04T10:00")  # Monday, Sunday, Monday
    kept = kept_by(made, Keep(weekly=2))
    assert [one.snapshot_id in kept for one in made] == [False, True, True]


def test_empty_periods_do_not_count() -> None:
    made = days("2020-01-01T00:00", "2023-01-01T00:00", "2026-01-01T00:00")
    assert len(kept_by(made, Keep(daily=3))) == 3


def test_another_folder_pushes_nobody_out() -> None:
    mine, other = at("2026-11-20T08:00"), at("2026-11-20T09:00", (b"/other",))
    assert set(kept_by([mine, other], Keep(daily=1))) == {mine.snapshot_id, other.snapshot_id}


COUNTS = st.integers(0, 5)
POLICIES = st.builds(Keep, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
MOMENTS = st.lists(st.integers(-(10**12), 4 * 10**12), max_size=40, unique=True)


@given(MOMENTS, POLICIES)
def test_the_newest_stays_more_never_keeps_less_and_forgetting_twice_is_forgetting_once(
    moments: list[int], keep: Keep
) -> None:
    made = [Dated(sha256(str(moment).encode()), Instant(moment), FOLDER) for moment in moments]
    kept = kept_by(made, keep)
    if made:
        assert max(made, key=lambda one: one.at).snapshot_id in kept
    assert len(kept) <= max(keep.last, 1) + keep.daily + keep.weekly + keep.monthly + keep.yearly
    left = [one for one in made if one.snapshot_id in kept]
    assert kept_by(left, keep) == kept
    more = Keep(keep.last + 1, keep.daily + 1, keep.weekly, keep.monthly, keep.yearly + 1)
    assert set(kept) <= set(kept_by(made, more))


@given(POLICIES)
def test_a_policy_is_read_as_it_is_shown(keep: Keep) -> None:
    if keep == Keep():
        assert parse_keep("all") is None
        assert show_keep(None) == "all"
    else:
        assert parse_keep(show_keep(keep)) == keep


@pytest.mark.parametrize("text", ["", "daily", "daily 0", "daily 7 weekly 4", "hourly 3", "daily 7, daily 8"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a policy"):
        parse_keep(text)


@pytest.mark.parametrize("day", [0, 1, 14, 15, 16, 40])
@pytest.mark.parametrize("keep", [Keep(last=9), Keep(daily=3), Keep(weekly=4), Keep(monthly=4), Keep(yearly=2)])
def test_a_policy_holds_versions_at_least_as_far_back_as_it_says(keep: Keep, day: int) -> None:
    every, now = Span(12 * HOUR), 1_800_000_000_000 + day * DAY
    made = [Dated(sha256(b"%d" % i), Instant(now - i * every), FOLDER) for i in range(400)]
    kept = kept_by(made, keep)
    oldest = min(one.at for one in made if one.snapshot_id in kept)
    holds = holds_back(keep, every)
    assert holds is not None
    assert now - oldest >= holds
    assert (holds_back(replace(keep, daily=keep.daily + 1), every) or 0) >= holds
    assert holds_back(None, every) is None
