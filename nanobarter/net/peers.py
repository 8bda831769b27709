"""Whom we know, where they listen, and when to dial whom. Pure: ``now`` is passed in, seconds of any clock.

Addresses come as signed records of the node, as addresses at which a node was met, and as bare ones (bootstrap)
whose owner is not known yet. Each has its own back-off: twice as long after every failure, up to a bound.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, PublicKey
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Instant
from nanobarter.net.address import Address
from nanobarter.net.crowds import Crowds
from nanobarter.net.records import open_record

_FORGOTTEN_MAX: Final = 1024


@dataclass(frozen=True)
class KnownPeer:
    """What we know of a node, for people and for the layers above."""

    node: NodeId
    addresses: tuple[Address, ...]
    connected: bool
    last_seen: Instant | None
    path: str = ""
    """How it is connected: ``out`` (we dialled), ``in``, ``relay``; nothing when it is not."""
    latency: float | None = None
    """Seconds of a round trip."""
    bytes_in: int = 0
    bytes_out: int = 0
    score: int = 50
    """0 to 100: how much of what was asked of it was answered. 50 is nothing known; 0 also while it is shunned."""


@dataclass
class Attempts:
    """How dialling one address went."""

    failures: int = 0
    next_try: float = 0.0

    def failed(self, now: float, limits: Limits, *, jitter: float) -> None:
        """Wait twice as long as the last time. ``jitter`` in [0, 1) keeps nodes from dialling in step."""
        span = min(limits.backoff_first * 2 ** min(self.failures, 20), limits.backoff_last) / SECOND
        self.failures += 1
        self.next_try = now + span * (0.75 + jitter / 2)


@dataclass
class Peer:
    """One known node. ``record`` is its newest signed word; ``seen`` is the public host that it last came from."""

    key: PublicKey | None = None
    record: Item | None = None
    addresses: dict[Address, Attempts] = field(default_factory=dict[Address, Attempts])
    last_seen: Instant | None = None
    answered: int = 0
    failed: int = 0
    seen: str = ""

    def score(self, answered: int = 0, failed: int = 0) -> int:
        """Return the share of answered calls in percent, those under way on a live connection included."""
        good, bad = self.answered + answered, self.failed + failed
        return round(100 * (good + 1) / (good + bad + 2))


@dataclass(frozen=True)
class Target:
    """Whom to dial where; ``node`` is None for a bare address."""

    node: NodeId | None
    address: Address


class PeerBook:
    """All known peers, bounded; those not seen for longest make room."""

    def __init__(self, own: NodeId, limits: Limits) -> None:
        self._own, self._limits = own, limits
        self._peers: dict[NodeId, Peer] = {}
        self._bare: dict[Address, tuple[Attempts, NodeId | None]] = {}
        self._crowds = Crowds(limits)
        self.forgotten = list[NodeId]()
        """Who had to make room, for those who keep a copy; they empty it."""

    def __contains__(self, node: NodeId) -> bool:
        return node in self._peers

    def get(self, node: NodeId) -> Peer | None:
        """Return what is known of a node."""
        return self._peers.get(node)

    def nodes(self) -> list[NodeId]:
        """Return all known nodes."""
        return list(self._peers)

    def learn(self, node: NodeId | None, address: Address) -> None:
        """Take an address to try soon; known failures of it are forgotten."""
        if node == self._own or address.port == 0 or address.is_wildcard:
            return
        if node is None:
            if len(self._bare) < self._limits.known_peers_max:
                self._bare[address] = (Attempts(), self._bare.get(address, (None, None))[1])
            return
        self._add_addresses(node, self._peer(node), [address])
        if (peer := self._peers.get(node)) is not None:
            peer.addresses[address] = Attempts()

    def take_record(self, item: Item, now: Instant) -> bool:
        """Take a node's signed word about itself, if it is live and newer. Raises Malformed when it is forged."""
        known = self._peers.get(item.node)
        newer = known is None or known.record is None or item.sequence > known.record.sequence
        if item.node == self._own or item.expires <= now or not newer:
            return False
        record = open_record(item)
        peer = self._peer(item.node)
        peer.key, peer.record = item.author, item
        self._add_addresses(item.node, peer, record.addresses)
        return True

    def met(self, node: NodeId, key: PublicKey, now: Instant, address: Address | None, seen: str = "") -> None:
        """Note that a node proved its key, where it was dialled if we dialled it, and where it was ``seen``."""
        peer = self._peer(node)
        peer.key, peer.last_seen, peer.seen = key, now, seen or peer.seen
        if address is not None:
            self._crowds.make_familiar(node, address)
            self._add_addresses(node, peer, [address])
            peer.addresses[address] = Attempts()
            if address in self._bare:
                self._bare[address] = (Attempts(), node)

    def is_familiar(self, node: NodeId) -> bool:
        """Tell whether we dialled a node with success, or had met it before this start; few of one network are."""
        return self._crowds.is_familiar(node)

    def is_placed(self, node: NodeId) -> bool:
        """Tell whether a node is familiar, or among the few of its network; so identities at one place are not many."""
        return self._crowds.is_placed(node)

    def served(self, node: NodeId, answered: int, failed: int) -> None:
        """Note how a connection did: how many calls were answered, and how many were not."""
        if (peer := self._peers.get(node)) is not None:
            peer.answered, peer.failed = peer.answered + answered, peer.failed + failed

    def failed(self, target: Target, now: float, *, jitter: float, wrong_owner: bool = False) -> None:
        """Note that a dial failed; an address that another node answers at is not this node's any more."""
        if target.node is not None and (peer := self._peers.get(target.node)) is not None:
            attempts = peer.addresses.setdefault(target.address, Attempts())
            attempts.failed(now, self._limits, jitter=jitter)
            if wrong_owner:
                del peer.addresses[target.address]
        if target.address in self._bare:
            attempts, owner = self._bare[target.address]
            attempts.failed(now, self._limits, jitter=jitter)
            # Whoever was there may be gone for good and another node may have its place.
            self._bare[target.address] = (attempts, None if attempts.failures > 1 or wrong_owner else owner)

    def ended(self, node: NodeId, now: float) -> None:
        """Note that a connection ended soon after it began, so that two nodes at odds do not dial without pause."""
        if (peer := self._peers.get(node)) is not None:
            for attempts in peer.addresses.values():
                attempts.next_try = max(attempts.next_try, now + self._limits.backoff_first / SECOND)

    def is_oneself(self, address: Address) -> None:
        """Never dial this address again: it is our own."""
        self._bare.pop(address, None)
        for peer in self._peers.values():
            peer.addresses.pop(address, None)

    def due(self, now: float, busy: Collection[NodeId | Address]) -> list[Target]:
        """Return what may be dialled now, bare addresses first; what is ``busy`` is connected or being dialled."""
        targets = list[Target]()
        for address, (attempts, owner) in self._bare.items():
            if attempts.next_try <= now and not {owner, address} & set(busy):
                targets.append(Target(None, address))
        for node in self._peers:
            if node not in busy:
                targets += self.due_at(node, now)[:1]
        return targets

    def due_at(self, node: NodeId, now: float) -> list[Target]:
        """Return the addresses of one node that may be dialled now, the best first."""
        addresses = self._peers[node].addresses if node in self._peers else {}
        ready = [address for address, attempts in addresses.items() if attempts.next_try <= now]
        return [Target(node, address) for address in sorted(ready, key=lambda a: addresses[a].failures)]

    def next_due(self, busy: Collection[NodeId | Address]) -> float:
        """Return when the next address becomes due; infinity when none will."""
        bare = self._bare.items()
        times = [tries.next_try for address, (tries, owner) in bare if not {owner, address} & set(busy)]
        for node, peer in self._peers.items():
            if node not in busy:
                times += [attempts.next_try for attempts in peer.addresses.values()]
        return min(times, default=float("inf"))

    def records(self, wanted: Iterable[NodeId], count: int, now: Instant) -> list[Item]:
        """Return live records of the wanted nodes, or when none is named of those seen last."""
        named = list(wanted)
        if not named:
            named = sorted(self._peers, key=lambda node: self._peers[node].last_seen or 0, reverse=True)
        found = list[Item]()
        for node in named:
            record = self._peers[node].record if node in self._peers else None
            if record is not None and record.expires > now and len(found) < count:
                found.append(record)
        return found

    def restore(self, node: NodeId, peer: Peer) -> None:
        """Put back what was kept on disk."""
        if node == self._own or len(self._peers) >= self._limits.known_peers_max:
            return
        self._peers[node] = peer
        self._crowds.put(node, None)
        if peer.record is not None:
            try:
                self._add_addresses(node, peer, open_record(peer.record).addresses)
            except Malformed:  # of an older rule; the node will tell again
                peer.record = None
        where = next(iter(peer.addresses), None)
        if peer.last_seen is not None and where is not None:
            self._crowds.make_familiar(node, where)

    def _peer(self, node: NodeId) -> Peer:
        if node not in self._peers:
            if len(self._peers) >= self._limits.known_peers_max:
                weakest = self._crowds.weakest()
                self._forget(weakest or min(self._peers, key=lambda other: self._peers[other].last_seen or 0))
            self._peers[node] = Peer()
            self._crowds.put(node, None)
        return self._peers[node]

    def _forget(self, node: NodeId) -> None:
        self._peers.pop(node, None)
        self._crowds.drop(node)
        self.forgotten = [*self.forgotten[-_FORGOTTEN_MAX:], node]

    def _add_addresses(self, node: NodeId, peer: Peer, addresses: Iterable[Address]) -> None:
        for address in addresses:
            if address not in peer.addresses:
                peer.addresses[address] = Attempts()
            while len(peer.addresses) > self._limits.addresses_per_peer_max:
                worst = max(peer.addresses, key=lambda a: peer.addresses[a].failures)
                del peer.addresses[worst]
        first = next(iter(peer.addresses), None)
        if first is not None and (crowded := self._crowds.put(node, first)) is not None:
            self._forget(crowded)
