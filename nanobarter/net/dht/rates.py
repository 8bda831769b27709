"""How many datagrams are looked at: so many of one address, and so many in all. Pure: ``now`` in seconds.

An address can be forged, so the bucket of one protects against a careless sender and the bucket of all bounds the CPU:
a signature takes 0.1 ms to check.
"""

from dataclasses import dataclass
from typing import Final

from nanobarter.core.limits import Limits
from nanobarter.net.dht.ports import Source

_SOURCES_MAX: Final = 4096


@dataclass
class _Level:
    tokens: float
    at: float


class Rates:
    """A token bucket per address, and one for all."""

    def __init__(self, limits: Limits, *, per_port: bool) -> None:
        self._per_port = per_port
        self._each, self._all_rate = limits.dht_datagrams_per_s, limits.dht_datagrams_all_per_s
        self._levels: dict[object, _Level] = {}
        self._all = _Level(2.0 * self._all_rate, 0.0)

    def admits(self, source: Source, now: float) -> bool:
        """Tell whether a datagram from here is looked at now."""
        name = source if self._per_port else source.host
        level = self._levels.pop(name, None) or _Level(4.0 * self._each, now)
        self._levels[name] = level
        if len(self._levels) > _SOURCES_MAX:
            del self._levels[next(iter(self._levels))]
        return _take(level, self._each, 4, now) and _take(self._all, self._all_rate, 2, now)


def _take(level: _Level, rate: float, burst_seconds: float, now: float) -> bool:
    level.tokens = min(rate * burst_seconds, level.tokens + max(now - level.at, 0.0) * rate)
    level.at = now
    if level.tokens < 1:
        return False
    level.tokens -= 1
    return True
