"""How a task that looks through what strangers say leaves the node to others: it works a little and rests longer."""

from typing import Final

from nanobarter.core.units import SECOND, Span

WORK_MAX: Final = Span(SECOND // 5)
"""After so long a task pauses between two parts of its work, since nothing else of the node has run meanwhile."""
REST_TIMES: Final = 4  # so it takes a fifth of a core at most, whatever strangers send
REST_MAX: Final = Span(5 * SECOND)


def rest_after(worked: float) -> float:
    """Return how long to rest after so long without a pause; both in seconds."""
    return min(REST_TIMES * worked, REST_MAX / SECOND)
