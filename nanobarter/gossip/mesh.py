"""Who passes items on to whom: a few of the peers, on both sides' agreement. Pure: ``now`` in seconds of any clock.

After GossipSub 1.1: about ``gossip_degree`` members, never those with a score below zero; who is left is not asked
again for a minute. What is different: one member that brought nothing while others brought much is exchanged every ten
seconds, and only if somebody else is there to take its place, so that small networks stay whole.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.gossip.spread import choose

REST: Final = 60.0  # seconds between leaving and joining again, as in GossipSub
_IDLE_ITEMS: Final = 12  # items from others while a member brings none, by chance once in 4,000 times
_IDLE_WHEN_MISSED: Final = 3
_EXCHANGE_EVERY: Final = 10.0  # seconds


@dataclass(frozen=True)
class Change:
    """Who is asked to join, and who is told that we leave."""

    join: tuple[NodeId, ...] = ()
    leave: tuple[NodeId, ...] = ()


class Mesh:
    """The members of one node's mesh."""

    def __init__(self, limits: Limits, score: Callable[[NodeId, float], float]) -> None:
        self._degree, self._score = limits.gossip_degree, score
        self._silent: dict[NodeId, int] = {}  # for each member, the items that others brought since it brought one
        self._resting: dict[NodeId, float] = {}
        self._uninvited = set[NodeId]()  # members that asked us, not we them
        self._missed = 0
        self._exchanged = 0.0

    def __contains__(self, peer: NodeId) -> bool:
        return peer in self._silent

    @property
    def members(self) -> Collection[NodeId]:
        """All members now."""
        return self._silent.keys()

    @property
    def _low(self) -> int:
        return max(self._degree - 1, 1)

    @property
    def _high(self) -> int:
        return self._degree + 1

    def brought(self, peer: NodeId) -> None:
        """Note that a peer brought something we wanted: all other members were later."""
        for member in self._silent:
            self._silent[member] += 1
        self.brought_too(peer)

    def brought_too(self, peer: NodeId) -> None:
        """Note that a member brought something we just had; it is alive."""
        if peer in self._silent:
            self._silent[peer] = 0

    def missed(self) -> None:
        """Note that something new was learnt by its name from outside: the mesh did not bring it."""
        self._missed += 1

    def asked(self, peer: NodeId, now: float) -> bool:
        """Judge a peer that wants to join; tell whether it may.

        Those who ask get about half of the places: whoever asks everybody cannot surround a node.
        """
        if peer in self._silent:
            return True
        resting = self._resting.get(peer, 0.0) > now
        full = len(self._silent) >= self._high or len(self._uninvited) > self._degree // 2
        if resting or full or self._score(peer, now) < 0:
            self._resting[peer] = max(self._resting.get(peer, 0.0), now + REST)
            return False
        self._silent[peer] = 0
        self._uninvited.add(peer)
        return True

    def is_early(self, peer: NodeId, now: float) -> bool:
        """Tell whether a peer asks again before its rest is over."""
        return peer not in self._silent and self._resting.get(peer, 0.0) > now

    def left(self, peer: NodeId, now: float) -> None:
        """Note that a peer left, or would not join."""
        self.gone(peer)
        self._resting[peer] = now + REST

    def gone(self, peer: NodeId) -> None:
        """Note that a peer is not connected any more."""
        self._silent.pop(peer, None)
        self._uninvited.discard(peer)

    def change(self, connected: Collection[NodeId], now: float, draw: bytes) -> Change:
        """Bring the mesh to its size, and tell what to say to whom."""
        bad = [peer for peer in self._silent if self._score(peer, now) < 0]
        for peer in bad:
            self.left(peer, now)
        spare = self._spare(connected, now)
        idle = self._idle(spare, now)
        for peer in idle:
            self.left(peer, now)
            self._exchanged = now
        self._missed = 0
        join = list[NodeId]()
        if len(self._silent) < self._low or idle:
            join = choose(spare, self._degree - len(self._silent), draw)
            self._silent.update(dict.fromkeys(join, 0))
        excess = self._excess(now, draw)
        for peer in excess:
            self.left(peer, now)
        self._resting = {peer: until for peer, until in self._resting.items() if until > now}
        return Change(tuple(join), (*bad, *idle, *excess))

    def next_change(self, connected: Collection[NodeId], now: float) -> float:
        """Return when ``change`` would do something because of the size of the mesh; infinity for never."""
        if len(self._silent) > self._high or any(self._score(peer, now) < 0 for peer in self._silent):
            return now
        if len(self._silent) >= self._low:
            return float("inf")
        able = [peer for peer in connected if peer not in self._silent and self._score(peer, now) >= 0]
        return min((max(self._resting.get(peer, now), now) for peer in able), default=float("inf"))

    def _spare(self, connected: Collection[NodeId], now: float) -> list[NodeId]:
        return [
            peer
            for peer in connected
            if peer not in self._silent and self._resting.get(peer, 0.0) <= now and self._score(peer, now) >= 0
        ]

    def _idle(self, spare: Collection[NodeId], now: float) -> list[NodeId]:
        """Return the members that are worth exchanging: one now and then, half of them when the mesh missed news."""
        if self._missed:
            enough, most = _IDLE_WHEN_MISSED, min(self._degree // 2, len(spare))
        elif now - self._exchanged >= _EXCHANGE_EVERY and len(self._silent) >= self._low:
            enough, most = _IDLE_ITEMS, min(1, len(spare))
        else:
            return []
        worst = sorted(self._silent, key=lambda peer: self._silent[peer], reverse=True)
        return [peer for peer in worst[:most] if self._silent[peer] >= enough]

    def _excess(self, now: float, draw: bytes) -> list[NodeId]:
        """Return whom to leave when there are too many: the best half stays, the others by lot."""
        if len(self._silent) <= self._high:
            return []
        by_score = sorted(self._silent, key=lambda peer: self._score(peer, now), reverse=True)
        kept = by_score[: self._degree // 2]
        kept += choose(by_score[self._degree // 2 :], self._degree - len(kept), draw)
        return [peer for peer in by_score if peer not in kept]
