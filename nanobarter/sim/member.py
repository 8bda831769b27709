"""One node of a crowd: the gossip machine, driven by virtual time instead of trio; and some that are not honest."""

from collections.abc import Callable
from typing import Literal, TypeVar

from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, NodeId, Signature
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import HOUR, Instant
from nanobarter.gossip.gate import Gate, Moment
from nanobarter.gossip.held import Held
from nanobarter.gossip.ids import SHORT_BYTES
from nanobarter.gossip.machine import Accepted, Compare, Drain, Effect, Fetch, Machine, Wrong
from nanobarter.gossip.messages import GET_IDS_MAX, Bond, CompareAnswer, FetchRequest, Listed, Push
from nanobarter.gossip.reconcile import Comparison, answer, named
from nanobarter.gossip.rounds import Rounds
from nanobarter.sim.crowd import (
    ANSWER_BYTES,
    CALL_TIMEOUT,
    PUSH_TIMEOUT,
    REQUEST_BYTES,
    Crowd,
    Heard,
    size_of,
    verify_once,
)

T = TypeVar("T")
Kind = Literal["honest", "silent", "garbage"]
"""``silent`` joins every mesh, acknowledges all and passes nothing on; ``garbage`` pushes forged items besides."""


class Member:
    """See the module. ``others`` is shared by all members of a crowd."""

    def __init__(self, crowd: Crowd, number: int, others: "dict[NodeId, Member]", heard: Heard) -> None:
        self.crowd, self._others, self._heard = crowd, others, heard
        self.key: SigningKey = crowd.key(f"member {number}")
        self.node = self.key.node_id
        self.kind: Kind = "honest"
        self.alive = True
        self.sequence = 0
        self.held = Held(crowd.limits, prefers=others.__contains__)  # a book of peers in which no stranger is
        self.rounds = Rounds(crowd.limits)
        gate = Gate(self.held, crowd.limits, admits=lambda _: True, verify=verify_once)
        entropy = SeededEntropy(crowd.seed, f"member {number}")
        self.machine = Machine(held=self.held, gate=gate, limits=crowd.limits, entropy=entropy)
        self._entropy = entropy
        self._draining, self._comparing = set[NodeId](), set[NodeId]()
        self._beat_at = float("inf")

    # -- the world acts on it

    def link(self, peer: NodeId) -> list[Effect]:
        """Connect; what follows is for the caller to carry out or, at the beginning of a world, to leave."""
        return self.machine.met(peer)

    def unlink(self, peer: NodeId) -> None:
        """Lose a connection."""
        self.machine.gone(peer)
        self._draining.discard(peer)
        self._wake()

    def kill(self) -> None:
        """End it; its peers see their connections break."""
        self.alive = False
        for peer in list(self.machine.peers):
            other = self._others[peer]
            self.crowd.scheduler.later(self.crowd.delay(self.node, peer), lambda other=other: other.unlink(self.node))

    def moment(self) -> Moment:
        """Return now, as it has it."""
        return Moment(self.crowd.now / 1000, Instant(self.crowd.scheduler.now))

    def make(self, slot: bytes, body: bytes) -> Item:
        """Return an item of this member, newer than those before."""
        self.sequence += 1
        expires = Instant(self.crowd.scheduler.now + 12 * HOUR)
        return make_item(self.key, "bid", slot, sequence=self.sequence, expires=expires, body=body)

    def say(self, item: Item) -> None:
        """Publish an item."""
        self.carry_out(self.machine.say(self.held.prepare(item, item.item_id)))

    def turn(self, kind: Kind) -> None:
        """Become dishonest."""
        self.kind = kind
        for peer in list(self.machine.peers):
            self.push(peer, Push((), b"", Bond.JOIN))
            if kind == "garbage":
                self._throw(peer)

    def _throw(self, peer: NodeId) -> None:
        """Push a forged item, again each second for as long as the peer stays connected."""
        if peer in self.machine.peers and self.alive:
            good = self.make(self._entropy.token(4), b"forged")
            forged = replace(good, signature=Signature(bytes(64)))
            self.push(peer, Push((forged,), b"", 0))
            self.crowd.scheduler.later(1000, lambda: self._throw(peer))

    # -- what the machine wants done

    def carry_out(self, effects: list[Effect]) -> None:
        """Do what the machine says, and plan the next beat."""
        for effect in effects:
            match effect:
                case Accepted(entry):
                    self.rounds.news()
                    self._heard(self.node, entry.item_id, self.crowd.now)
                case Drain(peer):
                    self._drain(peer)
                case Fetch(peer, names):
                    self._fetch(peer, names)
                case Compare(peer):
                    self.compare(peer)
                case Wrong():
                    pass
        self._wake()

    def _wake(self) -> None:
        if self.kind != "honest" or not self.alive:
            return
        due = self.machine.next_beat(self.crowd.now / 1000)
        if due < self._beat_at:
            self._beat_at = due
            self.crowd.scheduler.later(round(due * 1000) - self.crowd.now + 1, lambda: self._beat(due))

    def _beat(self, due: float) -> None:
        if self._beat_at == due and self.alive:
            self._beat_at = float("inf")
            self.carry_out(self.machine.beat(self.moment()))

    def _drain(self, peer: NodeId) -> None:
        if peer in self._draining or not self.alive:
            return
        push = self.machine.take(peer)
        if push is None:
            effects = self.machine.sent(peer)
            if effects:
                self.carry_out(effects)
            return
        self._draining.add(peer)
        self.push(peer, push)

    def push(self, peer: NodeId, push: Push) -> None:
        """Send a push, and go on when it is acknowledged or has timed out."""
        answered = False

        def back(*, refused: bool, heard: bool) -> None:
            nonlocal answered
            if answered or not self.alive:
                return
            answered = True
            self._draining.discard(peer)
            if self.kind != "honest":
                return
            if not heard:
                self.carry_out(self.machine.unsent(peer, self.moment(), refused=refused))
            self._drain(peer)

        def arrive() -> None:
            other = self._others[peer]
            if not other.alive:
                return
            ok, refused = other.take_push(self.node, push)
            self.crowd.send(peer, self.node, ANSWER_BYTES, lambda: back(refused=refused, heard=ok))

        size = REQUEST_BYTES + 8 + sum(map(size_of, push.items)) + len(push.has)
        self.crowd.send(self.node, peer, size, arrive)
        self.crowd.scheduler.later(PUSH_TIMEOUT, lambda: back(refused=False, heard=False))

    def hear(self, peer: NodeId, push: Push) -> None:
        """Take a push of which nobody awaits what comes of it."""
        self.take_push(peer, push)

    def take_push(self, peer: NodeId, push: Push) -> tuple[bool, bool]:
        """Take a push; tell whether it was good, and whether it was refused as the peer's fault."""
        if self.kind != "honest":
            return True, False
        size = sum(map(size_of, push.items)) + len(push.has) + 8
        if self.machine.hears(peer, size, self.moment()):
            return False, False
        effects = self.machine.pushed(peer, push, self.moment())
        self.carry_out(effects)
        wrong = any(isinstance(effect, Wrong) for effect in effects)
        return not wrong, wrong

    # -- asking

    def _fetch(self, peer: NodeId, names: tuple[bytes, ...]) -> None:
        def came(items: list[Item] | None) -> None:
            self.carry_out(self.machine.fetched(peer, names, items, self.moment()))

        def serve(other: Member) -> tuple[list[Item], int]:
            found = (other.held.ids.starting(name) for name in names)
            items = other.items([item_id for item_id in found if item_id is not None])
            return items, sum(map(size_of, items))

        self._ask(peer, 8 * len(names), serve, came)

    def items(self, ids: list[Hash]) -> list[Item]:
        """Return the items of these ids, as one who answers; a silent one has none."""
        found = [self.held.by_id(item_id) for item_id in ids[:GET_IDS_MAX]]
        return [item for item in found if item is not None] if self.kind == "honest" else []

    def compare(self, peer: NodeId) -> None:
        """Catch up with a peer."""
        if peer in self._comparing or self.kind != "honest":
            return
        self._comparing.add(peer)
        salt = self._entropy.token(8)
        self._go_on(peer, Comparison(self.held.ids, salt, self.machine.gate.unwanted))

    def _go_on(self, peer: NodeId, comparison: Comparison) -> None:
        question = comparison.question()
        if question is None:
            self._comparing.discard(peer)
            return

        def serve(other: Member) -> tuple[CompareAnswer, int]:
            said = answer(other.held.ids, question) if other.kind == "honest" else CompareAnswer((), ())
            return said, len(encode(said))

        def came(said: CompareAnswer | None) -> None:
            try:
                if said is not None:
                    comparison.take(said)
            except Malformed:
                said = None
            if said is None:
                self._comparing.discard(peer)
                return
            surplus, comparison.surplus = comparison.surplus, []
            for item_id in surplus:
                item = self.held.by_id(item_id)
                if item is not None:
                    self.carry_out(self.machine.offer(peer, item, item_id))
            lacking, comparison.lacking = comparison.lacking, []
            self._fetch_lists(peer, comparison, lacking)

        self._ask(peer, len(encode(question)), serve, came)

    def _fetch_lists(self, peer: NodeId, comparison: Comparison, lists: list[Listed]) -> None:
        if not lists:
            self._go_on(peer, comparison)
            return
        asked, count = list[Listed](), 0
        while lists and count + len(lists[0].shorts) // SHORT_BYTES <= GET_IDS_MAX:
            asked.append(lists.pop(0))
            count += len(asked[-1].shorts) // SHORT_BYTES
        request = FetchRequest(comparison.salt, tuple(asked))

        def serve(other: Member) -> tuple[list[Item], int]:
            ids = [item_id for entry in request.lists for item_id in named(other.held.ids, request.salt, entry)]
            items = other.items(ids)
            return items, sum(map(size_of, items))

        def came(items: list[Item] | None) -> None:
            self.carry_out(self.machine.took(peer, items or (), self.moment()))
            self._fetch_lists(peer, comparison, lists if items is not None else [])

        self._ask(peer, len(encode(request)), serve, came)

    def _ask(
        self, peer: NodeId, size: int, serve: "Callable[[Member], tuple[T, int]]", came: Callable[[T | None], None]
    ) -> None:
        """Ask a peer; ``came`` gets the answer, or None when none came in time."""
        answered = False

        def back(said: T | None) -> None:
            nonlocal answered
            if not answered and self.alive:
                answered = True
                came(said)

        def arrive() -> None:
            other = self._others[peer]
            if other.alive:
                said, length = serve(other)
                self.crowd.send(peer, self.node, ANSWER_BYTES + length, lambda: back(said))

        self.crowd.send(self.node, peer, REQUEST_BYTES + size, arrive)
        self.crowd.scheduler.later(CALL_TIMEOUT, lambda: back(None))
