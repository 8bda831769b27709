"""The time of the day where the machine stands: what a person means by hours in her config."""

import time

from nanobarter.core.units import SECOND, Instant


def local_minute(now: Instant) -> int:
    """Return the minute of the day, 0 to 1439, by the machine's time zone."""
    local = time.localtime(now / SECOND)
    return local.tm_hour * 60 + local.tm_min


def show_time(at: Instant) -> str:
    """Return a time as a log tells it, by the machine's time zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at / SECOND))
