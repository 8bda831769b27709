"""What each peer has been good for, as one number. Pure: ``now`` in seconds of any clock.

After GossipSub 1.1's scoring, with the parts that an attacker cannot earn cheaply: being first with good items counts
a little and fades, passing on what is not valid counts squared, and so do promises that were not kept. A peer below
zero is not in the mesh; one with ``gossip_faults_max`` faults is not listened to for a while.
"""

from dataclasses import dataclass
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND

_FIRSTS_MAX: Final = 20.0  # a busy liar cannot save up for many faults
_BROKEN_FREE: Final = 3.0  # an item may have been replaced between the promise and the question
_HALF_LIFE: Final = 600.0  # seconds
_REMEMBERED_MAX: Final = 10_000


@dataclass
class _Record:
    at: float
    firsts: float = 0.0
    broken: float = 0.0
    faults: float = 0.0
    muted_until: float = 0.0


class Scores:
    """One record per peer; it outlives the connection, or reconnecting would wash a peer clean."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[NodeId, _Record] = {}

    def first(self, peer: NodeId, now: float) -> None:
        """Note that a peer was the first to bring a good item."""
        record = self._record(peer, now)
        record.firsts = min(record.firsts + 1, _FIRSTS_MAX)

    def broke(self, peer: NodeId, now: float, count: int = 1) -> None:
        """Note promises that were not kept: items named and then not given, joining again too soon."""
        self._record(peer, now).broken += count

    def fault(self, peer: NodeId, now: float, count: int = 1) -> None:
        """Note items that are not valid; beyond a number the peer is muted and starts anew afterwards."""
        record = self._record(peer, now)
        record.faults += count
        if record.faults > self._limits.gossip_faults_max - 0.5:  # those of the last minutes have hardly faded
            record.faults = 0.0
            record.muted_until = now + self._limits.gossip_muted_for / SECOND

    def is_muted(self, peer: NodeId, now: float) -> bool:
        """Tell whether a peer is not listened to."""
        record = self._records.get(peer)
        return record is not None and record.muted_until > now

    def of(self, peer: NodeId, now: float) -> float:
        """Return a peer's score: zero for one that nothing is known of."""
        if peer not in self._records:
            return 0.0
        record = self._record(peer, now)
        muted = 100.0 if record.muted_until > now else 0.0
        return record.firsts - record.faults**2 - max(record.broken - _BROKEN_FREE, 0.0) ** 2 - muted

    def _record(self, peer: NodeId, now: float) -> _Record:
        record = self._records.pop(peer, None) or _Record(now)
        fade = 0.5 ** (max(now - record.at, 0.0) / _HALF_LIFE)
        record.firsts, record.broken, record.at = record.firsts * fade, record.broken * fade, now
        record.faults *= fade
        if len(self._records) >= _REMEMBERED_MAX:
            del self._records[next(iter(self._records))]
        self._records[peer] = record
        return record
