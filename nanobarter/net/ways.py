"""Ways to a node that does not answer where it says: it is asked to dial us, or a relay carries the bytes.

All need a peer in common. *Reverse dial*: the common peer passes our signed record on, and the node behind the router
dials us; works when one of the two can be dialled. *Meeting*: both dial at once (meeting.py); works when both routers
remember ports. *Relay*: the common peer joins two streams (relay.py); works always, at the relay's pace, and gives way
to a meeting that comes about later. A direct dial begins first, and the others follow while it hangs, so that a router
that drops packets silently costs a second and not ten.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import trio
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.item import ITEM_MAX, Item
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.units import SECOND, Span
from nanobarter.net.connection import Connection
from nanobarter.net.dialling import Dialling
from nanobarter.net.doors import Doors
from nanobarter.net.methods import Methods
from nanobarter.net.records import open_record
from nanobarter.net.relay import RELAY_METHOD, Tube
from nanobarter.net.stream import Stream

PASS_ON_METHOD: Final = "net.pass_on"  # noqa: S105 - the name of a call
DIAL_ME_METHOD: Final = "net.dial_me"
_BODY_MAX: Final = ITEM_MAX + 64
_ASK_TIMEOUT: Final = Span(5 * SECOND)
_COMMON_MAX: Final = 8  # peers that are asked for one node


class DialMe(Record, frozen=True):
    """Asks ``node`` to dial the author of ``record``; ``net.pass_on`` carries it there as it is."""

    node: Annotated[bytes, Meta(min_length=32, max_length=32)]
    record: Item


class Ways:
    """Reaches nodes by whatever way works, and helps others to."""

    def __init__(
        self,
        *,
        doors: Doors,
        dialling: Dialling,
        caller: Caller,
        own_record: Callable[[], Item | None],
        open_stream: Callable[[NodeId, str, bytes], Stream],
        meet: Callable[[NodeId, list[NodeId]], Awaitable[None]],
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._doors, self._dialling, self._caller = doors, dialling, caller
        self._meet = meet
        self._own_record, self._open, self._clock, self._limits = own_record, open_stream, clock, limits

    def serve(self, methods: Methods) -> None:
        """Answer ``net.pass_on`` and ``net.dial_me``."""
        methods.add(PASS_ON_METHOD, self._pass_on, body_max=_BODY_MAX)
        methods.add(DIAL_ME_METHOD, self._dial_me, body_max=_BODY_MAX)

    async def reach(self, node: NodeId) -> Connection:
        """Return a connection to a node. Raises Unreachable when no way works; the caller bounds the time."""
        try:
            with trio.move_on_after(self._limits.direct_patience / SECOND):
                return await self._dialling.dial_now(node)
        except Unreachable:
            if not self._common(node) or not self._doors.circle.admits(node):
                raise
        return await self._race(node)

    async def _race(self, node: NodeId) -> Connection:
        """Try all ways at once, relays a moment later, and take the first that leads there."""
        found: Connection | None = None
        async with trio.open_nursery() as nursery:

            async def attempt(way: Callable[[NodeId], Awaitable[None]]) -> None:
                nonlocal found
                try:
                    await way(node)
                except (Unreachable, PeerFault, trio.TooSlowError, trio.BrokenResourceError):
                    return
                if (best := self._doors.links.best(node)) is not None:
                    found = best
                    nursery.cancel_scope.cancel()

            for way in (self._directly, self._by_reverse, self._by_meeting, self._by_relay):
                nursery.start_soon(attempt, way)
        if found is None:
            raise Unreachable(f"no way leads to {short_node(node)}: no address answers, and no peer could help")
        return found

    async def _directly(self, node: NodeId) -> None:
        await self._dialling.dial_now(node)

    async def _by_reverse(self, node: NodeId) -> None:
        record = self._own_record()
        if record is None or not open_record(record).addresses:
            raise Unreachable("this node cannot be dialled either")
        body = encode(DialMe(node, record))
        for peer in self._common(node):
            try:
                await self._caller.call(peer, PASS_ON_METHOD, body, timeout=_ASK_TIMEOUT)
            except (Unreachable, PeerFault):
                continue
            with trio.move_on_after(_ASK_TIMEOUT / SECOND):
                while self._doors.links.best(node) is None:
                    await self._doors.news.wait()
                return
        raise Unreachable("nobody passed it on")

    async def _by_meeting(self, node: NodeId) -> None:
        await self._meet(node, self._common(node))

    async def _by_relay(self, node: NodeId) -> None:
        await trio.sleep(self._limits.relay_after / SECOND)
        for peer in self._common(node):
            try:
                with trio.fail_after(self._limits.handshake_timeout / SECOND):
                    tube = Tube(self._open(peer, RELAY_METHOD, encode(node)))
                    await self._dialling.shake_hands(tube, node, None, f"relay {peer.hex()}", "relay")
            except (Unreachable, PeerFault, trio.TooSlowError, trio.BrokenResourceError):
                continue
            return
        raise Unreachable("nobody relays")

    def _common(self, node: NodeId) -> list[NodeId]:
        """Return peers that may be connected to a node: those that are near us, not through relays."""
        links = self._doors.links
        direct = [peer for peer in links.peers() if (best := links.best(peer)) is not None and best.path != "relay"]
        return [peer for peer in direct if peer != node][:_COMMON_MAX]

    # -- for others

    async def _pass_on(self, peer: NodeId, body: bytes) -> bytes:
        asked = self._read(body, author=peer)
        if self._doors.links.best(NodeId(asked.node)) is None:
            raise Unreachable("not connected here")
        return await self._caller.call(NodeId(asked.node), DIAL_ME_METHOD, body, timeout=_ASK_TIMEOUT)

    async def _dial_me(self, _peer: NodeId, body: bytes) -> bytes:
        """Take the record of who wants us, and dial it soon; what others hand on may cost one dial, with back-off."""
        asked = self._read(body, author=None)
        self._doors.book.take_record(asked.record, self._clock.now())
        author = asked.record.node
        if not self._doors.circle.admits(author):
            raise Unreachable("this node talks with its friends only")
        self._dialling.dial_soon(author)
        await trio.lowlevel.checkpoint()
        return b""

    def _read(self, body: bytes, *, author: NodeId | None) -> DialMe:
        asked = decode(body, DialMe, size_max=_BODY_MAX)
        open_record(asked.record)
        if author is not None and asked.record.node != author:
            raise Malformed("the record of a third node")
        return asked
