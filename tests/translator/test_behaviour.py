"""At stake: a plan for the folders of today runs short of space once versions are kept and files change."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.units import DAY, Instant, LeaseKind
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.behaviour import AHEAD_DAYS, Backup, Use, days_until_too_small, use_of
from nanobarter.translator.plan import SLACK_PER_ISSUER, make_plan

sizes = st.integers(0, 10**12)
KIND = LeaseKind("30d")


@given(sizes, sizes, sizes, sizes, sizes)
def test_more_data_versions_changes_or_growth_never_order_fewer_bytes(
    folders: int, old: int, change: int, growth: int, more: int
) -> None:
    base, code = Use(folders, old, change, growth), Geometry(3, 6)
    for other in (
        Use(folders + more, old, change, growth),
        Use(folders, old + more, change, growth),
        Use(folders, old, change + more, growth),
        Use(folders, old, change, growth + more),
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


def grown(*sizes: int, folders: tuple[bytes, ...] = (b"/a",)) -> list[Backup]:
    return [Backup(Instant(day * DAY), 0, size, folders) for day, size in enumerate(sizes)]


def test_folders_that_grow_are_planned_for_even_when_what_came_was_forgotten_with_its_snapshot() -> None:
    mb = 10**6
    days = grown(*range(100 * mb, 111 * mb, mb))
    found = use_of(110 * mb, 0, days, Instant(10 * DAY))
    assert found == Use(110 * mb, 0, 0, mb)
    assert found.planned_bytes == (110 + AHEAD_DAYS) * mb
    assert use_of(110 * mb, 0, days[:3], Instant(2 * DAY)).growth_bytes_day == 0  # two days tell nothing
    assert use_of(mb, 0, grown(9 * mb, mb, mb, mb), Instant(3 * DAY)).growth_bytes_day == 0  # they became smaller
    other = [*grown(mb, mb, mb, mb, folders=(b"/b",)), *grown(mb, mb, mb, mb, 900 * mb)[4:]]
    assert use_of(mb, 0, other, Instant(4 * DAY)).growth_bytes_day == 0  # a folder that is named anew is no growth
    by_hand = [*days, Backup(Instant(10 * DAY + 1), 0, 5 * mb, (b"/hand",))]
    assert use_of(110 * mb, 0, by_hand, Instant(11 * DAY)).growth_bytes_day == mb  # one by hand hides no growth
    wider = [*days, *(Backup(Instant(day * DAY), 0, 2 * day * mb, (b"/a", b"/b")) for day in range(11, 16))]
    assert use_of(mb, 0, wider, Instant(15 * DAY)).growth_bytes_day == 2 * mb  # no folder counts twice
    late = [*days, *(Backup(Instant(day * DAY), 0, mb, (b"/b",)) for day in (50, 54))]
    assert use_of(mb, 0, late, Instant(54 * DAY)).growth_bytes_day == 0  # nobody backs up the first any more


def test_when_the_offer_becomes_too_small_is_told_from_growth() -> None:
    use = Use(10**9, 0, 0, 10**7)
    assert days_until_too_small(Use(10**9), 3 * 10**9, 4 * 10**9) is None
    assert days_until_too_small(use, 5 * 10**9, 4 * 10**9) == 0
    days = days_until_too_small(use, 3 * use.planned_bytes, 3 * use.planned_bytes + 3 * 10**8)
    assert days is not None
    assert abs(days - 10) < 0.01
