"""The gate that every item goes through, wherever it came from. Pure but for the validators that services add.

Not known, not expired, newer than what is held, signed by its author, found good by the topic's validators, within
its author's rate: only then is it kept and passed on, so a forged item travels one hop and its sender is to blame.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.item import Item, check_item
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant
from nanobarter.gossip.bucket import Buckets
from nanobarter.gossip.held import Entry, Held
from nanobarter.gossip.ids import prefix_of
from nanobarter.gossip.spread import Recent

BUCKETS_MAX: Final = 10_000
_NEVER: Final = (Reason.CONFLICT, Reason.BAD_SIGNATURE, Reason.POLICY)


@dataclass(frozen=True)
class Moment:
    """Now: in seconds of a clock that only goes forward, for rates, and as wall time, for expiry."""

    at: float
    wall: Instant


class Gate:
    """Judges items. ``admits`` tells whose are taken at all; ``verify`` raises Malformed for a bad signature."""

    def __init__(
        self,
        held: Held,
        limits: Limits,
        *,
        admits: Callable[[NodeId], bool],
        verify: Callable[[Item], None] = check_item,
    ) -> None:
        self._held, self._admits, self._verify = held, admits, verify
        self._of_authors = Buckets(limits.gossip_bytes_per_s, limits.gossip_burst_bytes, BUCKETS_MAX)
        self._checks = list[tuple[str, Callable[[Item], bool]]]()
        self.refused = Recent(limits.gossip_seen_max)
        """Names of items that will never be wanted, so that they are judged once and not asked for again."""
        self.surplus = Recent(limits.gossip_seen_max)
        """Names of items that there was no room for."""

    def check(self, topic: str, fn: Callable[[Item], bool]) -> None:
        """Let a payload of a topic pass only if this says so."""
        self._checks.append((topic, fn))

    def knows(self, name: bytes) -> bool:
        """Tell whether an item of this name is held or was refused."""
        return name in self.refused or name in self.surplus or self._held.ids.starting(name) is not None

    def unwanted(self) -> Iterator[bytes]:
        """Return the names of all that need not be asked for."""
        return chain(self.refused, self.surplus)

    def is_admitted(self, item: Item) -> bool:
        """Tell whether we listen to an item's author; of a proof, which has none, whether we know whom it is about."""
        return self._admits(NodeId(item.key) if item.topic == "proof" else item.node)

    def judge(self, item: Item, item_id: Hash, now: Moment) -> Entry | Refused | None:
        """Return the entry that a stranger's item becomes, or why it does not; None when there is nothing to say."""
        name = prefix_of(item_id)
        if name in self.refused or self._held.by_id(item_id) is not None:
            return None
        if not self.is_admitted(item):  # strangers' items are no fault of the friend that passes them on
            self.refused.add(name)
            return None
        refused = self._held.judge(item, item_id, now.wall) or self.inspect(item)
        if refused is None and not self._of_authors.take(item.author, len(encode(item)), now.at):
            refused = Refused(Reason.OVER_QUOTA)
        if refused is None:
            return self._held.prepare(item, item_id)
        if refused.reason in _NEVER:
            self.refused.add(name)
        elif refused.reason is Reason.TOO_MANY:
            self.surplus.add(name)
        return refused

    def inspect(self, item: Item) -> Refused | None:
        """Tell what is wrong with an item itself, which whoever passed it on should have seen too."""
        try:
            self._verify(item)
        except Malformed as error:
            return Refused(Reason.BAD_SIGNATURE, str(error))
        if item.topic == "proof" and not item.body:  # it has no author: its key is known to all
            return Refused(Reason.POLICY, "a proof of fraud cannot be withdrawn")
        try:
            good = not item.body or all(fn(item) for topic, fn in self._checks if topic == item.topic)
        except Malformed as error:
            return Refused(Reason.POLICY, str(error))
        return None if good else Refused(Reason.POLICY, f"a validator of {item.topic} refused it")
