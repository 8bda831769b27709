"""A network inside one process: the same promises as the real one, without sockets.

Every node of the hub can call every other until it is disconnected or a partition stands between them. Handlers
run in the caller's task, so what a handler raises as a fault of its own node (anything but Malformed, PeerFault
and Unreachable) reaches the test directly instead of stopping a daemon. It passes tests/net/test_conformance.py
together with the real network.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import NodeId, PublicKey, short_node
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Body, Handler, Priority, whole
from nanobarter.core.units import SECOND, Span
from nanobarter.net.frames import Kind
from nanobarter.net.methods import Failed, Failure, Methods, StreamHandler, unwrap
from nanobarter.net.stream import Stream, serve_stream

Loss = Literal["request", "answer"]
LossRule = Callable[[NodeId, NodeId, str], Loss | None]
"""Given caller, callee and method: lose the request before it is served, its answer after that, or nothing."""


class MemoryNetwork:
    """The hub: makes nodes, and parts them from each other."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.lose: LossRule | None = None
        self._nodes: dict[NodeId, MemoryNode] = {}
        self._away: set[NodeId] = set()
        self._groups: list[frozenset[NodeId]] = []
        self._calls: dict[trio.CancelScope, tuple[NodeId, NodeId]] = {}
        self._streams = list[tuple[NodeId, NodeId, Stream, Stream]]()

    def node(self, key: SigningKey) -> "MemoryNode":
        """Return a new node, linked to all others. A second one with the same key replaces the first: a restart."""
        self.disconnect(key.node_id)
        self._nodes[key.node_id] = MemoryNode(self, key)
        self.reconnect(key.node_id)
        return self._nodes[key.node_id]

    def disconnect(self, node: NodeId) -> None:
        """Cut a node off; its calls under way, in and out, fail at once."""
        self._away.add(node)
        self._cut()

    def reconnect(self, node: NodeId) -> None:
        """Link a node again; ``on_connect`` is called on both sides."""
        before = self._links()
        self._away.discard(node)
        self._announce(before)

    def partition(self, *groups: Iterable[NodeId]) -> None:
        """Let only nodes of the same group reach each other; a node in no group reaches nobody."""
        before = self._links()
        self._groups = [frozenset(group) for group in groups]
        self._cut()
        self._announce(before)

    def heal(self) -> None:
        """End the partition; disconnected nodes stay so."""
        before = self._links()
        self._groups = []
        self._announce(before)

    def linked(self, one: NodeId, other: NodeId) -> bool:
        """Tell whether calls pass between two nodes."""
        present = one in self._nodes and other in self._nodes and not {one, other} & self._away
        return present and (not self._groups or any({one, other} <= group for group in self._groups))

    def reachable(self, node: NodeId) -> list[NodeId]:
        """Return the others that a node can call, in the order of their making."""
        return [other for other in self._nodes if other != node and self.linked(node, other)]

    def public_key(self, node: NodeId) -> PublicKey | None:
        """Return the key of a node that was ever here."""
        return self._nodes[node].public if node in self._nodes else None

    async def carry(self, caller: NodeId, callee: NodeId, method: str, body: bytes, timeout: Span) -> bytes:
        """Bring one request to its handler and the answer back; see ``core.ports.Caller.call``."""
        if caller != callee and not self.linked(caller, callee):
            raise Unreachable(f"{short_node(callee)} is not connected")
        loss = self.lose(caller, callee, method) if self.lose is not None else None
        if loss == "request":
            raise Unreachable(f"{short_node(callee)} did not get {method}")
        with trio.move_on_after(timeout / SECOND) as scope:
            self._calls[scope] = (caller, callee)
            try:
                # A call passes through the scheduler at least twice, as it would over a socket.
                await trio.lowlevel.checkpoint()
                answer = await self._nodes[callee].methods.answer(caller, method, body)
                await trio.lowlevel.checkpoint()
            finally:
                del self._calls[scope]
            if loss is None:
                return unwrap(callee, method, answer)
        raise Unreachable(f"{short_node(callee)} did not answer {method} in time")

    def open_stream(self, opener: NodeId, acceptor: NodeId, method: str, body: bytes) -> Stream:
        """Join two ends of a stream; the handler runs in ``MemoryNode.run`` of the acceptor."""
        if not self.linked(opener, acceptor):
            raise Unreachable(f"{short_node(acceptor)} is not connected")
        window = self.limits.stream_window

        def to_acceptor(kind: Kind, data: bytes) -> None:
            there.take(kind, data)

        here = Stream(acceptor, method, body, window=window, post=to_acceptor)
        there = Stream(opener, method, body, window=window, post=here.take)
        handler = self._nodes[acceptor].methods.stream_handler(method)
        if handler is None:
            here.break_off(Failed(Failure.UNKNOWN_METHOD, f"{method!r} is not served here"))
        else:
            self._streams.append((opener, acceptor, here, there))
            self._nodes[acceptor].accept(there, handler)
        return here

    def _links(self) -> set[tuple[NodeId, NodeId]]:
        return {(node, other) for node in self._nodes for other in self.reachable(node)}

    def _cut(self) -> None:
        for scope, (caller, callee) in list(self._calls.items()):
            if caller != callee and not self.linked(caller, callee):
                scope.cancel()
        for opener, acceptor, here, there in self._streams:
            if not self.linked(opener, acceptor):
                here.break_off()
                there.break_off()
        self._streams = [entry for entry in self._streams if not entry[2].is_over]

    def _announce(self, before: set[tuple[NodeId, NodeId]]) -> None:
        for node in self._nodes.values():
            for other in self.reachable(node.node_id):
                if (node.node_id, other) not in before:
                    node.met(other)


