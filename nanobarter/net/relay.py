"""Relays: two nodes that cannot dial each other talk through a third that is connected to both.

The relay joins two streams and sees ciphertext: inside runs the same TLS handshake as over a socket, end to end, with
both keys pinned. It gives what its policy allows and no more: for anyone, for friends, or for nobody, so many pairs at
once, so many of one node, and a pace. Whoever is called may refuse, as at its own door.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.net.methods import Methods
from nanobarter.net.stream import Stream
from nanobarter.net.tls import Transport

Policy = Literal["off", "friends", "open"]

RELAY_METHOD: Final = "net.relay"
RELAYED_METHOD: Final = "net.relayed"
_ID_MAX: Final = 34  # a node id with its MessagePack header


class Tube(trio.abc.HalfCloseableStream):
    """A stream between two nodes as plain bytes, for TLS to run over."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it, at the pace of the reader."""
        try:
            await self._stream.send(bytes(data))
        except (Unreachable, PeerFault) as error:
            raise trio.BrokenResourceError(str(error)) from None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return some bytes, none at the end."""
        if not self._rest:
            try:
                self._rest = await self._stream.receive()
            except (Unreachable, PeerFault) as error:
                raise trio.BrokenResourceError(str(error)) from None
        taken = self._rest if max_bytes is None else self._rest[:max_bytes]
        self._rest = self._rest[len(taken) :]
        return taken

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once; a send waits for credit by itself."""
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Say that no more comes."""
        self._stream.finish()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Give the stream up."""
        self._stream.abandon()
        await trio.lowlevel.checkpoint()


class Relay:
    """What this node does for others, and what is relayed to it."""

    def __init__(
        self,
        *,
        open_stream: Callable[[NodeId, str, bytes], Stream],
        serves: Callable[[NodeId], bool],
        welcome: Callable[[Transport, str, str], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self._open, self._serves, self._welcome, self._limits = open_stream, serves, welcome, limits
        self._pairs: dict[NodeId, int] = {}

    def serve(self, methods: Methods) -> None:
        """Answer the streams of both kinds."""
        methods.add_stream(RELAY_METHOD, self._pass_on)
        methods.add_stream(RELAYED_METHOD, self._take)

    @property
    def pairs(self) -> int:
        """How many pairs this node relays for now."""
        return sum(self._pairs.values())

    async def _take(self, stream: Stream) -> None:
        """Shake hands with whoever is behind a relay, as at our own door."""
        read_id(stream.body)
        await self._welcome(Tube(stream), f"relay {stream.peer.hex()}", "relay")

    async def _pass_on(self, stream: Stream) -> None:
        asker, wanted = stream.peer, read_id(stream.body)
        if not self._serves(asker):
            raise Unreachable("this node relays for others only")
        limits = self._limits
        if self.pairs >= limits.relay_pairs_max or self._pairs.get(asker, 0) >= limits.relay_pairs_per_node_max:
            raise Unreachable("this node relays for as many as it can")
        self._pairs[asker] = self._pairs.get(asker, 0) + 1
        try:
            await self._join(stream, self._open(wanted, RELAYED_METHOD, encode(asker)))
        finally:
            self._pairs[asker] -= 1
            if not self._pairs[asker]:
                del self._pairs[asker]

    async def _join(self, one: Stream, other: Stream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, one, other, nursery.cancel_scope)
                await self._pump(other, one, nursery.cancel_scope)
        finally:
            other.abandon()
            one.abandon()

    async def _pump(self, source: Stream, target: Stream, scope: trio.CancelScope) -> None:
        """Carry bytes one way at the agreed pace; when one end breaks both do."""
        pace = self._limits.relay_bytes_per_s
        due = trio.current_time()
        try:
            while data := await source.receive():
                due = max(due, trio.current_time() - 1) + len(data) / pace
                await trio.sleep_until(due - 1)  # a second's worth may come at once
                await target.send(data)
            target.finish()
        except (Unreachable, PeerFault):
            scope.cancel()


def read_id(body: bytes) -> NodeId:
    """Return the node that a stream's opening names. Raises Malformed."""
    node = decode(body, bytes, size_max=_ID_MAX)
    if len(node) != len(NodeId(bytes(32))):
        raise Malformed("not the id of a node")
    return NodeId(node)
