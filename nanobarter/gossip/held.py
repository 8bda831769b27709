"""The items that a node holds, and which version of a slot wins. Pure: wall time is passed in.

A slot is (topic, author, key). The version with the higher sequence wins; of two with the same sequence, which
only a careless or lying author makes, the one with the higher id, so that all nodes end with the same. A version
is remembered until the latest expiry ever seen in its slot: else an older version that lives longer would come
back when the newer one, say a withdrawal, has expired.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, after
from nanobarter.gossip.ids import IdSet

Slot = tuple[str, bytes, bytes]


@dataclass(frozen=True)
class Entry:
    """The winning version of a slot. ``until`` is how long its sequence must be remembered."""

    item: Item
    item_id: Hash
    until: Instant


class Held:
    """All items of one node. When it is full, authors whom it ``prefers`` take the places of others."""

    def __init__(self, limits: Limits, *, prefers: Callable[[NodeId], bool] = lambda _: False) -> None:
        self._limits, self._prefers = limits, prefers
        self._strangers: dict[Slot, None] = {}
        self.evicted = list[Slot]()
        """What had to make room, for those who keep a copy; they empty it."""
        self._slots: dict[Slot, Entry] = {}
        self._by_id: dict[Hash, Slot] = {}
        self._per_author: dict[bytes, int] = {}
        self._proofs = 0
        self.ids = IdSet()
        """The ids of the items that are offered to others: the winning ones that have not expired."""

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, slot: Slot) -> Item | None:
        """Return the winning version of a slot, live or not."""
        entry = self._slots.get(slot)
        return None if entry is None else entry.item

    def entry(self, slot: Slot) -> Entry | None:
        """Return a slot with how long it must be remembered."""
        return self._slots.get(slot)

    def by_id(self, item_id: Hash) -> Item | None:
        """Return a held item."""
        slot = self._by_id.get(item_id)
        return None if slot is None else self._slots[slot].item

    def judge(self, item: Item, item_id: Hash, now: Instant) -> Refused | None:
        """Tell why an item is not wanted: expired, no news, or too many. The signature is checked elsewhere."""
        if item.expires <= now:
            return Refused(Reason.EXPIRED)
        if item.expires > after(now, self._limits.item_valid_max):
            return Refused(Reason.NOT_YET, "it lives longer than an item may")
        held = self._slots.get(item.slot)
        if held is not None:
            newer = (item.sequence, item_id) > (held.item.sequence, held.item_id)
            return None if newer else Refused(Reason.CONFLICT, "a version at least as new is held")
        return self._no_room(item)

    def _no_room(self, item: Item) -> Refused | None:
        if self._per_author.get(item.author, 0) >= self._limits.items_per_author_max:
            return Refused(Reason.TOO_MANY, "its author has too many items")
        if item.topic == "proof" and self._proofs >= self._limits.gossip_proofs_max:
            return Refused(Reason.TOO_MANY, "too many proofs of fraud are held")
        if len(self._slots) >= self._limits.items_max and not (self._strangers and self._prefers(item.node)):
            return Refused(Reason.TOO_MANY, "too many items are held")
        return None

    def prepare(self, item: Item, item_id: Hash) -> Entry:
        """Return the entry that an item would get; nothing is changed."""
        held = self._slots.get(item.slot)
        return Entry(item, item_id, item.expires if held is None else max(item.expires, held.until))

    def put(self, entry: Entry) -> None:
        """Take an entry in, in place of an older version; ``judge`` must have let it pass."""
        held = self._slots.get(entry.item.slot)
        if held is not None:
            self._unlist(held.item_id)
        if entry.item.slot not in self._slots:
            if len(self._slots) >= self._limits.items_max and self._strangers:
                self.evicted.append(self._strangers.popitem()[0])  # who came last to a full book goes first
                self._forget(self.evicted[-1])
            if not self._prefers(entry.item.node):
                self._strangers[entry.item.slot] = None
            self._per_author[entry.item.author] = self._per_author.get(entry.item.author, 0) + 1
            self._proofs += entry.item.topic == "proof"
        if not entry.item.body:  # a withdrawal must be remembered, or what it ended could come back
            self._strangers.pop(entry.item.slot, None)
        self._slots[entry.item.slot] = entry
        self._by_id[entry.item_id] = entry.item.slot
        self.ids.add(entry.item_id)

    def live(self, topic: str, now: Instant) -> list[Item]:
        """Return what is said now: neither expired nor withdrawn."""
        items = (entry.item for slot, entry in self._slots.items() if slot[0] == topic)
        return [item for item in items if item.body and item.expires > now]

    def expire(self, now: Instant) -> list[Slot]:
        """Drop what need not be remembered, and stop offering what has expired. Returns the slots dropped."""
        dropped = list[Slot]()
        for slot, entry in list(self._slots.items()):
            if entry.item.expires <= now:
                self._unlist(entry.item_id)
            if entry.until <= now:
                self._forget(slot)
                dropped.append(slot)
        return dropped

    def _forget(self, slot: Slot) -> None:
        entry = self._slots.pop(slot)
        self._unlist(entry.item_id)
        self._strangers.pop(slot, None)
        author = entry.item.author
        self._per_author[author] -= 1
        self._proofs -= entry.item.topic == "proof"
        if self._per_author[author] <= 0:
            del self._per_author[author]

    def _unlist(self, item_id: Hash) -> None:
        if self._by_id.pop(item_id, None) is not None:
            self.ids.discard(item_id)
