"""At stake: a plan for the folders of today runs short of space once versions are kept and files change."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.units import DAY, Instant, LeaseKind
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.behaviour import AHEAD_DAYS, Backup, Use, use_of
from nanobarter.translator.plan import SLACK_PER_ISSUER, make_plan

sizes = st.integers(0, 10**12)
KIND = LeaseKind("30d")


@given(sizes, sizes, sizes, sizes, sizes, sizes)
def test_more_data_versions_or_changes_never_order_fewer_bytes(
    folders: int, old: int, change: int, more: int, older: int, faster: int
) -> None:
    base, code = Use(folders, old, change), Geometry(3, 6)
    for other in (
        Use(folders + more, old, change),
        Use(folders, old + older, change),
        Use(folders, old, change + faster),
    ):
        assert other.planned_bytes >= base.planned_bytes
        assert make_plan(other.planned_bytes, KIND, code).lent >= make_plan(base.planned_bytes, KIND, code).lent
    assert folders <= base.planned_bytes <= 2 * (folders + old)


def test_what_is_kept_of_older_versions_and_what_changes_is_planned_for() -> None:
    gb, days = 10**9, [Backup(Instant(day * DAY), 10**9 if day == 0 else 10**7) for day in range(11)]
    room = gb // 10 + 2 * SLACK_PER_ISSUER
    assert use_of(gb, gb + room, days[:1], Instant(0)) == Use(gb)  # what a plan has room for anyway
    assert use_of(gb, gb, days[:2], Instant(DAY)).change_bytes_day == 0  # one day tells nothing
    found = use_of(gb, gb + room + 10**8, days, Instant(10 * DAY))
    assert found == Use(gb, 10**8, 10**7)
    assert found.planned_bytes == gb + 10**8 + AHEAD_DAYS * 10**7
    assert use_of(0, gb, days, Instant(10 * DAY)).planned_bytes == 0
