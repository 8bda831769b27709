"""TCP simultaneous open through a common peer: two nodes behind two routers that remember ports meet in the middle.

    asker                     common peer                 wanted
    anchors a connection  ->
    net.meet [wanted]     ->  net.meet_me [asker, where]  ->  anchors one, too
                          <-  [where the wanted one is]   <-  dials the asker
    dials the wanted one

To anchor is to have a connection to the common peer that leaves from the port at which this node listens: what the
peer sees at the other end is then where the router lets others in. The asker is the TLS client and the wanted node the
server; of two that both wait, which can happen when a SYN meets a listening socket, one speaks after a second.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Final

import trio
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address, is_loopback
from nanobarter.net.dialling import Dialling
from nanobarter.net.doors import Doors
from nanobarter.net.methods import Methods
from nanobarter.net.punch import dial_from, dial_until_open, speaks_first
from nanobarter.net.tls import Transport

MEET_METHOD: Final = "net.meet"
MEET_ME_METHOD: Final = "net.meet_me"
_BODY_MAX: Final = 512
_ASK_TIMEOUT: Final = Span(8 * SECOND)
_ANCHOR_S: Final = 4.0

_Node = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Meet(Record, frozen=True):
    """Asks a common peer to bring us together with a node; answered by where that node is seen, an Address."""

    node: _Node


class MeetMe(Record, frozen=True):
    """Asks a node to dial another one, ``node``, where the sender sees it."""

    node: _Node
    where: Address


class Meeting:
    """Meets nodes through common peers, and brings others together.

    ``port`` tells at which port this node listens, 0 when it does not, or when its dials go through a proxy.
    """

    def __init__(
        self,
        *,
        doors: Doors,
        dialling: Dialling,
        caller: Caller,
        port: Callable[[], int],
        welcome: Callable[[Transport, str, str], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self._doors, self._dialling, self._caller = doors, dialling, caller
        self._port, self._welcome, self._limits = port, welcome, limits
        self._met: dict[NodeId, float] = {}
        self._under_way = set[NodeId]()
        self._nursery: trio.Nursery | None = None

    def serve(self, methods: Methods) -> None:
        """Answer ``net.meet`` and ``net.meet_me``."""
        methods.add(MEET_METHOD, self._bring_together, body_max=_BODY_MAX)
        methods.add(MEET_ME_METHOD, self._come, body_max=_BODY_MAX)

    def open(self, nursery: trio.Nursery) -> None:
        """Meet in this nursery: a meeting goes on when a relay was quicker, and takes its place then."""
        self._nursery = nursery

    # -- the asker

    async def meet(self, node: NodeId, common: list[NodeId]) -> None:
        """Meet a node through one of these peers. Raises Unreachable when that does not come about."""
        if not self._port() or self._nursery is None:
            raise Unreachable("this node does not listen")
        if node not in self._under_way and len(self._under_way) < self._limits.meetings_at_once_max:
            self._under_way.add(node)
            self._nursery.start_soon(self._meet, node, common)
        while node in self._under_way:
            await self._doors.news.wait()
        if self._doors.links.best(node) is None:
            raise Unreachable("they did not meet")

    async def _meet(self, node: NodeId, common: list[NodeId]) -> None:
        try:
            for peer in common:
                with suppress(Unreachable, PeerFault, OSError, ValueError, trio.BrokenResourceError):
                    await self._anchor(peer)
                    body = await self._caller.call(peer, MEET_METHOD, encode(Meet(node)), timeout=_ASK_TIMEOUT)
                    where = decode(body, Address, size_max=_BODY_MAX)
                    with trio.move_on_after(self._limits.meeting_patience / SECOND):
                        below = await dial_until_open(self._port(), where)
                        await self._dialling.shake_hands(below, node, None, where.host, "out met")
                        return
        finally:
            self._under_way.discard(node)
            self._doors.wake()

    async def _anchor(self, peer: NodeId) -> None:
        """Have a connection to a peer from our listening port. Raises Unreachable, OSError."""
        link, port = self._doors.links.best(peer), self._port()
        if link is None or link.ends is None:
            raise Unreachable("not connected directly")
        if link.ends.here.port == port:  # also when it dialled us
            return
        with trio.move_on_after(_ANCHOR_S):
            below = await dial_from(port, link.ends.there)
            await self._dialling.shake_hands(below, peer, link.ends.there, link.ends.there.host, "out")
            return
        raise Unreachable("the common peer does not answer at that port")

    # -- the common peer

    async def _bring_together(self, peer: NodeId, body: bytes) -> bytes:
        wanted = NodeId(decode(body, Meet, size_max=_BODY_MAX).node)
        ask = encode(MeetMe(peer, self._seen(peer)))
        await self._caller.call(wanted, MEET_ME_METHOD, ask, timeout=_ASK_TIMEOUT)
        return encode(self._seen(wanted))

    def _seen(self, node: NodeId) -> Address:
        link = self._doors.links.best(node)
        if link is None or link.ends is None:
            raise Unreachable("not connected here")
        return link.ends.there

    # -- the wanted node

    async def _come(self, peer: NodeId, body: bytes) -> bytes:
        asked = decode(body, MeetMe, size_max=_BODY_MAX)
        node, now = NodeId(asked.node), trio.current_time()
        if not self._port() or self._nursery is None or not self._doors.circle.admits(node):
            raise Unreachable("this node does not meet that one")
        if is_loopback(asked.where.host) or self._is_tired(node, now):
            raise Unreachable("not there, or not so soon again")
        await self._anchor(peer)
        self._under_way.add(node)
        self._nursery.start_soon(self._await, node, asked.where)
        return b""

    def _is_tired(self, node: NodeId, now: float) -> bool:
        """Bound what others can make us dial: some addresses at once, and for each node seldom."""
        rest = self._limits.check_rest / SECOND
        self._met = {other: at for other, at in self._met.items() if now - at < rest}
        tired = node in self._met or len(self._met) >= self._limits.meetings_at_once_max
        if not tired:
            self._met[node] = now
        return tired

    async def _await(self, node: NodeId, where: Address) -> None:
        try:
            with suppress(Unreachable, PeerFault, OSError, ValueError, trio.BrokenResourceError):
                below: trio.SocketStream | None = None
                with trio.move_on_after(self._limits.meeting_patience / SECOND):
                    below = await dial_until_open(self._port(), where)
                if below is None:
                    return
                if await speaks_first(below):
                    await self._welcome(below, where.host, "in met")
                else:
                    with trio.move_on_after(self._limits.handshake_timeout / SECOND):
                        await self._dialling.shake_hands(below, node, None, where.host, "out met")
        finally:
            self._under_way.discard(node)
            self._doors.wake()
