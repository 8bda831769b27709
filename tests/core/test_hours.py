"""A backup that starts at the wrong hour takes the line from its person; one whose hour never comes is no backup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.hours import WHOLE_DAY, Hours, parse_hours

minutes = st.integers(0, 24 * 60 - 1)


@given(minutes, minutes, minutes)
def test_hours_and_the_other_hours_share_the_day(begin: int, end: int, minute: int) -> None:
    if begin == end:
        assert Hours(begin, end).has(minute)
    else:
        assert Hours(begin, end).has(minute) != Hours(end, begin).has(minute)
        assert Hours(begin, end).has(begin)
        assert not Hours(begin, end).has(end)


def test_what_is_written_is_what_is_meant() -> None:
    assert parse_hours("22:00-06:00") == Hours(22 * 60, 6 * 60)
    assert parse_hours("07:30 - 24:00") == Hours(7 * 60 + 30, 0)
    assert parse_hours("always") == WHOLE_DAY
    for text in ("", "22-06", "24:00-06:00", "22:60-06:00", "6:00-7:00"):
        with pytest.raises(ValueError, match="is not a part of the day"):
            parse_hours(text)
