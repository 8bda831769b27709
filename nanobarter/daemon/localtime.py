"""The time of the day where the machine stands: what a person means by hours in her config."""

import time

from nanobarter.core.units import SECOND, Instant


def local_minute(now: Instant) -> int:
    """Return the minute of the day, 0 to 1439, by the machine's time zone."""
    local = time.localtime(now / SECOND)
    return local.tm_hour * 60 + local.tm_min
