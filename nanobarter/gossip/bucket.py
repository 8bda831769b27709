"""A token bucket: so many bytes a second on average, and a burst of so many at once. Pure: ``now`` in seconds."""

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass
class _Level:
    tokens: float
    at: float


class Buckets:
    """One bucket for each key, with the same rate and burst; at most ``count_max`` keys are remembered.

    A key that is forgotten starts full again. It is the one used least recently, so a flood of new keys costs
    the flooder its own, and an attacker gains no more than by making a new key.
    """

    def __init__(self, rate: float, burst: float, count_max: int) -> None:
        self._rate, self._burst, self._count_max = rate, burst, count_max
        self._levels: dict[Hashable, _Level] = {}

    def take(self, key: Hashable, amount: int, now: float) -> bool:
        """Take so many tokens if they are there."""
        level = self._levels.pop(key, None) or _Level(self._burst, now)
        level.tokens = min(self._burst, level.tokens + (now - level.at) * self._rate)
        level.at = now
        enough = level.tokens >= amount
        if enough:
            level.tokens -= amount
        self._levels[key] = level
        if len(self._levels) > self._count_max:
            del self._levels[next(iter(self._levels))]
        return enough
