"""What peers can tell a node about itself: whether it can be dialled, from where it is seen, and what time it is.

A node behind a router cannot know whether strangers reach it; a peer tries and says. It dials only the host at which
it sees the asker, so nobody can be made to knock at a third party's door; and seldom, since each try costs it a socket.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from ssl import SSLContext
from typing import Annotated, Final

import trio
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.units import SECOND, Instant, Span
from nanobarter.net.address import HOST_MAX
from nanobarter.net.handshake import proves_key
from nanobarter.net.links import Links
from nanobarter.net.methods import Methods

CHECK_METHOD: Final = "net.check"
_BODY_MAX: Final = 16
_ANSWER_MAX: Final = 512
_ASKED_MAX: Final = 5  # peers that are asked at once
_TRIED_MAX: Final = 1024  # remembered, so that nobody is knocked at too often


@unique
class Reached(IntEnum):
    """What came of dialling back. The numbers travel on the wire."""

    NOT_TRIED = 0
    YES = 1
    NO = 2


class CheckRequest(Record, frozen=True):
    """Asks to be dialled back at this port of the host that the asker is seen at; 0: not to be dialled."""

    port: Annotated[int, Meta(ge=0, le=65535)]


class CheckAnswer(Record, frozen=True):
    """The answerer's clock, the host that it sees the asker at, and what came of dialling back."""

    time: Annotated[int, Meta(ge=0, le=2**62)]
    observed: Annotated[str, Meta(max_length=HOST_MAX)]
    reached: Annotated[int, Meta(ge=0, le=255)]


@dataclass(frozen=True)
class PeerSaid:
    """What one peer said; ``ahead`` is by how many ms its clock is ahead of ours, half a round trip uncertain."""

    node: NodeId
    ahead: int
    observed: str
    reached: Reached


class Checkup:
    """Asks peers, and answers them."""

    def __init__(self, caller: Caller, links: Links, client: SSLContext, clock: Clock, limits: Limits) -> None:
        self._caller, self._links, self._client, self._clock, self._limits = caller, links, client, clock, limits
        self._tried: dict[NodeId, float] = {}
        self._under_way = 0

    def serve(self, methods: Methods) -> None:
        """Answer ``net.check``."""
        methods.add(CHECK_METHOD, self._answer, body_max=_BODY_MAX)

    async def ask(self, port: int) -> list[PeerSaid]:
        """Ask some connected peers; those that do not answer are left out."""
        said = list[PeerSaid]()
        async with trio.open_nursery() as nursery:
            for peer in self._links.peers()[:_ASKED_MAX]:
                nursery.start_soon(self._ask, peer, port, said)
        return said

    async def _ask(self, peer: NodeId, port: int, said: list[PeerSaid]) -> None:
        began, sent = trio.current_time(), self._clock.now()
        timeout = Span(self._limits.handshake_timeout + 5 * SECOND)
        try:
            body = await self._caller.call(peer, CHECK_METHOD, encode(CheckRequest(0)), timeout=timeout)
            half = round((trio.current_time() - began) * SECOND / 2)
            clock = decode(body, CheckAnswer, size_max=_ANSWER_MAX)
            # Asked apart: dialling back takes seconds, and would blur the time.
            body = await self._caller.call(peer, CHECK_METHOD, encode(CheckRequest(port)), timeout=timeout)
            answer = decode(body, CheckAnswer, size_max=_ANSWER_MAX)
        except (Unreachable, PeerFault, Malformed):  # of an older version, gone, or no help
            return
        known = answer.reached in set(Reached)
        reached = Reached(answer.reached) if known else Reached.NOT_TRIED
        said.append(PeerSaid(peer, clock.time - sent - half, answer.observed, reached))

    async def _answer(self, peer: NodeId, body: bytes) -> bytes:
        request, now = decode(body, CheckRequest, size_max=_BODY_MAX), self._clock.now()
        host = self._links.host_of(peer)
        reached = await self._dial_back(peer, host, request.port) if request.port else Reached.NOT_TRIED
        return encode(CheckAnswer(Instant(max(now, 0)), host, reached))

    async def _dial_back(self, peer: NodeId, host: str, port: int) -> Reached:
        now = trio.current_time()
        rested = now - self._tried.get(peer, float("-inf")) >= self._limits.check_rest / SECOND
        if not rested or self._under_way >= self._limits.checks_at_once_max or not host:
            return Reached.NOT_TRIED
        self._tried[peer] = now
        while len(self._tried) > _TRIED_MAX:
            del self._tried[next(iter(self._tried))]
        self._under_way += 1
        try:
            with trio.move_on_after(self._limits.check_patience / SECOND):
                async with await trio.open_tcp_stream(host, port) as socket:
                    return Reached.YES if await proves_key(socket, self._client, peer) else Reached.NO
        except (OSError, ValueError, trio.BrokenResourceError):
            pass
        finally:
            self._under_way -= 1
        return Reached.NO


def median_ahead(said: list[PeerSaid]) -> int | None:
    """Return by how many ms the peers' clocks are ahead, by their median; None when nobody said."""
    sorted_ahead = sorted(peer.ahead for peer in said)
    return sorted_ahead[len(sorted_ahead) // 2] if sorted_ahead else None
