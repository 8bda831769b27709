"""The real clock and the real entropy, and the repeatable ones for tests and simulations."""

import hashlib
import os
import time
from dataclasses import dataclass

from nanobarter.core.units import Instant, Span


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> Instant:
        """Return milliseconds since 1970 UTC."""
        return Instant(time.time_ns() // 1_000_000)


class SystemEntropy:
    """The operating system's random source."""

    def token(self, count: int, /) -> bytes:
        """Return so many unpredictable bytes."""
        return os.urandom(count)


@dataclass
class ManualClock:
    """A clock that stands still until it is told to move."""

    instant: Instant = Instant(1_700_000_000_000)

    def now(self) -> Instant:
        """Return the instant last set."""
        return self.instant

    def advance(self, span: Span) -> None:
        """Move forward by a span."""
        self.instant = Instant(self.instant + span)


class SeededEntropy:
    """A repeatable stream per seed and label (SHA-256 in counter mode): for tests and simulations only.

    Streams of different labels are independent, so one draw more in one place changes nothing elsewhere.
    """

    def __init__(self, seed: int, label: str) -> None:
        self._key = hashlib.sha256(f"{seed}/{label}".encode()).digest()
        self._counter = 0

    def token(self, count: int, /) -> bytes:
        """Return the next so many bytes of the stream."""
        blocks = list[bytes]()
        for _ in range(-(-count // 32)):
            blocks.append(hashlib.sha256(self._key + self._counter.to_bytes(8, "big")).digest())
            self._counter += 1
        return b"".join(blocks)[:count]
