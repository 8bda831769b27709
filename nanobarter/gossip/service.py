"""Gossip as a service: the machine on a network, with a disk beneath and subscribers above.

What is decided is decided in ``machine``, ``gate`` and ``reconcile``; here it is waited for.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId, short_node
from nanobarter.core.item import Item, Topic
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span
from nanobarter.gossip.gate import Gate, Moment
from nanobarter.gossip.held import Entry, Held
from nanobarter.gossip.keeping import Keeping
from nanobarter.gossip.machine import Accepted, Compare, Drain, Effect, Fetch, Machine, Wrong
from nanobarter.gossip.messages import PUSH, PUSH_BYTES_MAX, Push
from nanobarter.gossip.reconcile import Comparison
from nanobarter.gossip.rounds import Rounds
from nanobarter.gossip.subscribers import Subscribers
from nanobarter.gossip.sync import CatchUp, DigestServer, get_named
from nanobarter.gossip.tables import MIGRATIONS, keep_entries, kept_entries

__all__ = ["MIGRATIONS", "Gossip", "Neighbours"]

_PUSH_TIMEOUT: Final = Span(10 * SECOND)
_TIDY_EVERY: Final = 30.0


class Neighbours(Caller, Registrar, Protocol):
    """The part of the network that gossip uses."""

    def connected(self) -> list[NodeId]:
        """Return the peers that can be called now."""
        ...

    def on_connect(self, callback: Callable[[NodeId], None]) -> None:
        """Be told of every peer that is connected already and of each that connects later."""
        ...


class Gossip:
    """Everything that is said on the network now, and a way to say more. Construct, subscribe, then ``run``.

    ``admits`` tells whose items are taken at all: everybody's, or those of friends; ``prefers`` whose items take the
    places of others when there is no more room.
    """

    def __init__(
        self,
        *,
        network: Neighbours,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        admits: Callable[[NodeId], bool] = lambda _: True,
        prefers: Callable[[NodeId], bool] = lambda _: False,
    ) -> None:
        self._network, self._store, self._clock, self._entropy = network, store, clock, entropy
        self._limits = limits
        self._held = Held(limits, prefers=lambda node: node == network.node_id or prefers(node))
        self._gate = Gate(self._held, limits, admits=admits)
        self._machine = Machine(held=self._held, gate=self._gate, limits=limits, entropy=entropy)
        self._keeping = Keeping(store, self._held)
        self._subscribers = Subscribers()
        self._draining, self._comparing = set[NodeId](), set[NodeId]()
        self._to_beat, self._rounds = trio.Event(), Rounds(limits)
        self._nursery: trio.Nursery | None = None
        self._load()
        network.add(PUSH, self._take_push, body_max=PUSH_BYTES_MAX)
        DigestServer(self._held, network, limits)
        network.on_connect(self._met)

    def _load(self) -> None:
        now = self._clock.now()
        for entry in self._store.read_now(lambda db: kept_entries(db, now)):
            if self._gate.is_admitted(entry.item):
                self._held.put(entry)
        self._held.expire(now)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Spread and catch up until cancelled. Peers' misbehaviour never ends it; a LocalFault of the disk does."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                nursery.start_soon(self._keeping.run)
                nursery.start_soon(self._tidy)
                nursery.start_soon(self._beat)
                nursery.start_soon(self._compare_now_and_then)
                for peer in self._network.connected():
                    self._met(peer)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    # -- for the services above

    async def publish(self, item: Item) -> Refused | None:
        """Say something to all; it is durable here before it leaves. Saying the same again does nothing.

        Refused when it has expired or lives too long, when a version at least as new is held (``next_sequence``
        avoids that), when its author has too many items, or when its signature or a validator says no.
        """
        item_id = item.item_id
        if self._held.by_id(item_id) is not None:
            return None
        refused = self._held.judge(item, item_id, self._clock.now()) or self._gate.inspect(item)
        if refused is not None:
            return refused
        prepared = self._held.prepare(item, item_id)
        await self._store.write(lambda db: keep_entries(db, [prepared], []))
        refused = self._held.judge(item, item_id, self._clock.now())
        if refused is None:
            self._carry_out(self._machine.say(self._held.prepare(item, item_id)))
        return refused

    def items(self, topic: Topic) -> list[Item]:
        """Return what is said now under a topic: verified, newest versions, neither withdrawn nor expired."""
        return self._held.live(topic, self._clock.now())

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Be told of each new version from now on, own ones too; one with an empty body withdraws (``Subscribers``)."""
        self._subscribers.add(topic, callback)

    def check(self, topic: Topic, fn: Callable[[Item], bool]) -> None:
        """Let a payload pass only if this says so (or raises Malformed, for no). Withdrawals have no payload.

        A payload that fails costs the peer that sent it, so the answer may depend on the item alone.
        """
        self._gate.check(topic, fn)

    def next_sequence(self, topic: Topic, author: bytes, key: bytes) -> int:
        """Return a sequence that replaces what is held in a slot: the time, or more if the clock went back."""
        held = self._held.get((topic, author, key))
        return max(self._clock.now(), held.sequence + 1 if held is not None else 0)

    # -- what the machine wants done

    def _moment(self) -> Moment:
        self._machine.present(self._network.connected())
        return Moment(trio.current_time(), self._clock.now())

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Accepted(entry):
                    self._accepted(entry)
                case Drain(peer):
                    self._start(self._draining, peer, self._drain)
                case Compare(peer):
                    self._start(self._comparing, peer, self._compare)
                case Fetch(peer, names):
                    if self._nursery is not None:
                        self._nursery.start_soon(self._fetch, peer, names)
                case Wrong():
                    pass  # whoever answers the peer tells it
        self._to_beat.set()

    def _accepted(self, entry: Entry) -> None:
        self._rounds.news()
        self._keeping.soon(entry.item.slot)
        self._keeping.gone(self._held.evicted)
        self._held.evicted.clear()
        self._subscribers.tell(entry.item)

    def _start(self, busy: set[NodeId], peer: NodeId, job: Callable[[NodeId], object]) -> None:
        if self._nursery is not None and peer not in busy:
            busy.add(peer)
            self._nursery.start_soon(job, peer)  # pyright: ignore[reportArgumentType]

    async def _drain(self, peer: NodeId) -> None:
        try:
            while (push := self._machine.take(peer)) is not None:
                await self._network.call(peer, PUSH, encode(push), timeout=_PUSH_TIMEOUT)
            effects = self._machine.sent(peer)
        except (PeerFault, Unreachable) as error:
            effects = self._machine.unsent(peer, self._moment(), refused=isinstance(error, PeerFault))
        finally:
            self._draining.discard(peer)
        self._carry_out(effects)

    async def _fetch(self, peer: NodeId, names: tuple[bytes, ...]) -> None:
        items: Sequence[Item] | None = None
        try:
            items = await get_named(self._network, peer, names)
        except Unreachable:
            pass
        except PeerFault:
            self._machine.blame(peer, self._moment())
        self._carry_out(self._machine.fetched(peer, names, items, self._moment()))

    async def _beat(self) -> None:
        while True:
            due = self._machine.next_beat(trio.current_time())
            with trio.move_on_at(due):
                await self._to_beat.wait()
                self._to_beat = trio.Event()
                continue
            self._carry_out(self._machine.beat(self._moment()))

    # -- in

    async def _take_push(self, peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        now = self._moment()
        deaf = self._machine.hears(peer, len(body), now)
        if deaf:
            raise Unreachable(deaf)
        try:
            push = decode(body, Push, size_max=PUSH_BYTES_MAX)
        except Malformed:
            self._machine.blame(peer, now)
            raise
        self._take(peer, self._machine.pushed(peer, push, now))
        return b""

    def _take(self, peer: NodeId, effects: list[Effect]) -> None:
        """Carry out what follows from a peer's items. Raises PeerFault when it should have known better of any."""
        self._carry_out(effects)
        wrong = next((effect.detail for effect in effects if isinstance(effect, Wrong)), None)
        if wrong is not None:
            raise PeerFault(f"{short_node(peer)} passed on what is not valid: {wrong}")

    # -- catching up

    def _met(self, peer: NodeId) -> None:
        self._carry_out(self._machine.met(peer))

    async def _compare(self, peer: NodeId) -> None:
        """Catch up with a peer, a few times if it does not answer while it is connected."""
        try:
            if peer < self._network.node_id:
                # One comparison serves both, so the node with the larger id waits; then it finds both equal.
                await trio.sleep(self._limits.gossip_beat / SECOND / 2)
            for attempt in range(self._limits.gossip_sync_tries_max):
                now = self._moment()
                if peer not in self._machine.peers or self._machine.scores.is_muted(peer, now.at):
                    return
                salt = self._entropy.token(8)
                comparison = Comparison(self._held.ids, salt, self._gate.unwanted)
                try:
                    await CatchUp(self._network, peer, comparison, take=self._took, offer=self._offer).run()
                except Unreachable:
                    await trio.sleep(2**attempt)
                except PeerFault:
                    self._machine.blame(peer, self._moment())
                    return
                else:
                    return
        finally:
            self._comparing.discard(peer)

    def _took(self, peer: NodeId, items: Iterable[Item]) -> None:
        self._take(peer, self._machine.took(peer, items, self._moment()))

    def _offer(self, peer: NodeId, ids: Iterable[Hash]) -> None:
        for item_id in ids:
            item = self._held.by_id(item_id)
            if item is not None:
                self._carry_out(self._machine.offer(peer, item, item_id))

    async def _compare_now_and_then(self) -> None:
        while True:
            await trio.sleep(self._rounds.pause(len(self._network.connected())))
            peer = self._rounds.next(self._network.connected(), self._entropy.token(8))
            if peer is not None:
                self._carry_out([Compare(peer)])

    # -- housekeeping

    def expire(self) -> int:
        """Forget what need not be remembered any more; ``run`` does it now and then. Returns how many are held."""
        dropped = self._held.expire(self._clock.now())
        if dropped:
            self._gate.surplus.clear()  # there is room again
            self._keeping.gone(dropped)
        return len(self._held)

    async def _tidy(self) -> None:
        while True:
            await trio.sleep(_TIDY_EVERY)
            self.expire()
            self._machine.present(self._network.connected())
