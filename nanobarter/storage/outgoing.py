"""One pack on its way out: which shares are where, and how long the others are waited for."""

from dataclasses import dataclass, field
from typing import Final

import trio

from nanobarter.core.ids import NodeId, short_node
from nanobarter.storage.placements import PlacedPackRow
from nanobarter.storage.share import Share
from nanobarter.storage.targets import Picker

_TOLD_MAX: Final = 3  # peers whose reasons a message gives; they are often the same


@dataclass
class Outgoing:
    """One pack on its way out."""

    row: PlacedPackRow
    shares: dict[int, Share]
    picker: Picker
    placed: set[int]
    resting_too: bool = False
    started: float = field(default_factory=trio.current_time)
    patience: float | None = None  # set once k are placed
    running: set[trio.CancelScope] = field(default_factory=set[trio.CancelScope])
    failed: dict[NodeId, str] = field(default_factory=dict[NodeId, str])  # the last reason of each peer

    def why(self) -> str:
        """Return what stood against it at some of the peers, to be told after a no."""
        told = [f"{short_node(node)}: {reason}" for node, reason in list(self.failed.items())[:_TOLD_MAX]]
        return f" ({'; '.join(told)})" if told else ""

    def enough(self, least_s: float) -> None:
        """From now on nobody is waited for longer than it took until now."""
        if self.patience is None and len(self.placed) >= self.row.k:
            self.patience = max(least_s, trio.current_time() - self.started)
            for scope in self.running:
                scope.deadline = trio.current_time() + self.patience
