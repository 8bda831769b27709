"""The network of one node: it listens, dials, keeps connections, and carries calls and streams to peers by id."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import trio

from nanobarter.core.errors import Unreachable, UsageError
from nanobarter.core.ids import NodeId, PublicKey, short_node
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Body, Clock, Entropy, Handler, Priority, whole
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address, parse_address
from nanobarter.net.calls import Retired, late
from nanobarter.net.checkup import Checkup, PeerSaid
from nanobarter.net.circle import Circle, Invitation
from nanobarter.net.connection import Connection
from nanobarter.net.doors import Doors, open_listeners
from nanobarter.net.entry import Entry
from nanobarter.net.exchange import Beyond, Exchange
from nanobarter.net.links import Links
from nanobarter.net.methods import Methods, StreamHandler, unwrap
from nanobarter.net.peers import KnownPeer, Peer, PeerBook
from nanobarter.net.reach import Reach
from nanobarter.net.stream import Stream
from nanobarter.net.tables import MIGRATIONS

__all__ = ["MIGRATIONS", "Address", "KnownPeer", "Network", "Stream", "StreamHandler", "parse_address"]


class Network:
    """A Caller and Registrar over TLS. Construct, add the methods, then ``run``.

    ``listen`` None makes a node that only dials. ``same_host_ok`` lifts the limit per address for loopback, for
    tests and for several nodes on one machine. It talks with anyone, unless its ``circle`` says otherwise.
    """

    def __init__(
        self,
        *,
        key: SigningKey,
        listen: Address | None,
        bootstrap: Sequence[Address],
        store: Store,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        same_host_ok: bool = False,
    ) -> None:
        self.circle = Circle(store=store, clock=clock, entropy=entropy)
        self._node_id, self._key, self._listen, self._limits = key.node_id, key, listen, limits
        self._links = Links(key.node_id)
        self._book = PeerBook(key.node_id, limits)
        self._methods = Methods(limits.frame_bytes_max)
        self._exchange = Exchange(
            key=key,
            caller=self,
            book=self._book,
            links=self._links,
            store=store,
            clock=clock,
            limits=limits,
        )
        self._exchange.serve(self._methods)
        self._doors = Doors(
            key=key,
            exchange=self._exchange,
            methods=self._methods,
            clock=clock,
            entropy=entropy,
            limits=limits,
            circle=self.circle,
        )
        self._checkup = Checkup(self, self._links, self._doors.client, clock, limits)
        self._checkup.serve(self._methods)
        self._entry = Entry(self._doors, same_host_ok=same_host_ok)
        self.reach = Reach(key=key, caller=self, doors=self._doors, exchange=self._exchange, entry=self._entry)
        """The ways in and out, and what the person chooses of them."""
        self.reach.serve(self._methods)
        for address in bootstrap:
            self._book.learn(None, address)

    @property
    def node_id(self) -> NodeId:
        """The id of this node."""
        return self._node_id

    async def run(self, *, task_status: trio.TaskStatus[Address | None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; tells the address that is bound. Raises UsageError when it cannot be bound.

        Faults of handlers of this node (LocalFault, InvariantBroken) escape, in an exception group.
        """
        listeners, bound = [], None
        if self._listen is not None:
            listeners, bound = await open_listeners(self._listen)
        async with trio.open_nursery() as nursery:
            await self._exchange.start(bound)
            nursery.start_soon(self._exchange.keep_fresh)
            nursery.start_soon(self._doors.run)
            self.reach.open(nursery)
            self._entry.open(nursery, listeners)
            task_status.started(bound)

    # -- Registrar

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method; see ``core.ports.Registrar``."""
        self._methods.add(method, handler, body_max=body_max)

    def add_stream(self, method: str, handler: StreamHandler) -> None:
        """Serve the streams that peers open under this name."""
        self._methods.add_stream(method, handler)

    # -- Caller

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        """Return the peer's answer, dialling it first if it is known; see ``core.ports.Caller``."""
        connection = self._links.best(peer)
        if connection is not None:  # nearly always; then no scope is needed, which would cost a tenth of the call
            try:
                return await connection.call(method, body, timeout=timeout, priority=priority)
            except Retired:
                await trio.lowlevel.checkpoint()
        with trio.CancelScope(deadline=trio.current_time() + timeout / SECOND):
            if peer == self._node_id:
                await trio.lowlevel.checkpoint()
                return unwrap(peer, method, await self._methods.answer(peer, method, whole(body)))
            while True:
                connection = await self._reach(peer)
                try:
                    return await connection.call(method, body, timeout=timeout, priority=priority)
                except Retired:
                    await trio.lowlevel.checkpoint()
        raise late(peer, method, timeout)

    async def open_stream(self, peer: NodeId, method: str, body: bytes) -> Stream:
        """Open a stream to another node. Raises Unreachable; a refusal shows at the first use."""
        with trio.move_on_after(self._limits.call_timeout / SECOND):
            while True:
                connection = await self._reach(peer)
                try:
                    return connection.open_stream(method, body)
                except Retired:
                    await trio.lowlevel.checkpoint()
        raise Unreachable(f"{short_node(peer)} cannot be reached")

    async def _reach(self, peer: NodeId) -> Connection:
        connection = self._links.best(peer)
        if connection is not None:
            return connection
        return await self.reach.to(peer)

    # -- who is there

    def connected(self) -> list[NodeId]:
        """Return the peers that can be called without dialling."""
        return self._links.peers()

    def has_met(self, node: NodeId) -> bool:
        """Tell whether a node was connected to this one, now or ever: a name alone costs nothing."""
        peer = self._book.get(node)
        return self._links.best(node) is not None or (peer is not None and peer.last_seen is not None)

    @property
    def connection_count(self) -> int:
        """How many connections are up; for a moment there may be two with one peer."""
        return len(self._links)

    def on_connect(self, callback: Callable[[NodeId], None]) -> None:
        """Be told of every peer that is connected already and of each that connects later."""
        self._links.callbacks.append(callback)
        for peer in self.connected():
            callback(peer)

    def known(self) -> list[KnownPeer]:
        """Return all nodes that we know of, connected or not."""
        peers, up = list[KnownPeer](), set(self.connected())
        for node in self._book.nodes():
            if (peer := self._book.get(node)) is not None:
                peers.append(self._tell(node, peer, connected=node in up))
        return peers

    def _tell(self, node: NodeId, peer: Peer, *, connected: bool) -> KnownPeer:
        link, shunned = self._links.best(node), self._doors.shunned.is_shunned(node, trio.current_time())
        told = KnownPeer(node, tuple(peer.addresses), connected, peer.last_seen)
        if link is None:
            return replace(told, score=0 if shunned else peer.score())
        return replace(
            told,
            path=link.path,
            latency=link.pulse.latency,
            bytes_in=link.bytes_in,
            bytes_out=link.bytes_out,
            score=peer.score(link.calls.answered, link.calls.failed),
        )

    def address_of(self, node: NodeId) -> Address | None:
        """Return where a node is best dialled; our own address for our own id."""
        if node == self._node_id:
            return next(iter(self._exchange.own_addresses()), None)
        peer = self._book.get(node)
        return min(peer.addresses, key=lambda a: peer.addresses[a].failures, default=None) if peer else None

    def host_of(self, node: NodeId) -> str | None:
        """Return at which host a node is: where it was last seen, before what it says; None: neither is known."""
        peer, address = self._book.get(node), self.address_of(node)
        return (peer.seen if peer is not None else "") or (address.host if address is not None else None)

    def public_key_of(self, node: NodeId) -> PublicKey | None:
        """Return the key behind an id, if we met the node or hold its record."""
        if node == self._node_id:
            return self._key.public
        peer = self._book.get(node)
        return peer.key if peer is not None else None

    def record_of(self, node: NodeId) -> Item | None:
        """Return the newest signed record that we hold of another node."""
        peer = self._book.get(node)
        return peer.record if peer is not None else None

    def is_placed(self, node: NodeId) -> bool:
        """Tell whether a node is known at an address of which there are few others; friends always are."""
        return node in self.circle.friends or self._book.is_placed(node)

    def learn(self, node: NodeId | None, address: Address) -> None:
        """Take an address, of this node or of whoever answers there; it is dialled soon."""
        self._book.learn(node, address)
        self._doors.wake()

    def advertise(self, addresses: Sequence[Address]) -> None:
        """Tell others these addresses (a forwarded port, a name) instead of what is found out. Before ``run``."""
        self._exchange.advertised = tuple(addresses)

    @property
    def own_record(self) -> Item | None:
        """What this node last signed about where it listens, for those who pass it on; None while it only dials."""
        return self._exchange.own_record()

    def look_beyond(self, beyond: Beyond) -> None:
        """Ask this, too, for the record of a node that no connected peer can name. What it returns is checked."""
        self._exchange.beyond = beyond

    def own_addresses(self) -> list[Address]:
        """Return where others can dial this node, as far as it knows."""
        return self._exchange.own_addresses()

    async def check_up(self) -> list[PeerSaid]:
        """Ask some peers whether they can dial this node, at which host they see it, and what time it is."""
        return await self._checkup.ask(self._exchange.port)

    async def invite(self, valid: Span) -> Invitation:
        """Return an invitation to this node. Raises UsageError when nobody could dial it."""
        return await self.circle.invite(self._node_id, self.own_addresses(), valid)

    async def join(self, invitation: Invitation) -> None:
        """Take an invitation; the inviter is dialled soon. Raises UsageError when it is one's own or expired."""
        if invitation.node == self._node_id:
            raise UsageError("this is an invitation by this node itself", hint="give it to a friend: nbctl join")
        await self.circle.join(invitation)
        for address in invitation.addresses:
            self.learn(invitation.node, address)
