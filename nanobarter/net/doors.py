"""What both ways into this node share: bringing a greeted peer up, keeping it, and remembering how it ended.

``entry`` lets others in, ``dialling`` goes out; both hand a peer that has proven its key to ``Doors``.
"""

import errno
import logging
from collections.abc import Sequence

import trio

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import SECOND
from nanobarter.net.address import Address, public_host
from nanobarter.net.beacon import is_near
from nanobarter.net.certificates import tls_context
from nanobarter.net.circle import Circle
from nanobarter.net.connection import Connection, Shared
from nanobarter.net.exchange import Exchange
from nanobarter.net.handshake import Greeted, Ours
from nanobarter.net.links import Links
from nanobarter.net.methods import Methods
from nanobarter.net.peers import PeerBook
from nanobarter.net.pulse import Rhythm
from nanobarter.net.punch import ends_of, share_port
from nanobarter.net.shunned import Shunned
from nanobarter.net.timers import Timers
from nanobarter.net.watch import Watch

_log = logging.getLogger(__name__)


async def open_listeners(address: Address) -> tuple[list[trio.SocketListener], Address]:
    """Bind an address; return the address that was bound. Raises UsageError that names the address and a way out.

    ``[::]`` means every interface, of IPv4 too; on a machine without IPv6 of IPv4 alone.
    """
    try:
        if address.host == "::":
            listeners = await _open_both(address.port)
        else:
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
    for listener in listeners:
        share_port(listener)
    return listeners, Address(address.host, port_of(listeners))


def port_of(listeners: Sequence[trio.SocketListener]) -> int:
    """Return the port that was bound."""
    return int(listeners[0].socket.getsockname()[1])


async def _open_both(port: int) -> list[trio.SocketListener]:
    try:
        six = await trio.open_tcp_listeners(port, host="::")
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT):
            raise
        return await trio.open_tcp_listeners(port, host="0.0.0.0")  # noqa: S104 - asked for by name
    try:
        four = await trio.open_tcp_listeners(port_of(six), host="0.0.0.0")  # noqa: S104 - asked for by name
    except OSError:
        for listener in six:
            await listener.aclose()
        raise
    return [*six, *four]


def seen_at(host: str, path: str, *, hidden: bool) -> str:
    """Return the public host at the other end, as far as it is the peer's: a relay and a proxy stand before many."""
    return "" if hidden or path == "relay" else public_host(host)


class Doors:
    """Brings connections up and keeps them, whichever way they came."""

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
    ) -> None:
        self.circle, self.clock, self.entropy, self.limits = circle, clock, entropy, limits
        self.book: PeerBook = exchange.book
        self.links: Links = exchange.links
        self.shunned = Shunned(limits)
        self.ours = Ours(key.node_id, entropy.token(16), limits)
        self.server, self.client = tls_context(key, server=True), tls_context(key, server=False)
        self.news = trio.Event()
        self.hidden = False
        """Whether dials go through a proxy."""
        self._exchange, self._methods = exchange, methods
        self._shared = Shared(Rhythm(limits), Timers())
        self._watch = Watch(exchange.links, self._shared.rhythm)

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._shared.timers.run)
            await self._watch.run()

    def wake(self) -> None:
        """Look again whom to dial: a peer came, went, or was learnt."""
        self.news.set()
        self.news = trio.Event()

    def bring_up(self, greeted: Greeted, *, serial: int, host: str, path: str, address: Address | None) -> Connection:
        """Return the live connection with a greeted peer; ``keep`` must run it.

        ``serial`` is our dial's number, 0 when it dialled us; ``path`` is how it came, for people.
        """
        connection = Connection(
            greeted.channel,
            greeted.decoder,
            greeted.key,
            greeted.hello,
            serial=serial,
            methods=self._methods,
            limits=self.limits,
            shared=self._shared,
        )
        connection.ends = ends_of(greeted.channel.transport_stream)
        connection.path = path + (" lan" if path != "relay" and is_near(host) else "")
        seen = seen_at(host, path, hidden=self.hidden)
        self.book.met(connection.peer, connection.key, self.clock.now(), address, seen)
        return connection

    def register(self, connection: Connection, host: str) -> None:
        """Let others use a connection that was brought up."""
        self.links.add(connection, host)
        self._shared.rhythm.stir()
        self.wake()

    async def keep(self, connection: Connection, greeted: Greeted) -> None:
        """Run a connection to its end, beside the trading of records and the choice between several."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._settle_in, connection)
                await connection.run(greeted.first)
                nursery.cancel_scope.cancel()
        finally:
            self.links.remove(connection)
            self._remember_end(connection)
            self.wake()

    def strangers(self) -> set[NodeId]:
        """Return the known nodes that must not be dialled: all but friends, when this node keeps to them."""
        return {node for node in self.book.nodes() if not self.circle.admits(node)} if self.circle.only else set()

    def _remember_end(self, connection: Connection) -> None:
        now = trio.current_time()
        if now - connection.since < self.limits.handshake_timeout / SECOND:
            self.book.ended(connection.peer, now)
        self.book.served(connection.peer, connection.calls.answered, connection.calls.failed)
        if connection.fault is not None:
            span = self.shunned.breach(connection.peer, now)
            _log.warning("%s; it is not spoken to for %.0f s", connection.fault, span)

    async def _settle_in(self, connection: Connection) -> None:
        await self.links.settle(connection)
        connection.ping(trio.current_time())  # the first round trip is told to people (nbctl peers)
        # Through a proxy or a relay a peer sees another host than ours.
        seen = connection.path.startswith("out") and not self.hidden
        observed = connection.hello.observed if seen else ""
        if await self._exchange.meet(connection.peer, observed):
            self.wake()
