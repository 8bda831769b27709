"""The table at work: answers others, walks to keys, keeps values alive. See the package for what it is for."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import SECOND
from nanobarter.net.dht.lookup import Lookup
from nanobarter.net.dht.ports import Datagrams, Source
from nanobarter.net.dht.rates import Rates
from nanobarter.net.dht.records import Shelf, Value, is_good
from nanobarter.net.dht.table import Table
from nanobarter.net.dht.wire import (
    KEY_BYTES,
    TOKEN_BYTES,
    TXN_BYTES,
    Contact,
    Find,
    Found,
    Message,
    Put,
    Sealed,
    fitting,
    seal,
)

_TIMEOUT: Final = 2.0  # seconds for an answer; a walk goes on after a quarter of it
_PUT_TIMEOUT: Final = 0.5  # whoever is told to store has just answered
_ENOUGH: Final = 3  # answers with a value: one of them is honest and up to date unless all three are not
_PROBES_MAX: Final = 32
_PENDING_MAX: Final = 1024


@dataclass
class _Pending:
    """A question under way: where it went, to whom if that is known, and what came."""

    source: Source
    node: NodeId | None
    came: trio.Event = field(default_factory=trio.Event)
    contact: Contact | None = None
    found: Found | None = None


@dataclass
class Walk:
    """Where a walk has ended: the nearest that answered with their tokens, and the best value seen."""

    nearest: list[tuple[Contact, bytes]]
    value: Value | None


class Dht:
    """One node of the table. Construct, ``run``, then ``join``."""

    def __init__(
        self,
        *,
        key: SigningKey,
        datagrams: Datagrams,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        same_host_ok: bool = False,
    ) -> None:
        self._key, self._datagrams, self._clock, self._entropy = key, datagrams, clock, entropy
        self._limits = limits
        self.table = Table(key.node_id, same_host_ok=same_host_ok)
        self.shelf = Shelf(limits.dht_values_max)
        self._rates = Rates(limits, per_port=same_host_ok)
        self._secret = entropy.token(32)
        self._pending: dict[bytes, _Pending] = {}
        self._probing = set[NodeId]()
        self._tellers = list[Callable[[], Value | None]]()
        self._hints = list[Source]()
        self._to_refresh = trio.Event()
        self._nursery: trio.Nursery | None = None

    @property
    def own_place(self) -> bytes:
        """Where this node is in the key space."""
        return self._key.node_id[:KEY_BYTES]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. No datagram ends it."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                nursery.start_soon(self._keep_fresh)
                task_status.started()
                while True:
                    data, source = await self._datagrams.receive()
                    self._take(data, source)
            finally:
                self._nursery = None

    # -- for the layers above

    def hint(self, source: Source) -> None:
        """Take an address where a node of the table may be; it is asked soon while few are known."""
        if len(self.table) < self._limits.dht_contacts_wanted and len(self._hints) < _PROBES_MAX:
            self._hints.append(source)
            self._to_refresh.set()

    def tell(self, make: Callable[[], Value | None]) -> None:
        """Publish what this makes, soon after each start and then every hour; None is nothing to tell now."""
        self._tellers.append(make)
        self._to_refresh.set()

    def tell_again(self) -> None:
        """Publish soon: what is told has changed."""
        self._to_refresh.set()

    async def join(self, sources: Sequence[Source]) -> int:
        """Ask at these addresses and walk to ourselves; return how many contacts are known then."""
        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(self._ask, source, None, self.own_place)
        await self.walk(self.own_place)
        return len(self.table)

    async def publish(self, value: Value) -> int:
        """Store a value at the nodes nearest to its place; return how many took it."""
        walk, stored = await self.walk(value.place), 0

        async def put(contact: Contact, token: bytes) -> None:
            nonlocal stored
            txn = self._entropy.token(TXN_BYTES)
            message = Put(txn, contact.node, token, value, b"")
            source = Source(contact.host, contact.port)
            if await self._exchange(message, source, contact.node, _PUT_TIMEOUT) is not None:
                stored += 1

        async with trio.open_nursery() as nursery:
            for contact, token in walk.nearest:
                nursery.start_soon(put, contact, token)
        return stored

    async def find(self, place: bytes) -> Value | None:
        """Return the value of a place: the newest of the first that are found, or None."""
        return (await self.walk(place, enough=_ENOUGH)).value

    async def walk(self, place: bytes, *, enough: int = 1 << 30) -> Walk:
        """Walk to a place, or until so many values were seen there."""
        lookup, news = Lookup(place, self._key.node_id), trio.Event()
        lookup.learn(self.table.near(place))
        tokens, values = dict[NodeId, bytes](), list[Value]()
        own = self.shelf.get(place, self._clock.now())
        if own is not None:
            values.append(own)

        async def ask(contact: Contact) -> None:
            found = await self._ask(Source(contact.host, contact.port), contact.node, place)
            if found is None:
                lookup.failed(contact.node)
            else:
                lookup.learn(list(found.contacts))
                lookup.answered(contact.node)
                tokens[contact.node] = found.token
                if found.value is not None and is_good(found.value, place, self._clock.now()):
                    values.append(found.value)
            news.set()

        async with trio.open_nursery() as nursery:
            while len(values) < enough and not lookup.is_over(trio.current_time()):
                for contact in lookup.next(trio.current_time()):
                    nursery.start_soon(ask, contact)
                with trio.move_on_at(lookup.wakes_at(trio.current_time()) + 0.001):
                    await news.wait()
                news = trio.Event()
            nursery.cancel_scope.cancel()
        for node in lookup.stalled(trio.current_time()):
            self.table.failed(node)
        nearest = [(contact, tokens[contact.node]) for contact in lookup.nearest()]
        return Walk(nearest, max(values, key=lambda value: value.sequence, default=None))

    # -- asking

    async def _ask(self, source: Source, node: NodeId | None, place: bytes) -> Found | None:
        message = Find(self._entropy.token(TXN_BYTES), node, place, b"")
        return await self._exchange(message, source, node, _TIMEOUT)

    async def _exchange(self, message: Find | Put, source: Source, node: NodeId | None, timeout: float) -> Found | None:
        if len(self._pending) >= _PENDING_MAX:
            await trio.lowlevel.checkpoint()
            return None
        pending = self._pending[message.txn] = _Pending(source, node)
        self._datagrams.send(seal(self._key, message), source)
        try:
            with trio.move_on_after(timeout):
                await pending.came.wait()
        finally:
            del self._pending[message.txn]
        if pending.contact is not None:
            self.table.answered(pending.contact)
        elif node is not None:
            self.table.failed(node)
        return pending.found

    # -- answering

    def _take(self, data: bytes, source: Source) -> None:
        if not self._rates.admits(source, trio.current_time()):
            return
        try:
            sealed = Sealed(data)
        except Malformed:
            return
        message = sealed.message
        if isinstance(message, Found):
            self._take_answer(sealed, message, source)
        elif message.to in (None, self._key.node_id) and sealed.node != self._key.node_id:
            self._answer(sealed, message, source)

    def _take_answer(self, sealed: Sealed, found: Found, source: Source) -> None:
        pending = self._pending.get(found.txn)
        if pending is None or pending.source != source or pending.node not in (None, sealed.node):
            return
        if pending.found is None and sealed.is_genuine():
            pending.found, pending.contact = found, Contact(sealed.node, source.host, source.port)
            pending.came.set()

    def _answer(self, sealed: Sealed, message: Message, source: Source) -> None:
        token, now = self._token(source), self._clock.now()
        if isinstance(message, Put):
            value = message.value
            if not hmac.compare_digest(message.token, token) or not sealed.is_genuine():
                return
            if not is_good(value, value.place, now):
                return
            self.shelf.put(value, trio.current_time())
            said = Found(message.txn, token, None, ())
        elif isinstance(message, Find) and sealed.is_genuine():
            near = [contact for contact in self.table.near(message.key) if contact.node != sealed.node]
            said = fitting(Found(message.txn, token, self.shelf.get(message.key, now), tuple(near)))
        else:
            return
        answer = seal(self._key, said)
        if len(answer) <= sealed.size:  # else we would make a flood of a trickle
            self._datagrams.send(answer, source)
            self._probe(sealed.node, source)

    def _token(self, source: Source) -> bytes:
        port = source.port.to_bytes(2, "big")
        return hmac.digest(self._secret, source.host + port, "sha256")[:TOKEN_BYTES]

    def _probe(self, node: NodeId, source: Source) -> None:
        """Ask a stranger back: only who answers at its address becomes a contact."""
        if self._nursery is None or node in self.table or node in self._probing or len(self._probing) >= _PROBES_MAX:
            return
        self._probing.add(node)
        self._nursery.start_soon(self._ask_back, node, source)

    async def _ask_back(self, node: NodeId, source: Source) -> None:
        try:
            await self._ask(source, node, self.own_place)
        finally:
            self._probing.discard(node)

    # -- staying in

    async def _keep_fresh(self) -> None:
        """Follow hints, walk to ourselves and to a random place, and tell what we tell; hourly, or on hints."""
        while True:
            with trio.move_on_after(self._limits.dht_refresh_every / SECOND):
                await self._to_refresh.wait()
                await trio.sleep(self._limits.dht_refresh_pause / SECOND)  # hints come in crowds
            self._to_refresh = trio.Event()
            hints, self._hints = self._hints, []
            await self.join(hints)
            await self.walk(self._entropy.token(KEY_BYTES))
            await self._tell_all()

    async def _tell_all(self) -> None:
        hour_ago = trio.current_time() - self._limits.dht_refresh_every / SECOND
        own = [value for make in list(self._tellers) if (value := make()) is not None]
        carried = self.shelf.to_carry(hour_ago, self._clock.now(), self._limits.dht_carried_max)
        for value in (*own, *carried):
            if len(self.table):
                await self.publish(value)
        for value in carried:
            self.shelf.put(value, trio.current_time())
