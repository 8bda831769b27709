"""Gossip as a service: takes items in, tells subscribers, passes them on, and catches up with peers.

An item goes through the same gate wherever it came from: not known, not expired, newer than what is held,
signed by its author, found good by the topic's validators, within its author's rate. Only then is it kept and
passed on, so a forged item never travels further than one hop and its sender is to blame.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.item import Item, Topic, check_item
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span
from nanobarter.gossip.bucket import Buckets
from nanobarter.gossip.held import Entry, Held, Slot
from nanobarter.gossip.messages import PUSH, PUSH_BYTES_MAX, Push
from nanobarter.gossip.spread import Outgoing, Recent, choose
from nanobarter.gossip.sync import CatchUp, DigestServer
from nanobarter.gossip.tables import MIGRATIONS, keep_entries, kept_entries

__all__ = ["MIGRATIONS", "Gossip", "Mesh"]

_PUSH_TIMEOUT: Final = Span(10 * SECOND)
_WRITE_EVERY: Final = 1.0  # seconds; others' items share one fsync, since a peer has them too
_TIDY_EVERY: Final = 30.0
_BUCKETS_MAX: Final = 10_000


class Mesh(Caller, Registrar, Protocol):
    """The part of the network that gossip uses."""

    def connected(self) -> list[NodeId]:
        """Return the peers that can be called now."""
        ...

    def on_connect(self, callback: Callable[[NodeId], None]) -> None:
        """Be told of every peer that is connected already and of each that connects later."""
        ...


class Gossip:
    """Everything that is said on the network now, and a way to say more. Construct, subscribe, then ``run``.

    ``admits`` tells whose items are taken at all: everybody's, or those of friends.
    """

    def __init__(
        self,
        *,
        network: Mesh,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        admits: Callable[[NodeId], bool] = lambda _: True,
    ) -> None:
        self._admits = admits
        self._network, self._store, self._clock, self._entropy = network, store, clock, entropy
        self._limits = limits
        self._held = Held(limits)
        self._seen = Recent(limits.gossip_seen_max)
        rate, burst = limits.gossip_bytes_per_s, limits.gossip_burst_bytes
        self._of_authors = Buckets(rate, burst, _BUCKETS_MAX)
        self._of_peers = Buckets(rate, burst, _BUCKETS_MAX)
        self._out: dict[NodeId, Outgoing] = {}
        self._faults: dict[NodeId, int] = {}
        self._muted: dict[NodeId, float] = {}
        self._subscribers = list[tuple[str, Callable[[Item], None]]]()
        self._checks = list[tuple[str, Callable[[Item], bool]]]()
        self._unwritten = set[Slot]()
        self._dropped = set[Slot]()
        self._to_write = trio.Event()
        self._syncing = set[NodeId]()
        self._nursery: trio.Nursery | None = None
        self._load()
        network.add(PUSH, self._take_push, body_max=PUSH_BYTES_MAX)
        DigestServer(self._held, network, limits)
        network.on_connect(self._met)

    def _load(self) -> None:
        now = self._clock.now()
        for entry in self._store.read_now(lambda db: kept_entries(db, now)):
            if self._is_admitted(entry.item):
                self._held.put(entry)
        self._held.expire(now)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Spread and catch up until cancelled. Peers' misbehaviour never ends it; a LocalFault of the disk does."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                nursery.start_soon(self._keep_written)
                nursery.start_soon(self._tidy)
                nursery.start_soon(self._sync_now_and_then)
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
        refused = self._held.judge(item, item_id, self._clock.now()) or self._inspect(item)
        if refused is not None:
            return refused
        prepared = self._held.prepare(item, item_id)
        await self._store.write(lambda db: keep_entries(db, [prepared], []))
        refused = self._held.judge(item, item_id, self._clock.now())
        if refused is None:
            self._accept(self._held.prepare(item, item_id), self._network.connected())
        return refused

    def items(self, topic: Topic) -> list[Item]:
        """Return what is said now under a topic: verified, newest versions, neither withdrawn nor expired."""
        return self._held.live(topic, self._clock.now())

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Be told of each new version from now on, own ones too; one with an empty body withdraws."""
        self._subscribers.append((topic, callback))

    def check(self, topic: Topic, fn: Callable[[Item], bool]) -> None:
        """Let a payload pass only if this says so (or raises Malformed, for no). Withdrawals have no payload.

        A payload that fails costs the peer that sent it, so the answer may depend on the item alone.
        """
        self._checks.append((topic, fn))

    def next_sequence(self, topic: Topic, author: bytes, key: bytes) -> int:
        """Return a sequence that replaces what is held in a slot: the time, or more if the clock went back."""
        held = self._held.get((topic, author, key))
        return max(self._clock.now(), held.sequence + 1 if held is not None else 0)

    # -- the gate

    def take_in(self, items: Iterable[Item], peer: NodeId) -> None:
        """Take items that a peer sent; what is new and good is kept, told and passed on.

        Raises PeerFault after the last one when the peer should have known better of any.
        """
        now, wrong = self._clock.now(), list[str]()
        for item in items:
            item_id = item.item_id
            self._outgoing(peer).knows(item_id)
            if item_id in self._seen or self._held.by_id(item_id) is not None or not self._is_admitted(item):
                continue  # strangers' items are no fault of the friend that passes them on
            refused = self._held.judge(item, item_id, now)
            if refused is None and (refused := self._inspect(item)) is not None:
                wrong.append(refused.detail)
            if refused is None and not self._of_authors.take(item.author, len(encode(item)), trio.current_time()):
                refused = Refused(Reason.OVER_QUOTA)
            if refused is None:
                self._accept(self._held.prepare(item, item_id), self._relays(peer))
            elif refused.reason in (Reason.CONFLICT, Reason.BAD_SIGNATURE, Reason.POLICY):
                self._seen.add(item_id)  # it will never be wanted; the other reasons pass with time
        if wrong:
            self._blame(peer, len(wrong))
            raise PeerFault(f"{short_node(peer)} passed on what is not valid: {wrong[0]}")

    def _is_admitted(self, item: Item) -> bool:
        """Tell whether we listen to an item's author; of a proof, which has none, whether we know whom it is about."""
        return self._admits(NodeId(item.key) if item.topic == "proof" else item.node)

    def _inspect(self, item: Item) -> Refused | None:
        try:
            check_item(item)
        except Malformed as error:
            return Refused(Reason.BAD_SIGNATURE, str(error))
        if item.topic == "proof" and not item.body:  # it has no author: its key is known to all
            return Refused(Reason.POLICY, "a proof of fraud cannot be withdrawn")
        try:
            good = not item.body or all(fn(item) for topic, fn in self._checks if topic == item.topic)
        except Malformed as error:
            return Refused(Reason.POLICY, str(error))
        return None if good else Refused(Reason.POLICY, f"a validator of {item.topic} refused it")

    def _accept(self, entry: Entry, relays: Iterable[NodeId]) -> None:
        older = self._held.entry(entry.item.slot)
        if older is not None:
            self._seen.add(older.item_id)
        self._held.put(entry)
        self._unwritten.add(entry.item.slot)
        self._to_write.set()
        for topic, callback in list(self._subscribers):
            if topic == entry.item.topic:
                callback(entry.item)
        for peer in relays:
            self.offer(peer, entry.item)

    def _relays(self, source: NodeId) -> list[NodeId]:
        others = [peer for peer in self._network.connected() if peer != source]
        if len(others) <= self._limits.gossip_degree:
            return others
        return choose(others, self._limits.gossip_degree, self._entropy.token(8))

    # -- out

    def offer(self, peer: NodeId, item: Item) -> None:
        """Queue an item for a peer, unless it is known to have it."""
        out = self._outgoing(peer)
        out.add(item, item.item_id)
        if out and not out.is_draining and self._nursery is not None:
            out.is_draining = True
            self._nursery.start_soon(self._drain, peer, out)

    def _outgoing(self, peer: NodeId) -> Outgoing:
        if peer not in self._out:
            self._out[peer] = Outgoing(self._limits)
        return self._out[peer]

    async def _drain(self, peer: NodeId, out: Outgoing) -> None:
        try:
            while out:
                batch = out.take()
                if batch:
                    await self._network.call(peer, PUSH, encode(Push(tuple(batch))), timeout=_PUSH_TIMEOUT)
        except PeerFault:  # it judges otherwise than we do; what it wants of the rest it fetches
            out.clear()
        except Unreachable:
            self._out.pop(peer, None)
            self._sync_soon(peer)
        else:
            if out.overflowed:
                out.overflowed = False
                self._sync_soon(peer)
        finally:
            out.is_draining = False

    # -- in

    async def _take_push(self, peer: NodeId, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._is_muted(peer):
            raise Unreachable("not listening to this peer for a while")
        if not self._of_peers.take(peer, len(body), trio.current_time()):
            raise Unreachable("more than this peer's share of bytes")
        try:
            push = decode(body, Push, size_max=PUSH_BYTES_MAX)
        except Malformed:
            self._blame(peer, 1)
            raise
        self.take_in(push.items, peer)
        return b""

    def _blame(self, peer: NodeId, count: int) -> None:
        self._faults[peer] = self._faults.get(peer, 0) + count
        if self._faults[peer] >= self._limits.gossip_faults_max:
            del self._faults[peer]
            self._muted[peer] = trio.current_time() + self._limits.gossip_muted_for / SECOND

    def _is_muted(self, peer: NodeId) -> bool:
        return self._muted.get(peer, 0) > trio.current_time()

    # -- catching up

    def _met(self, peer: NodeId) -> None:
        self._out[peer] = Outgoing(self._limits)  # it may have started anew, with nothing
        self._sync_soon(peer)

    def _sync_soon(self, peer: NodeId) -> None:
        if self._nursery is not None and peer not in self._syncing:
            self._syncing.add(peer)
            self._nursery.start_soon(self._sync, peer)

    async def _sync(self, peer: NodeId) -> None:
        """Catch up with a peer, a few times if it does not answer while it is connected."""
        try:
            for attempt in range(self._limits.gossip_sync_tries_max):
                if peer not in self._network.connected() or self._is_muted(peer):
                    return
                try:
                    await CatchUp(self, self._held, self._seen, self._network, peer).run()
                except Unreachable:
                    await trio.sleep(2**attempt)
                except PeerFault:
                    self._blame(peer, 1)
                    return
                else:
                    return
        finally:
            self._syncing.discard(peer)

    async def _sync_now_and_then(self) -> None:
        while True:
            await trio.sleep(self._limits.gossip_sync_every / SECOND)
            for peer in choose(self._network.connected(), 1, self._entropy.token(8)):
                self._sync_soon(peer)

    # -- housekeeping

    def expire(self) -> int:
        """Forget what need not be remembered any more; ``run`` does it now and then. Returns how many are held."""
        dropped = self._held.expire(self._clock.now())
        if dropped:
            self._dropped.update(dropped)
            self._to_write.set()
        return len(self._held)

    async def _keep_written(self) -> None:
        while True:
            await self._to_write.wait()
            await trio.sleep(_WRITE_EVERY)
            self._to_write = trio.Event()
            slots, dropped = self._unwritten, self._dropped
            self._unwritten, self._dropped = set[Slot](), set[Slot]()
            entries = [entry for slot in slots if (entry := self._held.entry(slot)) is not None]
            gone = [slot for slot in dropped if self._held.entry(slot) is None]
            await self._store.write(lambda db, entries=entries, gone=gone: keep_entries(db, entries, gone))

    async def _tidy(self) -> None:
        while True:
            await trio.sleep(_TIDY_EVERY)
            self.expire()
            connected = set(self._network.connected())
            self._out = {peer: out for peer, out in self._out.items() if peer in connected}
            now = trio.current_time()
            self._muted = {peer: until for peer, until in self._muted.items() if until > now}
            self._faults = {peer: count for peer, count in self._faults.items() if peer in connected}
