"""Peers that broke the protocol are not spoken to for a while: shortly at first, longer each time. Pure.

A first breach may be a fault of either side that a restart mends, so it costs seconds. A peer that goes on costs us
ever less: one handshake per ``misbehaved_last``.
"""

from dataclasses import dataclass
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND

_SHUNNED_MAX: Final = 10_000  # identities are free; the oldest breach is forgotten first


@dataclass
class _Record:
    breaches: int
    until: float


class Shunned:
    """Who broke the protocol, and until when nobody here talks with it. ``now`` is in seconds of any clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[NodeId, _Record] = {}

    def breach(self, node: NodeId, now: float) -> float:
        """Note a breach and return for how many seconds the node is shunned: twice as long as the last time.

        A node that kept the protocol for ``misbehaved_last`` after its last term starts anew.
        """
        last = self._limits.misbehaved_last / SECOND
        record = self._records.pop(node, None)
        breaches = 0 if record is None or record.until + last < now else record.breaches
        span = min(self._limits.misbehaved_first / SECOND * 2 ** min(breaches, 20), last)
        if len(self._records) >= _SHUNNED_MAX:
            del self._records[next(iter(self._records))]
        self._records[node] = _Record(breaches + 1, now + span)
        return span

    def is_shunned(self, node: NodeId, now: float) -> bool:
        """Tell whether a node's term is not over yet."""
        record = self._records.get(node)
        return record is not None and record.until > now

    def nodes(self, now: float) -> list[NodeId]:
        """Return the nodes that are shunned now."""
        return [node for node in self._records if self.is_shunned(node, now)]

    def next_end(self, now: float) -> float:
        """Return when the next term ends; infinity when none runs."""
        return min((record.until for record in self._records.values() if record.until > now), default=float("inf"))
