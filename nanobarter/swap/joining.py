"""Into a ring: one draft per bid at a time, a bounded number of them, and our position recorded before it is said."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller
from nanobarter.core.units import Quantity
from nanobarter.swap.amends import Debtor
from nanobarter.swap.approval import Approver, Looked
from nanobarter.swap.carrier import tell
from nanobarter.swap.events import DraftRefused, DraftSeen, SwapEvent
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import DETAIL_MAX, Draft, Refuse
from nanobarter.swap.objections import Short
from nanobarter.swap.rings import Rings
from nanobarter.swap.states import Aborted, Approved, Gathering, LockFailed


@dataclass(frozen=True)
class _Look:
    """A look at a draft that is under way."""

    proposer: NodeId
    scope: trio.CancelScope


class Joiner:
    """Takes positions in drafts, our own and others'. ``told`` hears what came of it."""

    def __init__(
        self,
        *,
        key: SigningKey,
        caller: Caller,
        rings: Rings,
        approver: Approver,
        debtor: Debtor,
        limits: Limits,
        told: Callable[[SwapEvent], None],
    ) -> None:
        self._key, self._caller, self._rings, self._approver = key, caller, rings, approver
        self._debtor, self._limits, self._told = debtor, limits, told
        self._looks: dict[DraftId, _Look] = {}
        self._joining: dict[DraftId, BidId] = {}

    def considers(self, draft_id: DraftId) -> bool:
        """Tell whether we are about to answer a draft."""
        return draft_id in self._looks or draft_id in self._joining

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft holds this bid of ours.

        One that we only look at does not, since how long that takes is for others to say; whoever is first to be
        looked at to the end gets the bid. Nor does one that we have left, though its lock may take until its deadline
        to come back: it pays nobody.
        """
        under_way = (state for state in self._rings.holders(bid) if not isinstance(state, Aborted))
        return bid in self._joining.values() or any(True for _ in under_way)

    def stop_looking(self, draft_id: DraftId, signer: NodeId) -> None:
        """Look no longer at a draft that its proposer has cancelled."""
        look = self._looks.get(draft_id)
        if look is not None and look.proposer == signer:
            look.scope.cancel()

    async def join(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> Refused | None:
        """Take a position in a draft, or say why not."""
        bid = draft.arcs[index].bid
        if (refused := self._no_room(draft, index)) is not None:
            return refused
        self._told(DraftSeen(draft_id, bid, draft.arcs[0].giver))
        looked = await self._look(draft_id, signed, draft, index)
        if isinstance(looked, Refused):
            return looked
        if (refused := self._no_room(draft, index)) is not None:
            return refused
        self._joining[draft_id] = bid
        try:
            mine = await self._approver.position(signed, index, looked)
            if isinstance(mine, Refused):
                return mine
            blank = (None,) * (len(draft.arcs) - 1)
            proposes = index == 0
            state = Gathering(signed, mine, (mine.approval, *blank)) if proposes else Approved(signed, mine)
            await self._rings.adopt(draft_id, state, looked.pays_under)
        finally:
            self._joining.pop(draft_id, None)
        # Refused while the position was recorded, hence not found among the rings: it ends as one that was found.
        if (refused := self._approver.taken_back(looked)) is not None:
            await self._rings.apply(draft_id, LockFailed(refused.reason, refused.detail))
        return None

    def _no_room(self, draft: Draft, index: int) -> Refused | None:
        """Return why one more ring through a bid of ours cannot be."""
        if self.busy(draft.arcs[index].bid):
            return Refused(Reason.BUSY, "another draft holds the bid")
        if draft.arcs[index].quality.issuer == self._key.node_id and self._debtor.owes:
            return Refused(Reason.BUSY, "an earlier agreement is made good first")
        rings = self._rings.live().values()
        left = sum(isinstance(state, Aborted) for state in rings)
        if len(rings) - left + len(self._joining) >= self._limits.swap_drafts_max:
            return Refused(Reason.TOO_MANY, "too many drafts are under way")
        if index and left >= self._limits.swap_left_max:
            return Refused(Reason.TOO_MANY, "too many locks of rings that broke have not come back")
        return None

    async def _look(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> Looked | Refused:
        """Look at a draft, unless it is one of too many; strangers may have it that a look takes long."""
        proposer = signed.signer
        others = [look for look in self._looks.values() if look.proposer != self._key.node_id]
        if index and sum(look.proposer == proposer for look in others) >= self._limits.swap_looks_proposer_max:
            return Refused(Reason.TOO_MANY, "too many drafts of its proposer are being looked at")
        lasting = [look for look in others if not look.scope.cancel_called]
        if index and len(lasting) >= self._limits.swap_looks_max:
            lasting[0].scope.cancel()
        with trio.CancelScope() as scope:
            self._looks[draft_id] = _Look(proposer, scope)
            try:
                return await self._approver.look(signed, draft, index)
            finally:
                del self._looks[draft_id]
        return Refused(Reason.BUSY, "its look made way for others, or was cancelled")

    async def consider(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> None:
        """Join another's draft, or refuse it."""
        refused = await self.join(draft_id, signed, draft, index)
        if refused is None:
            return
        self._told(DraftRefused(draft_id, draft.arcs[index].bid, self._key.node_id, refused.reason, refused.detail))
        free = refused.free if isinstance(refused, Short) else Quantity(0)
        answer = Refuse(draft_id, index, refused.reason, free, refused.detail[:DETAIL_MAX])
        signed_answer = seal_message(self._key, answer)
        try:  # once: it is asked again while the proposer has no answer
            proposer, timeout = draft.arcs[0].giver, self._limits.swap_call_timeout
            await tell(self._caller, proposer, "swap.refuse", signed_answer, timeout)
        except (Unreachable, PeerFault):
            return
