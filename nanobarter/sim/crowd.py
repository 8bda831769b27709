"""Many nodes that gossip in virtual time: the production machine unchanged, with a modelled network between.

The model. Each link has a delay of its own, 10 to 100 ms one way, and each message up to 20 % more. A node sends
10 Mbit/s. What is lost TCP sends again after 200 ms and a round trip, then after twice as long, and so on. One push at
a time is under way to a peer, as in the daemon. Sizes are those of the bytes on the wire: message, frame, request
envelope, TLS record; TCP and IP come on top.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, NodeId, sha256
from nanobarter.core.item import Item, check_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.sim.clock import START, Act, Scheduler

REQUEST_BYTES: Final = 9 + 25 + 22  # frame, request envelope with the method's name, TLS record
ANSWER_BYTES: Final = 9 + 22
UPLINK: Final = 1250  # bytes per millisecond: 10 Mbit/s
RETRANSMIT: Final = 200.0  # ms; Linux's least retransmission timeout, to which a round trip is added
PUSH_TIMEOUT: Final = 10_000
CALL_TIMEOUT: Final = 20_000


@dataclass(frozen=True)
class Weather:
    """What the network does to messages."""

    delay: tuple[int, int] = (10, 100)  # ms one way, a property of the link
    jitter: float = 0.2
    loss: float = 0.0


@lru_cache(maxsize=200_000)
def _verdict(item: Item) -> str:
    try:
        check_item(item)
    except Malformed as error:
        return str(error)
    return ""


def verify_once(item: Item) -> None:
    """Check an item as the daemon does; all nodes of the world share the answer, so that each is computed once."""
    if wrong := _verdict(item):
        raise Malformed(wrong)


@lru_cache(maxsize=200_000)
def size_of(item: Item) -> int:
    """Return the canonical length of an item."""
    return len(encode(item))


class Crowd:
    """The network between members: who is linked to whom, what is lost, and what has been sent."""

    def __init__(self, seed: int, weather: Weather, limits: Limits = LIMITS) -> None:
        self.random = Random(seed)  # noqa: S311 - repeatable luck, no secrets
        self.weather, self.limits, self.seed = weather, limits, seed
        self.scheduler = Scheduler()
        self.loss = weather.loss
        self.bytes = 0
        self.messages = 0
        self._free: dict[NodeId, float] = {}
        self._delays: dict[tuple[NodeId, NodeId], int] = {}

    @property
    def now(self) -> int:
        """Milliseconds since the world began."""
        return self.scheduler.now - START

    def key(self, label: str) -> SigningKey:
        """Return a key of this world."""
        return SigningKey(sha256(f"{self.seed}/{label}".encode()))

    def delay(self, one: NodeId, other: NodeId) -> int:
        """Return the delay of a link, the same both ways."""
        pair = (min(one, other), max(one, other))
        if pair not in self._delays:
            self._delays[pair] = self.random.randint(*self.weather.delay)
        return self._delays[pair]

    def send(self, sender: NodeId, receiver: NodeId, size: int, act: Act) -> None:
        """Let something happen when a message arrives, if it does."""
        self.bytes += size
        self.messages += 1
        begin = max(float(self.scheduler.now), self._free.get(sender, 0.0))
        self._free[sender] = begin + size / UPLINK
        delay = self.delay(sender, receiver) * (1 + self.random.random() * self.weather.jitter)
        late, wait = 0.0, RETRANSMIT + 2 * delay
        while self.random.random() < self.loss:
            self.bytes += size
            late, wait = late + wait, 2 * wait
        self.scheduler.later(round(self._free[sender] - self.scheduler.now + delay + late), act)

    def links(self, ids: list[NodeId], degree: int) -> dict[NodeId, set[NodeId]]:
        """Return whom each is linked to when everybody dials strangers until it has so many."""
        linked: dict[NodeId, set[NodeId]] = {node: set() for node in ids}
        for node in ids:
            while len(linked[node]) < min(degree, len(ids) - 1):
                other = self.random.choice(ids)
                if other != node:
                    linked[node].add(other)
                    linked[other].add(node)
        return linked


Heard = Callable[[NodeId, Hash, int], None]
"""Told of each item that a member accepts, and when."""
