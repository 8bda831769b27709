"""Which peer has to be told what: a queue per peer, without what it has already. Pure."""

from collections.abc import Collection

from nanobarter.core.canonical import encode
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.gossip.held import Slot
from nanobarter.gossip.messages import PUSH_BYTES_MAX, PUSH_ITEMS_MAX


class Recent:
    """A set that forgets its oldest members."""

    def __init__(self, count_max: int) -> None:
        self._members: dict[Hash, None] = {}
        self._count_max = count_max

    def __contains__(self, item_id: Hash) -> bool:
        return item_id in self._members

    def add(self, item_id: Hash) -> None:
        """Remember one more."""
        self._members[item_id] = None
        if len(self._members) > self._count_max:
            del self._members[next(iter(self._members))]


class Outgoing:
    """What waits for one peer, and what it is known to have. A newer version takes the place of an older one."""

    def __init__(self, limits: Limits) -> None:
        self._waiting: dict[Slot, tuple[Item, Hash]] = {}
        self._has = Recent(limits.gossip_queue_max)
        self._queue_max = limits.gossip_queue_max
        self.is_draining = False
        self.overflowed = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def has(self, item_id: Hash) -> bool:
        """Tell whether the peer is known to have an item."""
        return item_id in self._has

    def knows(self, item_id: Hash) -> None:
        """Note that the peer has an item."""
        self._has.add(item_id)

    def add(self, item: Item, item_id: Hash) -> None:
        """Queue an item unless the peer has it. When the queue is full the peer must catch up instead."""
        if item_id in self._has:
            return
        if len(self._waiting) >= self._queue_max and item.slot not in self._waiting:
            self.overflowed = True
            return
        self._waiting[item.slot] = (item, item_id)

    def take(self) -> list[Item]:
        """Return the next batch, proofs of fraud first; the peer counts as having them."""
        batch, size = list[Item](), 0
        for slot, (item, item_id) in sorted(self._waiting.items(), key=lambda entry: entry[0][0] != "proof"):
            if item_id not in self._has:
                length = len(encode(item))
                if len(batch) >= PUSH_ITEMS_MAX or size + length > PUSH_BYTES_MAX - 16:
                    break
                batch.append(item)
                size += length
                self._has.add(item_id)
            del self._waiting[slot]
        return batch

    def clear(self) -> None:
        """Drop all that waits: the peer went away and will catch up when it returns."""
        self._waiting.clear()


def choose(peers: Collection[NodeId], count: int, draw: bytes) -> list[NodeId]:
    """Return so many of the peers, chosen by random bytes; the same ones for the same bytes."""
    key = int.from_bytes(draw, "big")
    return sorted(peers, key=lambda peer: int.from_bytes(peer[:8], "big") ^ key)[:count]
