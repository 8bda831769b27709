"""Connections come in and go out here: accepting, dialling with back-off, and the limits on strangers."""

import errno
import logging
from collections.abc import Sequence

import trio

from nanobarter.core.errors import PeerFault, Unreachable, UsageError
from nanobarter.core.ids import NodeId, node_id_of, short_node
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import SECOND
from nanobarter.net.address import Address, is_loopback
from nanobarter.net.certificates import tls_context
from nanobarter.net.circle import INVITATION_EXTENSION, Circle
from nanobarter.net.connection import Connection
from nanobarter.net.exchange import Exchange
from nanobarter.net.handshake import Greeted, Oneself, Ours, WrongNode, accept, greet, host_of, turn_away, welcome
from nanobarter.net.messages import Parting
from nanobarter.net.methods import Methods
from nanobarter.net.peers import Target
from nanobarter.net.pulse import Rhythm
from nanobarter.net.shunned import Shunned
from nanobarter.net.watch import Watch

_log = logging.getLogger(__name__)


async def open_listeners(address: Address) -> tuple[list[trio.SocketListener], Address]:
    """Bind an address; return the address that was bound. Raises UsageError that names the address and a way out."""
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        # trio wraps the errors of several addresses of one name; the first says enough.
        number = error.errno or getattr(error.__cause__, "errno", None)
        if number == errno.EADDRINUSE:
            hint = "stop the program that uses it, or choose another port for listen"
            raise UsageError(f"the address {address.show()} is in use", hint=hint) from None
        if number == errno.EACCES:
            raise UsageError(f"{address.show()} may not be used", hint="choose a port above 1023") from None
        hint = "choose an address of this machine for listen, for instance 0.0.0.0:7070"
        raise UsageError(f"cannot listen at {address.show()}: {error}", hint=hint) from None
    return listeners, Address(address.host, listeners[0].socket.getsockname()[1])


