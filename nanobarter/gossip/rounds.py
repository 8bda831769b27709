"""With whom to compare books next, and when. Pure.

Everyone in turn, so that a node whose other peers all keep silent hears through the one that does not: within
``gossip_sync_every`` while news come, since so long takes one round. When a round has brought no news, from anybody,
the next one takes twice as long: a quiet network stays quiet.
"""

from collections.abc import Collection
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND
from nanobarter.gossip.spread import choose

_STRETCH_MAX: Final = 12  # an hour for a round at five minutes


class Rounds:
    """Whose turn it is."""

    def __init__(self, limits: Limits) -> None:
        self._round = limits.gossip_sync_every / SECOND
        self._order = list[NodeId]()
        self._stretch, self._has_news = 1, True

    def news(self) -> None:
        """Note that something new came from somebody."""
        self._stretch, self._has_news = 1, True

    def pause(self, peers: int) -> float:
        """Return for how many seconds to wait until the next comparison, with so many peers."""
        return self._round * self._stretch / max(peers, 1)

    def next(self, peers: Collection[NodeId], draw: bytes) -> NodeId | None:
        """Return whom to compare with now; ``draw`` are random bytes for the order of a new round."""
        self._order = [peer for peer in self._order if peer in peers]
        if not self._order:
            self._stretch = 1 if self._has_news else min(2 * self._stretch, _STRETCH_MAX)
            self._has_news = False
            self._order = choose(peers, len(peers), draw)
        return self._order.pop() if self._order else None
