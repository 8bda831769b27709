"""One pack on its way out: which shares are where, and how long the others are waited for.

Whoever is slow is measured by the others: once a share arrived, by as long again as that took; before, by what
transfers of this size took lately; ``least`` seconds come on top. A peer that answers in between is no hung one, and is
given up only when k shares are placed without it.
"""

from dataclasses import dataclass, field
from typing import Final

import trio

from nanobarter.core.ids import NodeId, short_node
from nanobarter.storage.pace import Pace
from nanobarter.storage.placements import PlacedPackRow
from nanobarter.storage.share import Bytes
from nanobarter.storage.targets import Candidate, Picker

_TOLD_MAX: Final = 3  # peers whose reasons a message gives; they are often the same


@dataclass(eq=False)
class Attempt:
    """One share on its way to one peer."""

    node: NodeId
    size: int
    since: float = field(default_factory=trio.current_time)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    given_up: bool = False

    def give_up(self) -> None:
        """Stop it: another peer shall take the share."""
        self.given_up = True
        self.scope.cancel()


@dataclass
class Outgoing:
    """One pack on its way out. Times are seconds."""

    row: PlacedPackRow
    pieces: dict[int, Bytes]  # of the erasure code, of which shares are made when their turn comes
    picker: Picker
    placed: set[int]
    least: float
    resting_too: bool = False
    taken: int = 0  # peers that were chosen for a share which has not arrived yet
    slowest: float | None = None  # of those that arrived
    running: set[Attempt] = field(default_factory=set[Attempt])
    failed: dict[NodeId, str] = field(default_factory=dict[NodeId, str])  # the last reason of each peer

    def take(self, size: int) -> Candidate | None:
        """Return the peer that a share is to go to next; one that rests only where not even k would be placed else."""
        short = len(self.placed) + self.taken < self.row.k
        found = self.picker.take(size, resting_too=self.resting_too or short)
        self.taken += found is not None
        return found

    def give_back(self, candidate: Candidate) -> None:
        """Note that a peer did not take its share."""
        self.taken -= 1
        self.picker.give_back(candidate)

    def why(self) -> str:
        """Return what stood against it at some of the peers, to be told after a no."""
        told = [f"{short_node(node)}: {reason}" for node, reason in list(self.failed.items())[:_TOLD_MAX]]
        return f" ({'; '.join(told)})" if told else ""

    def arrived(self, index: int, seconds: float) -> None:
        """Note that a share was placed."""
        self.placed.add(index)
        self.pieces[index] = b""  # it is not needed any more, and is up to 2 MiB
        self.taken -= 1
        self.slowest = max(self.slowest or 0.0, seconds)

    def excuse(self, seconds: float) -> None:
        """Note that this process itself did not run for so long: nobody else is to blame for that."""
        for attempt in self.running:
            attempt.since += seconds

    def late(self, now: float, pace: Pace) -> list[Attempt]:
        """Return the attempts that are waited for no longer."""
        enough = len(self.placed) >= self.row.k
        found = list[Attempt]()
        for attempt in self.running:
            usual = pace.patience(attempt.size) if self.slowest is None else self.slowest
            if usual is not None and now - attempt.since > usual + max(self.least, usual):
                moves = pace.heard_since(attempt.node, now - self.least)
                if not attempt.given_up and (enough or not moves):
                    found.append(attempt)
        return found