class Doors:
    """Brings connections up, in both directions."""

    def __init__(
        self,
        *,
        key: SigningKey,
        exchange: Exchange,
        methods: Methods,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        circle: Circle,
        same_host_ok: bool,
    ) -> None:
        self._circle, self._rhythm = circle, Rhythm(limits)
        self._watch = Watch(exchange.links, self._rhythm)
        self._book, self._links, self._exchange, self._methods = exchange.book, exchange.links, exchange, methods
        self._clock, self._entropy, self._limits, self._same_host_ok = clock, entropy, limits, same_host_ok
        self._ours = Ours(key.node_id, entropy.token(16), limits)
        self._server, self._client = tls_context(key, server=True), tls_context(key, server=False)
        self._half_open: dict[trio.CancelScope, str] = {}
        self._dials = set[NodeId | Address]()
        self._serial = 0
        self._shunned = Shunned(limits)
        self._news = trio.Event()
        self._nursery: trio.Nursery | None = None

    def open(self, nursery: trio.Nursery, listeners: Sequence[trio.SocketListener]) -> None:
        """Start accepting and dialling in the nursery."""
        self._nursery = nursery
        nursery.start_soon(self._keep_dialling)
        nursery.start_soon(self._watch.run)
        if listeners:
            nursery.start_soon(trio.serve_listeners, self._let_in, list(listeners))

    def wake(self) -> None:
        """Look again whom to dial: a peer came, went, or was learnt."""
        self._news.set()
        self._news = trio.Event()

    # -- in

    async def _let_in(self, socket: trio.SocketStream) -> None:
        host = host_of(socket)
        scope = trio.CancelScope(deadline=trio.current_time() + self._limits.handshake_timeout / SECOND)
        greeted: Greeted | None = None
        with scope:
            if self._is_full(host):
                await trio.aclose_forcefully(socket)
                return
            # Under a flood of silent strangers the oldest is the likeliest to be one; an honest peer needs
            # milliseconds.
            while len(self._half_open) >= self._limits.half_open_max:
                oldest = next(iter(self._half_open))
                del self._half_open[oldest]
                oldest.cancel()
            self._half_open[scope] = host
            try:
                greeted = await self._judge(await welcome(socket, self._server, self._ours))
            except (PeerFault, Unreachable):
                greeted = None
            finally:
                self._half_open.pop(scope, None)
        if greeted is None:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(socket)
            return
        connection = self._connection(greeted, serial=0)
        connection.outbox.add(accept(self._ours, host), bulk=False)
        self._register(connection, host, None)
        await self._keep(connection, greeted)

    async def _judge(self, greeted: Greeted) -> Greeted | None:
        peer = node_id_of(greeted.key)
        if self._shunned.is_shunned(peer, trio.current_time()):
            await turn_away(greeted.channel, Parting.MALFORMED, "this node broke the protocol a while ago")
            return None
        await self._circle.redeem(peer, greeted.hello.extensions.get(INVITATION_EXTENSION))
        if not self._circle.admits(peer):
            await turn_away(greeted.channel, Parting.NOT_A_FRIEND, "this node talks with its friends only")
            return None
        if len(self._links) >= self._limits.connections_max and self._links.best(peer) is None:
            await turn_away(greeted.channel, Parting.TOO_MANY, "all places are taken")
            return None
        return greeted

    def _is_full(self, host: str) -> bool:
        if self._same_host_ok and is_loopback(host):
            return False
        count = self._links.from_host(host) + sum(other == host for other in self._half_open.values())
        return count >= self._limits.connections_per_address_max

    # -- out

    def is_dialling(self, node: NodeId) -> bool:
        """Tell whether a dial to a node is under way."""
        return node in self._dials

    async def dial_now(self, node: NodeId) -> Connection:
        """Return a connection to a node, dialling it if need be.

        Raises Unreachable when no address answers, or when it is no friend and this node talks with friends only.
        """
        if not self._circle.admits(node):
            raise Unreachable(f"{short_node(node)} is not among the friends of this node")
        self._dial_node(node)
        while (connection := self._links.best(node)) is None:
            if node not in self._dials:
                raise Unreachable(f"{short_node(node)} has no address that answers")
            await self._news.wait()
        return connection

    def _dial_node(self, node: NodeId) -> None:
        targets = self._book.due_at(node, trio.current_time())
        if self._nursery is not None and targets and node not in self._dials:
            self._dials.add(node)
            self._nursery.start_soon(self._dial_all, node, targets)

    async def _dial_all(self, node: NodeId, targets: list[Target]) -> None:
        try:
            for target in targets:
                if self._links.best(node) is None:
                    await self._dial(target)
        finally:
            self._dials.discard(node)
            self.wake()

    async def _dial_bare(self, target: Target) -> None:
        try:
            await self._dial(target)
        finally:
            self._dials.discard(target.address)
            self.wake()

    async def _keep_dialling(self) -> None:
        while True:
            news, now = self._news, trio.current_time()
            busy: set[NodeId | Address] = {*self._links.peers(), *self._dials, *self._shunned.nodes(now)}
            room = min(
                self._limits.peers_target - len(self._links.peers()),
                self._limits.dials_at_once_max - len(self._dials),
            )
            busy |= self._strangers()
            for target in self._book.due(now, busy)[: max(room, 0)]:
                if target.node is not None:
                    self._dial_node(target.node)
                elif self._nursery is not None and target.address not in self._dials:
                    self._dials.add(target.address)
                    self._nursery.start_soon(self._dial_bare, target)
            busy |= self._dials
            deadline = min(self._book.next_due(busy), self._shunned.next_end(now)) if room > 0 else float("inf")
            with trio.move_on_at(max(deadline, now + 0.01)):
                await news.wait()

    def _strangers(self) -> set[NodeId]:
        return {node for node in self._book.nodes() if not self._circle.admits(node)} if self._circle.only else set()

    async def _dial(self, target: Target) -> None:
        """Dial one address; on success the connection runs in the nursery, else the failure is noted."""
        self._serial += 1
        serial = self._serial
        try:
            with trio.fail_after(self._limits.handshake_timeout / SECOND):
                socket = await trio.open_tcp_stream(target.address.host, target.address.port)
                greeted = await self._greet(socket, target, serial)
        except Oneself:
            self._book.is_oneself(target.address)
        except (OSError, ValueError, Unreachable, PeerFault, trio.TooSlowError) as error:
            # ValueError: a host that the resolver's encoding refuses.
            jitter = self._entropy.token(1)[0] / 256
            wrong = isinstance(error, WrongNode)
            self._book.failed(target, trio.current_time(), jitter=jitter, wrong_owner=wrong)
        else:
            connection = self._connection(greeted, serial=serial)
            self._register(connection, host_of(socket), target.address)
            if self._nursery is not None:
                self._nursery.start_soon(self._keep, connection, greeted)

    async def _greet(self, socket: trio.SocketStream, target: Target, serial: int) -> Greeted:
        secret = self._circle.secret_for(target.node)
        try:
            greeted = await greet(
                socket,
                self._client,
                self._ours,
                expected=target.node,
                serial=serial,
                observed=host_of(socket),
                secret=secret,
            )
            self._check_friend(greeted)
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(socket)
            raise
        return greeted

    def _check_friend(self, greeted: Greeted) -> None:
        if not self._circle.admits(node_id_of(greeted.key)):
            raise Unreachable("a node that is no friend answers there")

    # -- up

    def _connection(self, greeted: Greeted, *, serial: int) -> Connection:
        return Connection(
            greeted.channel,
            greeted.decoder,
            greeted.key,
            greeted.hello,
            serial=serial,
            methods=self._methods,
            limits=self._limits,
            rhythm=self._rhythm,
        )

    def _register(self, connection: Connection, host: str, address: Address | None) -> None:
        self._book.met(connection.peer, connection.key, self._clock.now(), address)
        self._links.add(connection, host)
        self._rhythm.stir()
        self.wake()

    async def _keep(self, connection: Connection, greeted: Greeted) -> None:
        """Run a connection to its end, beside the trading of records and the choice between several."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._settle_in, connection)
                await connection.run(greeted.first)
                nursery.cancel_scope.cancel()
        finally:
            self._links.remove(connection)
            self._remember_end(connection)
            self.wake()

    def _remember_end(self, connection: Connection) -> None:
        now = trio.current_time()
        if now - connection.since < self._limits.handshake_timeout / SECOND:
            self._book.ended(connection.peer, now)
        if connection.fault is not None:
            span = self._shunned.breach(connection.peer, now)
            _log.warning("%s; it is not spoken to for %.0f s", connection.fault, span)

    async def _settle_in(self, connection: Connection) -> None:
        await self._links.settle(connection)
        connection.ping(trio.current_time())  # the first round trip is told to people (nbctl peers)
        observed = connection.hello.observed if connection.dialled else ""
        if await self._exchange.meet(connection.peer, observed):
            self.wake()
