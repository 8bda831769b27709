"""Going out: which known node is dialled when, with back-off, and what a dial teaches."""

from collections.abc import Awaitable, Callable

import trio

from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId, node_id_of, short_node
from nanobarter.core.units import SECOND
from nanobarter.net.address import Address
from nanobarter.net.connection import Connection
from nanobarter.net.doors import Doors
from nanobarter.net.handshake import Greeted, Oneself, Transport, WrongNode, greet, host_of
from nanobarter.net.peers import Target

Dial = Callable[[Address], Awaitable[Transport]]
"""Opens the bytes to an address. Raises OSError, ValueError or Unreachable."""


async def dial_directly(address: Address) -> Transport:
    """Open a TCP connection; of a name's several addresses the first that answers (RFC 8305)."""
    return await trio.open_tcp_stream(address.host, address.port)


class Dialling:
    """Dials known peers until there are enough of them, and whoever is wanted now."""

    def __init__(self, doors: Doors, dial: Dial = dial_directly) -> None:
        self._doors, self._book, self._links, self._limits = doors, doors.book, doors.links, doors.limits
        self._dial_address = dial
        self._dials = set[NodeId | Address]()
        self._serial = 0
        self._nursery: trio.Nursery | None = None

    def open(self, nursery: trio.Nursery) -> None:
        """Start dialling in the nursery."""
        self._nursery = nursery
        nursery.start_soon(self._keep_dialling)

    def is_dialling(self, node: NodeId) -> bool:
        """Tell whether a dial to a node is under way."""
        return node in self._dials

    async def dial_now(self, node: NodeId) -> Connection:
        """Return a connection to a node, dialling it if need be.

        Raises Unreachable when no address answers, or when it is no friend and this node talks with friends only.
        """
        if not self._doors.circle.admits(node):
            raise Unreachable(f"{short_node(node)} is not among the friends of this node")
        self._dial_node(node)
        while (connection := self._links.best(node)) is None:
            if node not in self._dials:
                raise Unreachable(f"{short_node(node)} has no address that answers")
            await self._doors.news.wait()
        return connection

    def dial_soon(self, node: NodeId) -> None:
        """Begin to dial a node, unless it is connected, is being dialled, or failed a moment ago."""
        if self._links.best(node) is None:
            self._dial_node(node)

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
            self._doors.wake()

    async def _dial_bare(self, target: Target) -> None:
        try:
            await self._dial(target)
        finally:
            self._dials.discard(target.address)
            self._doors.wake()

    async def _keep_dialling(self) -> None:
        doors = self._doors
        while True:
            news, now = doors.news, trio.current_time()
            busy: set[NodeId | Address] = {*self._links.peers(), *self._dials, *doors.shunned.nodes(now)}
            room = min(
                self._limits.peers_target - len(self._links.peers()),
                self._limits.dials_at_once_max - len(self._dials),
            )
            busy |= doors.strangers()
            for target in self._book.due(now, busy)[: max(room, 0)]:
                if target.node is not None:
                    self._dial_node(target.node)
                elif self._nursery is not None and target.address not in self._dials:
                    self._dials.add(target.address)
                    self._nursery.start_soon(self._dial_bare, target)
            busy |= self._dials
            deadline = min(self._book.next_due(busy), doors.shunned.next_end(now)) if room > 0 else float("inf")
            with trio.move_on_at(max(deadline, now + 0.01)):
                await news.wait()

    async def _dial(self, target: Target) -> None:
        """Dial one address; on success the connection runs in the nursery, else the failure is noted."""
        try:
            with trio.fail_after(self._limits.handshake_timeout / SECOND):
                below = await self._dial_address(target.address)
                await self.shake_hands(below, target.node, target.address, target.address.host, "out")
        except Oneself:
            self._book.is_oneself(target.address)
        except (OSError, ValueError, Unreachable, PeerFault, trio.TooSlowError) as error:
            # ValueError: a host that the resolver's encoding refuses.
            jitter = self._doors.entropy.token(1)[0] / 256
            wrong = isinstance(error, WrongNode)
            self._book.failed(target, trio.current_time(), jitter=jitter, wrong_owner=wrong)

    async def shake_hands(
        self, below: Transport, node: NodeId | None, address: Address | None, host: str, path: str
    ) -> None:
        """Shake hands over fresh bytes and keep the connection. The caller bounds the time.

        Raises what ``handshake.greet`` raises; the bytes are closed then.
        """
        doors = self._doors
        self._serial += 1
        serial = self._serial
        observed = host_of(below) if isinstance(below, trio.SocketStream) else host
        try:
            greeted = await greet(
                below,
                doors.client,
                doors.ours,
                expected=node,
                serial=serial,
                observed="" if path == "relay" else observed,
                secret=doors.circle.secret_for(node),
            )
            self._check_friend(greeted)
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(below)
            raise
        connection = doors.bring_up(greeted, serial=serial, host=observed, path=path, address=address)
        doors.register(connection, observed)
        if self._nursery is not None:
            self._nursery.start_soon(doors.keep, connection, greeted)

    def _check_friend(self, greeted: Greeted) -> None:
        if not self._doors.circle.admits(node_id_of(greeted.key)):
            raise Unreachable("a node that is no friend answers there")
