"""What has to be said to one peer: items that it lacks, names of items, and the mesh. Pure."""

from collections.abc import Collection, Iterable, Iterator

from nanobarter.core.canonical import encode
from nanobarter.core.ids import Hash, NodeId, sha256
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.gossip.held import Slot
from nanobarter.gossip.ids import prefix_of
from nanobarter.gossip.messages import ITEMS_BYTES_MAX, PUSH_ITEMS_MAX, PUSH_NAMES_MAX, Bond, Push


class Recent:
    """A set of names (the first bytes of ids) that forgets its oldest members."""

    def __init__(self, count_max: int) -> None:
        self._members: dict[bytes, None] = {}
        self._count_max = count_max

    def __contains__(self, name: bytes) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._members)

    def add(self, name: bytes) -> None:
        """Remember one more."""
        self._members[name] = None
        if len(self._members) > self._count_max:
            del self._members[next(iter(self._members))]

    def clear(self) -> None:
        """Forget all."""
        self._members.clear()


class Outgoing:
    """What waits for one peer, and what it is known to have. A newer version takes the place of an older one."""

    def __init__(self, limits: Limits) -> None:
        self._waiting: dict[Slot, tuple[Item, Hash]] = {}
        self._names: dict[bytes, None] = {}
        self._has = Recent(limits.gossip_queue_max)
        self._queue_max = limits.gossip_queue_max
        self.bond = Bond.NOTHING
        self.overflowed = False

    def __bool__(self) -> bool:
        return bool(self._waiting or self._names or self.bond)

    def has(self, item_id: Hash) -> bool:
        """Tell whether the peer is known to have an item."""
        return prefix_of(item_id) in self._has

    def knows(self, name: bytes) -> None:
        """Note that the peer has an item."""
        self._has.add(name)

    def add(self, item: Item, item_id: Hash) -> None:
        """Queue an item unless the peer has it. When the queue is full the peer must catch up instead."""
        if self.has(item_id):
            return
        if len(self._waiting) >= self._queue_max and item.slot not in self._waiting:
            self.overflowed = True
            return
        self._waiting[item.slot] = (item, item_id)

    def name(self, names: Iterable[bytes]) -> None:
        """Queue names of items that the peer may want; those that do not fit are found by comparing."""
        for name in names:
            if name not in self._has and len(self._names) < PUSH_NAMES_MAX:
                self._names[name] = None

    def take(self) -> Push | None:
        """Return the next message, proofs of fraud first; the peer counts as having its items."""
        batch, size = list[Item](), 0
        for slot, (item, item_id) in sorted(self._waiting.items(), key=lambda entry: entry[0][0] != "proof"):
            if not self.has(item_id):
                length = len(encode(item))
                if len(batch) >= PUSH_ITEMS_MAX or size + length > ITEMS_BYTES_MAX:
                    break
                batch.append(item)
                size += length
                self.knows(prefix_of(item_id))
            del self._waiting[slot]
        names = b"".join(name for name in self._names if name not in self._has)
        bond, self.bond = self.bond, Bond.NOTHING
        self._names.clear()
        return Push(tuple(batch), names, bond) if batch or names or bond else None

    def clear(self) -> None:
        """Drop all that waits: the peer will compare with us when it wants the rest."""
        self._waiting.clear()
        self._names.clear()


def choose(peers: Collection[NodeId], count: int, draw: bytes) -> list[NodeId]:
    """Return so many of the peers, each as likely as the others; the same ones for the same random bytes."""
    return sorted(peers, key=lambda peer: sha256(draw + peer))[: max(count, 0)]
