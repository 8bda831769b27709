"""One node's gossip, without waiting for anything: facts go in, and what shall be done comes out.

The theory. Own words go to every peer (flood publish): nobody can keep them in by surrounding the mesh. Others' words
go to the members of the mesh, and to peers by lot while it is smaller than it should be. Once per beat the names of
what is new go to some peers outside the mesh, who fetch what they lack: that mends what was lost or kept back. What
still is missing is found by comparing (``reconcile``). It ends since an item is passed on once, when it is new.

``service`` drives it with trio and a network, ``sim.crowd`` with virtual time; both see the same decisions.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from nanobarter.core.errors import Reason
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Entropy
from nanobarter.core.units import SECOND
from nanobarter.gossip.bucket import Buckets
from nanobarter.gossip.gate import BUCKETS_MAX, Gate, Moment
from nanobarter.gossip.held import Entry, Held
from nanobarter.gossip.ids import PREFIX_BYTES, prefix_of
from nanobarter.gossip.mesh import Mesh
from nanobarter.gossip.messages import GET_IDS_MAX, PUSH_NAMES_MAX, Bond, Push, split_names
from nanobarter.gossip.scores import Scores
from nanobarter.gossip.spread import Outgoing, choose

_ASKERS_MAX: Final = 3  # peers remembered that named an item while it is being fetched from another
_COMPARE_AGAIN: Final = 10.0  # seconds
_NAMED_BEATS: Final = (
    3  # as in GossipSub: each time to others, so that a node whose whole mesh is mute hears all the same
)
_WANTED_MAX: Final = 4096
_DRAW_BYTES: Final = 8


@dataclass(frozen=True)
class Drain:
    """Something waits for a peer: ``take`` it and send it."""

    peer: NodeId


@dataclass(frozen=True)
class Fetch:
    """Ask a peer for items that it named, and tell ``fetched`` what came."""

    peer: NodeId
    names: tuple[bytes, ...]


@dataclass(frozen=True)
class Compare:
    """Find out by comparing what this peer has and we lack, and the other way round."""

    peer: NodeId


@dataclass(frozen=True)
class Accepted:
    """An item is new and good: keep it, and tell those who want to know."""

    entry: Entry


@dataclass(frozen=True)
class Wrong:
    """What came was not valid, and the peer should have known."""

    detail: str


Effect = Drain | Fetch | Compare | Accepted | Wrong


class Machine:
    """See the module."""

    def __init__(self, *, held: Held, gate: Gate, limits: Limits, entropy: Entropy) -> None:
        self.held, self.gate = held, gate
        self.scores = Scores(limits)
        self.mesh = Mesh(limits, self.scores.of)
        self._limits, self._entropy = limits, entropy
        self._of_peers = Buckets(limits.gossip_bytes_per_s, limits.gossip_burst_bytes, BUCKETS_MAX)
        self._out: dict[NodeId, Outgoing] = {}
        self._wanted: dict[bytes, list[NodeId]] = {}  # what was named, and who named it; the first is asked
        self._fresh = list[bytes]()
        self._lately = list[list[bytes]]()  # what was fresh at each of the last beats, the newest first
        self._order, self._turn = entropy.token(_DRAW_BYTES), 0
        self._last_beat = self._last_compared = float("-inf")

    @property
    def peers(self) -> Collection[NodeId]:
        """The peers that are connected."""
        return self._out.keys()

    # -- peers

    def met(self, peer: NodeId) -> list[Effect]:
        """Note that a peer connected; it may have started anew, with nothing."""
        self._out[peer] = Outgoing(self._limits)
        self.mesh.gone(peer)
        return [Compare(peer)]

    def gone(self, peer: NodeId) -> None:
        """Note that a peer is not connected any more; it will compare when it returns."""
        self._out.pop(peer, None)
        self.mesh.gone(peer)

    def present(self, connected: Collection[NodeId]) -> None:
        """Take as gone who is not among these."""
        for peer in self._out.keys() - set(connected):
            self.gone(peer)

    def hears(self, peer: NodeId, size: int, now: Moment) -> str:
        """Return why so many bytes of a peer are not even read; empty when they are."""
        if self.scores.is_muted(peer, now.at):
            return "not listening to this peer for a while"
        if not self._of_peers.take(peer, size, now.at):
            return "more than this peer's share of bytes"
        return ""

    # -- in

    def say(self, entry: Entry) -> list[Effect]:
        """Spread an item of this node itself: to all peers."""
        return self._accept(entry, self.peers)

    def pushed(self, peer: NodeId, push: Push, now: Moment) -> list[Effect]:
        """Take what a peer pushed."""
        if peer not in self._out:  # it came faster than the news that it is connected
            self._out[peer] = Outgoing(self._limits)
        effects = self._bond(peer, Bond(push.bond), now.at)
        effects += self.took(peer, push.items, now)
        return effects + self._named(peer, split_names(push.has, PREFIX_BYTES))

    def took(self, peer: NodeId, items: Iterable[Item], now: Moment) -> list[Effect]:
        """Take items that a peer sent; what is new and good is kept, told and passed on."""
        effects, wrong = list[Effect](), list[str]()
        for item in items:
            item_id = item.item_id
            if peer in self._out:
                self._out[peer].knows(prefix_of(item_id))
            verdict = self.gate.judge(item, item_id, now)
            if isinstance(verdict, Entry):
                self.scores.first(peer, now.at)
                self.mesh.brought(peer)
                effects += self._accept(verdict, self._relays(peer))
            elif verdict is None:
                self.mesh.brought_too(peer)
            elif verdict.reason in (Reason.BAD_SIGNATURE, Reason.POLICY):
                wrong.append(verdict.detail)
        if wrong:
            self.scores.fault(peer, now.at, len(wrong))
            effects.append(Wrong(wrong[0]))
        return effects

    def fetched(self, peer: NodeId, names: Iterable[bytes], items: Iterable[Item] | None, now: Moment) -> list[Effect]:
        """Take what came of a Fetch, None when the peer did not answer; the next one that named it is asked."""
        got = list(items or ())
        effects = self.took(peer, got, now)
        if any(isinstance(effect, Accepted) for effect in effects):
            self.mesh.missed()
            if now.at - self._last_compared > _COMPARE_AGAIN:  # who missed one thing may have missed more
                self._last_compared = now.at
                effects.append(Compare(peer))
        came, again = {prefix_of(item.item_id) for item in got}, dict[NodeId, list[bytes]]()
        for name in names:
            wanted = self._wanted.pop(name, None)
            if wanted is None or name in came or self.gate.knows(name):
                continue
            if items is not None:
                self.scores.broke(peer, now.at)
            others = [other for other in wanted if other != peer and other in self._out]
            if others:
                self._wanted[name] = others
                again.setdefault(others[0], []).append(name)
        return effects + [Fetch(other, tuple(asked)) for other, asked in again.items()]

    def blame(self, peer: NodeId, now: Moment) -> None:
        """Note that a peer sent what cannot be read, or an answer to something else."""
        self.scores.fault(peer, now.at)

    def _bond(self, peer: NodeId, bond: Bond, now: float) -> list[Effect]:
        if bond is Bond.LEAVE:
            self.mesh.left(peer, now)
        elif bond is Bond.JOIN:
            if self.mesh.is_early(peer, now):
                self.scores.broke(peer, now)
            if not self.mesh.asked(peer, now):
                self._out[peer].bond = Bond.LEAVE
                return [Drain(peer)]
        return []

    def _named(self, peer: NodeId, names: Iterable[bytes]) -> list[Effect]:
        asked = list[bytes]()
        for name in names:
            self._out[peer].knows(name)
            if self.gate.knows(name):
                continue
            wanted = self._wanted.get(name)
            if wanted is not None and len(wanted) < _ASKERS_MAX and peer not in wanted:
                wanted.append(peer)
            elif wanted is None and len(self._wanted) < _WANTED_MAX:
                self._wanted[name] = [peer]
                asked.append(name)
        pieces = [asked[at : at + GET_IDS_MAX] for at in range(0, len(asked), GET_IDS_MAX)]
        return [Fetch(peer, tuple(piece)) for piece in pieces]

    # -- out

    def offer(self, peer: NodeId, item: Item, item_id: Hash) -> list[Effect]:
        """Queue an item for a peer, unless it is known to have it."""
        out = self._out.get(peer)
        if out is None or out.has(item_id):
            return []
        out.add(item, item_id)
        return [Drain(peer)]

    def take(self, peer: NodeId) -> Push | None:
        """Return the next message for a peer."""
        out = self._out.get(peer)
        return out.take() if out else None

    def sent(self, peer: NodeId) -> list[Effect]:
        """Note that a peer got all that waited; it must compare when something did not even fit the queue."""
        out = self._out.get(peer)
        if out is None or not out.overflowed:
            return []
        out.overflowed = False
        return [Compare(peer)]

    def unsent(self, peer: NodeId, now: Moment, *, refused: bool) -> list[Effect]:
        """Note that a push failed: the peer refused it, which drops what waits, or it did not answer."""
        out = self._out.get(peer)
        if out is None:
            return []
        if refused:  # it judges otherwise than we do; what it wants of the rest it fetches
            out.clear()
            return []
        self.scores.broke(peer, now.at)
        self._out[peer] = Outgoing(self._limits)  # what it has now is not known
        return [Compare(peer)]

    def _accept(self, entry: Entry, relays: Iterable[NodeId]) -> list[Effect]:
        older = self.held.entry(entry.item.slot)
        if older is not None:
            self.gate.refused.add(prefix_of(older.item_id))
        self.held.put(entry)
        if len(self._fresh) < PUSH_NAMES_MAX:
            self._fresh.append(prefix_of(entry.item_id))
        effects: list[Effect] = [Accepted(entry)]
        for peer in list(relays):
            effects += self.offer(peer, entry.item, entry.item_id)
        return effects

    def _relays(self, source: NodeId) -> list[NodeId]:
        relays = [peer for peer in self.mesh.members if peer != source and peer in self._out]
        lack = self._limits.gossip_degree - len(self.mesh.members)
        if lack > 0:
            others = [peer for peer in self._out if peer != source and peer not in self.mesh]
            relays += choose(others, lack, self._entropy.token(_DRAW_BYTES))
        return relays

    # -- the beat

    def next_beat(self, now: float) -> float:
        """Return when ``beat`` is due, in seconds; infinity while there is nothing to do."""
        due = now if self._fresh or any(self._lately) else self.mesh.next_change(self.peers, now)
        return max(due, self._last_beat + self._limits.gossip_beat / SECOND)

    def beat(self, now: Moment) -> list[Effect]:
        """Bring the mesh to its size, and name what is new to some outside it."""
        self._last_beat = now.at
        draw = self._entropy.token(_DRAW_BYTES)
        change, touched = self.mesh.change(self.peers, now.at, draw), dict[NodeId, None]()
        for peers, bond in ((change.join, Bond.JOIN), (change.leave, Bond.LEAVE)):
            for peer in peers:
                if peer in self._out:
                    self._out[peer].bond = bond
                    touched[peer] = None
        self._lately, self._fresh = [self._fresh, *self._lately][:_NAMED_BEATS], []
        names = [name for beat in self._lately for name in beat]
        self._lately = self._lately[: _NAMED_BEATS - 1]
        outside = [peer for peer in self.peers if peer not in self.mesh and self.scores.of(peer, now.at) >= 0]
        # One after the other: drawn by lot, a peer to whom this node is the only honest one might never have its turn.
        order = choose(outside, len(outside), self._order) if names else []
        for place in range(min(self._limits.gossip_degree // 2, len(order))):
            peer = order[(self._turn + place) % len(order)]
            self._out[peer].name(names)
            touched[peer] = None
        self._turn += self._limits.gossip_degree // 2
        return [Drain(peer) for peer in touched]
