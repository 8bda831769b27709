"""The limits on bandwidth: bulk waits for its turn, control never does.

Storage speaks through a ``Throttle`` in front of the network. Its large requests wait before they are sent, so that
no answer is given up for a wait of our own making; ranges that peers read or write here wait before they are answered,
which slows those peers down, and where the wait would outlast their patience they are told BUSY instead. What is small
(asks, receipts, proofs, heads) counts, but goes at once: proofs that are late look like losses.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Body, Handler, Priority, Registrar, size_of
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address
from nanobarter.storage.reading import HostPort
from nanobarter.storage.recovery import KnownNode, Reach
from nanobarter.storage.vault_messages import Refusal

_SMALL_BYTES: Final = 8 * 1024
_BURST_SECONDS: Final = 1.0  # what was not used in the last second may be used now
_LARGE: Final = frozenset({"storage.read", "storage.write", "storage.place"})
_BUSY: Final = encode(Refusal(Reason.BUSY, "this node keeps to its limit of bandwidth; try later"))


class Bucket:
    """A token bucket in which the debt is a time: when all that was let through has had its share of the line.

    ``rate`` tells the bytes per second that hold now; None is no limit.
    """

    def __init__(self, rate: Callable[[], int | None]) -> None:
        self._rate = rate
        self._clear_at = -math.inf

    @property
    def wait(self) -> float:
        """The seconds until what was let through so far is paid for."""
        return max(self._clear_at - trio.current_time(), 0.0) if self._rate() else 0.0

    def take(self, size: int) -> float:
        """Let so many bytes through (below zero: give them back), and return how many seconds they should wait."""
        rate, now = self._rate(), trio.current_time()
        self._clear_at = max(self._clear_at, now - _BURST_SECONDS) + (size / rate if rate else 0.0)
        return self.wait


@dataclass(frozen=True)
class Rates:
    """Bytes per second that bulk may take now, in each direction. None: no limit."""

    upload: Callable[[], int | None]
    download: Callable[[], int | None]


class Net(Reach, Registrar, Protocol):
    """The network that is throttled."""


class Throttle:
    """A network whose bulk keeps to the rates; everything else of it is as it was."""

    def __init__(self, network: Net, rates: Rates, limits: Limits = LIMITS) -> None:
        self._network = network
        self._limits = limits
        self._up, self._down = Bucket(rates.upload), Bucket(rates.download)

    @property
    def node_id(self) -> NodeId:
        """The id of this node."""
        return self._network.node_id

    def connected(self) -> Sequence[NodeId]:
        """Return the peers that can be called now."""
        return self._network.connected()

    def known(self) -> Sequence[KnownNode]:
        """Return all nodes known of."""
        return self._network.known()

    def address_of(self, node: NodeId) -> HostPort | None:
        """Return where a node was last reached."""
        return self._network.address_of(node)

    def host_of(self, node: NodeId) -> str | None:
        """Return at which host a node is, as far as was seen or said."""
        return self._network.host_of(node)

    def learn(self, node: NodeId | None, address: Address) -> None:
        """Take an address to be dialled."""
        self._network.learn(node, address)

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        """Return a peer's answer, as ``Caller.call``; a large request waits before, and its wait is no part of it."""
        if priority != "bulk":
            return await self._network.call(peer, method, body, timeout=timeout, priority=priority)
        expected = self._limits.share_range_bytes if method == "storage.read" else 0
        wait = max(self._up.take(size_of(body)), self._down.take(expected))
        came = 0
        try:
            if expected or size_of(body) > _SMALL_BYTES:
                await trio.sleep(wait)
            answer = await self._network.call(peer, method, body, timeout=timeout, priority=priority)
            came = len(answer)
            return answer
        finally:
            self._down.take(came - expected)

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method; ranges of shares keep to the rates."""
        answered = self._limits.share_range_bytes if method == "storage.read" else 0
        served = self._limited(handler, answered) if method in _LARGE else handler
        self._network.add(method, served, body_max=body_max)

    def _limited(self, handler: Handler, answered: int) -> Handler:
        longest = self._limits.throttle_wait_max / SECOND

        async def serve(peer: NodeId, body: bytes) -> bytes:
            wait = max(self._down.take(len(body)), self._up.take(answered))
            went = 0
            try:
                if wait > longest:
                    return _BUSY
                await trio.sleep(wait)
                answer = await handler(peer, body)
                went = len(answer)
                return answer
            finally:
                self._up.take(went - answered)

        return serve