class MemoryNode:
    """One node's end: a Caller and Registrar, and who it is connected to."""

    def __init__(self, hub: MemoryNetwork, key: SigningKey) -> None:
        self.public = key.public
        self.methods = Methods(hub.limits.frame_bytes_max)
        self._hub = hub
        self._node_id = key.node_id
        self._callbacks = list[Callable[[NodeId], None]]()
        self._opened_in, self._opened_out = trio.open_memory_channel[tuple[Stream, StreamHandler]](float("inf"))

    @property
    def node_id(self) -> NodeId:
        """The id of this node."""
        return self._node_id

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method; see ``core.ports.Registrar``."""
        self.methods.add(method, handler, body_max=body_max)

    async def call(
        self,
        peer: NodeId,
        method: str,
        body: Body,
        *,
        timeout: Span,
        priority: Priority = "control",  # noqa: ARG002 - nothing queues in memory
    ) -> bytes:
        """Return the peer's answer; see ``core.ports.Caller``."""
        return await self._hub.carry(self._node_id, peer, method, whole(body), timeout)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the streams that others open here. Calls are served without it."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            async for stream, handler in self._opened_out:
                nursery.start_soon(serve_stream, stream, handler)

    def accept(self, stream: Stream, handler: StreamHandler) -> None:
        """Take a stream that another node opened; called by the hub."""
        self._opened_in.send_nowait((stream, handler))

    def add_stream(self, method: str, handler: StreamHandler) -> None:
        """Serve the streams that peers open under this name, while ``run`` runs."""
        self.methods.add_stream(method, handler)

    async def open_stream(self, peer: NodeId, method: str, body: bytes) -> Stream:
        """Open a stream to another node. Raises Unreachable; a refusal shows at the first use."""
        await trio.lowlevel.checkpoint()
        return self._hub.open_stream(self._node_id, peer, method, body)

    def connected(self) -> list[NodeId]:
        """Return the peers that can be called now, without this node itself."""
        return self._hub.reachable(self._node_id)

    def on_connect(self, callback: Callable[[NodeId], None]) -> None:
        """Be told of every peer that is connected already and of each that connects later."""
        self._callbacks.append(callback)
        for peer in self.connected():
            callback(peer)

    def public_key_of(self, node: NodeId) -> PublicKey | None:
        """Return the key behind an id of a peer that was ever connected, or of this node."""
        return self._hub.public_key(node)

    def met(self, peer: NodeId) -> None:
        """Pass on that a peer connected; called by the hub."""
        for callback in list(self._callbacks):
            callback(peer)
