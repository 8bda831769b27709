"""Into a ring: one draft per bid at a time, a bounded number of them, and our position recorded before it is said."""

from collections.abc import Callable

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import BidId, DraftId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller
from nanobarter.core.units import Quantity
from nanobarter.swap.amends import Debtor
from nanobarter.swap.approval import Approver
from nanobarter.swap.carrier import tell
from nanobarter.swap.events import DraftRefused, DraftSeen, SwapEvent
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import DETAIL_MAX, Draft, Refuse
from nanobarter.swap.objections import Short
from nanobarter.swap.rings import Rings
from nanobarter.swap.states import Aborted, Approved, Gathering


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
        self._considering: dict[DraftId, BidId] = {}

    def considers(self, draft_id: DraftId) -> bool:
        """Tell whether we are about to answer a draft."""
        return draft_id in self._considering

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft holds this bid of ours.

        One that we have left does not, though its lock may take until its deadline to come back: it pays nobody.
        """
        under_way = (state for state in self._rings.holders(bid) if not isinstance(state, Aborted))
        return bid in self._considering.values() or any(True for _ in under_way)

    async def join(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> Refused | None:
        """Take a position in a draft, or say why not."""
        bid = draft.arcs[index].bid
        if self.busy(bid):
            return Refused(Reason.BUSY, "another draft holds the bid")
        if draft.arcs[index].quality.issuer == self._key.node_id and self._debtor.owes:
            return Refused(Reason.BUSY, "an earlier agreement is made good first")
        if len(self._rings.live()) + len(self._considering) >= self._limits.swap_drafts_max:
            return Refused(Reason.TOO_MANY, "too many drafts are under way")
        self._considering[draft_id] = bid
        try:
            self._told(DraftSeen(draft_id, bid, draft.arcs[0].giver))
            mine = await self._approver.position(signed, draft, index)
            if isinstance(mine, Refused):
                return mine
            blank = (None,) * (len(draft.arcs) - 1)
            proposes = index == 0
            state = Gathering(signed, mine, (mine.approval, *blank)) if proposes else Approved(signed, mine)
            await self._rings.adopt(draft_id, state)
        finally:
            self._considering.pop(draft_id, None)
        return None

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
