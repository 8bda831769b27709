"""The market's view of the bids: without those of convicted nodes, and without those that give their notes.

Gossip keeps and forwards the bids, since another node may not know yet; here they are as if withdrawn.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from nanobarter.core.errors import Refused
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item, Topic
from nanobarter.court.service import Conviction, Court
from nanobarter.gossip.subscribers import Subscribers
from nanobarter.matching.network import bid_from_item, quality_of


class Bids(Protocol):
    """Where bids are posted and read: gossip."""

    async def publish(self, item: Item) -> Refused | None:
        """Say this to all, or tell why not."""
        ...

    def next_sequence(self, topic: Topic, author: bytes, key: bytes) -> int:
        """Return a sequence that replaces what was said in a slot, also if the clock went back since."""
        ...

    def items(self, topic: Topic) -> Sequence[Item]:
        """Return the live items of a topic."""
        ...

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Call back for each new version."""
        ...


class CleanBoard:
    """Implements the market's board over gossip. ``me``: our own bids stay, whatever is said of us."""

    def __init__(self, bids: Bids, court: Court, me: NodeId) -> None:
        self._bids, self._court, self._me = bids, court, me
        self._subscribers, self._topics = Subscribers(), set[Topic]()
        court.observe(self._withdraw)

    async def publish(self, item: Item) -> Refused | None:
        """Say this to all, or tell why not."""
        return await self._bids.publish(item)

    def next_sequence(self, topic: Topic, author: bytes, key: bytes) -> int:
        """Return a sequence that replaces what was said in a slot, also if the clock went back since."""
        return self._bids.next_sequence(topic, author, key)

    def items(self, topic: Topic) -> Sequence[Item]:
        """Return the live items of a topic that may be dealt with."""
        return [item for item in self._bids.items(topic) if not self._is_tainted(item)]

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Call back for what is live and may be dealt with, and for each new version (``Subscribers``)."""
        if topic not in self._topics:
            self._topics.add(topic)
            self._bids.subscribe(topic, lambda item: None if self._is_tainted(item) else self._subscribers.tell(item))
        self._subscribers.add(topic, callback, self.items(topic))

    def _is_tainted(self, item: Item) -> bool:
        return item.node != self._me and any(self._court.convicted(node) for node in _nodes_of(item))

    def _withdraw(self, conviction: Conviction) -> None:
        """Let every bid that deals in a convicted node's notes go from the book."""
        for topic in self._topics:
            for item in self._bids.items(topic):
                if item.node != self._me and conviction.node in _nodes_of(item):
                    self._subscribers.tell(replace(item, body=b""))


def _nodes_of(item: Item) -> set[NodeId]:
    bid = bid_from_item(item)
    return {item.node} if bid is None else {item.node, quality_of(bid.gives).issuer}
