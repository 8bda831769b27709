"""How fast each peer takes and gives shares, and when it was last heard: what patience is measured by.

A fixed patience is wrong on every line but one: a hung peer on a fast line costs it all, and on a slow line it gives up
what would have come. So one waits for several times what transfers took lately, and never less than a named least.
"""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.units import MIB

_SMOOTH: Final = 0.3  # of a new transfer in the figure kept
_TIMES: Final = 2.0  # what others took may be so many times shorter
_SLOWEST: Final = 600.0  # seconds per MiB: a line of 14 kbit/s


@dataclass
class Pace:
    """What is known of the lines to peers. Seconds of one clock."""

    _seconds: dict[NodeId, float] = field(default_factory=dict[NodeId, float])  # per MiB
    _heard: dict[NodeId, float] = field(default_factory=dict[NodeId, float])

    def heard(self, node: NodeId, now: float) -> None:
        """Note that a peer answered anything."""
        self._heard[node] = now

    def heard_since(self, node: NodeId, moment: float) -> bool:
        """Tell whether a peer answered anything since then."""
        return self._heard.get(node, -1.0) >= moment

    def took(self, node: NodeId, size: int, seconds: float) -> None:
        """Note how long a transfer took, with all that went on beside it."""
        found = seconds * MIB / max(size, 1)
        before = self._seconds.get(node, found)
        self._seconds[node] = before + _SMOOTH * (found - before)

    def slower(self) -> None:
        """Expect transfers to take twice as long: one was given up by what others took, and it may be the line."""
        self._seconds = {node: min(2 * seconds, _SLOWEST) for node, seconds in self._seconds.items()}

    def patience(self, size: int) -> float | None:
        """Return how long to wait for a transfer of this size; None while nothing is known of any line."""
        if not self._seconds:
            return None
        return _TIMES * median(self._seconds.values()) * size / MIB
