"""Our own drafts: made, waited for, and made smaller where a party would take less than it was asked for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio
from msgspec.structs import replace

from nanobarter.core.errors import Reason
from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import SECOND, Quantity, Span
from nanobarter.matching.network import reduced
from nanobarter.swap.events import Aborted, DraftRefused, Outcome, Pending, Settled
from nanobarter.swap.joining import Joiner
from nanobarter.swap.making import make_draft
from nanobarter.swap.messages import Draft, DraftArc, draft_id_of, open_draft, open_refuse
from nanobarter.swap.objections import Short
from nanobarter.swap.states import Given, RefusalReceived
from nanobarter.swap.terms import SwapTimes

MARGIN: Final = Span(10 * SECOND)  # how long after T_vote we still wait for issuers that are slow, not down
Known = Settled | DraftRefused | Aborted


def smaller(draft: Draft, by: NodeId | None, free: Quantity) -> tuple[DraftArc, ...] | None:
    """Return the arcs of the same ring in which ``by`` gives at most ``free``; None when there are none.

    A smaller arc changes what the others can give at their prices, so all quantities are computed anew.
    """
    caps = [min(arc.quantity, free) if arc.giver == by else arc.quantity for arc in draft.arcs]
    if free < 1 or caps == [arc.quantity for arc in draft.arcs]:
        return None
    quantities = reduced(draft.bids, caps)
    if quantities is None:
        return None
    arcs = tuple(replace(arc, quantity=q) for arc, q in zip(draft.arcs, quantities, strict=True))
    return None if any(arc.quantity > cap for arc, cap in zip(arcs, caps, strict=True)) else arcs


class Drafter:
    """Drafts rings through own bids, one after the other for one bid; ``heard`` is told of every end of a draft."""

    def __init__(
        self,
        *,
        key: SigningKey,
        joiner: Joiner,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        times: SwapTimes,
        unreserve: Callable[[DraftId], Awaitable[None]],
    ) -> None:
        self._key, self._joiner, self._clock, self._entropy = key, joiner, clock, entropy
        self._limits, self._times, self._unreserve = limits, times, unreserve
        self._ends: dict[DraftId, trio.Event] = {}
        self._last: dict[DraftId, Known] = {}
        self._free: dict[DraftId, Quantity] = {}

    def draft_of(self, arcs: Sequence[DraftArc], bids: Sequence[Item]) -> Draft:
        """Return a draft of these arcs that begins now."""
        return Draft(tuple(arcs), tuple(bids), self._times.pace, self._entropy.token(32), self._clock.now())

    async def propose(self, arcs: Sequence[DraftArc], bids: Sequence[Item]) -> Outcome:
        """Draft a ring and return what became of it; where a party has less to give, a smaller one, a few times."""
        asked, pause = tuple(arcs), self._limits.swap_retry_first
        number = 0
        while True:
            unsigned = self.draft_of(asked, bids)
            outcome, free, draft_id = await self._propose(unsigned)
            number += 1
            if not isinstance(outcome, DraftRefused) or number >= self._limits.swap_smaller_max:
                return outcome
            less = smaller(unsigned, outcome.by, free)
            if less is not None:
                await self._unreserve(draft_id)  # else we would find that we have less by what it held
                asked = less
            elif asked != tuple(arcs) and outcome.reason is Reason.BUSY:
                await trio.sleep(pause / SECOND)  # another party has not heard yet that the last draft is over
                pause = Span(2 * pause)
            else:
                return outcome

    async def _propose(self, unsigned: Draft) -> tuple[Outcome, Quantity, DraftId]:
        """Return what became of one draft, if a party refused it, what that would give instead, and its id."""
        signed = make_draft(self._key, unsigned)
        draft, draft_id, bid, me = open_draft(signed), draft_id_of(signed), unsigned.arcs[0].bid, self._key.node_id
        end = self._ends[draft_id] = trio.Event()
        try:
            refused = await self._joiner.join(draft_id, signed, draft, 0)
            if refused is not None:
                free = refused.free if isinstance(refused, Short) else Quantity(0)
                return DraftRefused(draft_id, bid, me, refused.reason, refused.detail), free, draft_id
            with trio.move_on_after((self._times.approve + self._times.vote + MARGIN) / SECOND):
                await end.wait()
            outcome = self._last.get(draft_id) or Pending(draft_id, bid)
            return outcome, self._free.get(draft_id, Quantity(0)), draft_id
        finally:
            self._ends.pop(draft_id, None)
            self._last.pop(draft_id, None)
            self._free.pop(draft_id, None)

    def heard(self, draft_id: DraftId, event: Known, given: Given | None) -> None:
        """Take the end of a draft, and the fact that led to it."""
        if draft_id not in self._ends:
            return
        if isinstance(given, RefusalReceived):
            self._free[draft_id] = open_refuse(given.signed).free
        self._last.setdefault(draft_id, event)
        self._ends[draft_id].set()
