"""The pinger: asks the peers that matter, some four times an hour, whether they are there.

A nonce goes out and must come back, over the connection that is pinned to the peer's key. What counts is decided in
``translator.reliability``; a round in which nobody answers is our own line's fault.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import trio

from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.units import DAY, SECOND, Span, span_between
from nanobarter.translator.lastlook import PING
from nanobarter.translator.reliability import next_ping
from nanobarter.translator.watch import Outcome, Watch

NONCE_BYTES: Final = 16
FOLLOWED_PARTS: Final = (3, 4)  # of the places that are left beside those who hold or owe something
FOLLOWED_FOR: Final = Span(7 * DAY)  # then others are looked at: three days tell who is hardly ever on
ROUNDS_MAX: Final = 8  # at once: a round does not wait for a peer that the last one still waits for


def choose(
    held: Iterable[NodeId], followed: Sequence[NodeId], offering: Iterable[NodeId], me: NodeId, most: int, turn: int = 0
) -> list[NodeId]:
    """Return whom to ping: who keeps something for us or owes us something, then who offers.

    Of these first those that are ``followed`` already, in their order, as far as they leave a quarter to others: where
    more offer than can be pinged, it is better to know some of them than to have asked each of them once. The quarter
    goes to others in each ``turn``, by a lot that nobody can foresee who does not know us; a turn should last for long
    enough to judge them.
    """
    mine = [node for node in dict.fromkeys(held) if node != me][:most]
    places = (most - len(mine)) * FOLLOWED_PARTS[0] // FOLLOWED_PARTS[1]
    others = set(offering) - {me, *mine}
    kept = [node for node in followed if node in others][:places]
    lots = sorted(others - set(kept), key=lambda node: sha256(b"%d/" % turn + me + node))
    return [*mine, *kept, *lots][:most]


class Pinger:
    """Pings ``peers()`` every quarter of an hour, give or take, and notes what came of it."""

    def __init__(
        self,
        *,
        watch: Watch,
        caller: Caller,
        peers: Callable[[], Sequence[NodeId]],
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._watch, self._caller, self._peers = watch, caller, peers
        self._clock, self._entropy, self._limits = clock, entropy, limits
        self._rounds = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ping until cancelled."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                now = self._clock.now()
                wait = span_between(now, next_ping(now, int.from_bytes(self._entropy.token(4), "big")))
                await trio.sleep(wait / SECOND)
                if self._rounds < ROUNDS_MAX:
                    self._rounds += 1
                    nursery.start_soon(self._round)

    async def _round(self) -> None:
        try:
            await self.round_now()
        finally:
            self._rounds -= 1

    async def round_now(self) -> list[Outcome]:
        """Ping everybody once, note and return what came of it."""
        outcomes, gate = list[Outcome](), trio.CapacityLimiter(self._limits.ping_parallel)

        async def one(node: NodeId) -> None:
            async with gate:
                outcomes.append(Outcome(node, await self._answers(node)))

        async with trio.open_nursery() as nursery:
            for node in self._peers():
                nursery.start_soon(one, node)
        await self._watch.pings(outcomes)
        return outcomes

    async def _answers(self, node: NodeId) -> bool:
        nonce = self._entropy.token(NONCE_BYTES)
        try:
            return await self._caller.call(node, PING, nonce, timeout=self._limits.ping_timeout) == nonce
        except (Unreachable, PeerFault):
            return False
