"""Into a ring: one draft per bid at a time, a bounded number of them, and our position recorded before it is said."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args

import trio

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable, is_ours
from nanobarter.core.ids import BidId, DraftId, NodeId, short_node
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.units import Quantity
from nanobarter.swap.amends import Debtor
from nanobarter.swap.approval import Approver, Looked
from nanobarter.swap.carrier import tell
from nanobarter.swap.caution import hangs, promised_in, shortage
from nanobarter.swap.events import DraftRefused, DraftSeen, SwapEvent
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import DETAIL_MAX, Draft, Refuse
from nanobarter.swap.objections import Short
from nanobarter.swap.rings import Rings
from nanobarter.swap.standing import Rank
from nanobarter.swap.states import Approved, Gathering, LockFailed

_log = logging.getLogger(__name__)
_RANKS: Final = get_args(Rank)  # who is known least first


@dataclass(frozen=True)
class _Look:
    """A look at a draft that is under way."""

    proposer: NodeId
    rank: Rank
    scope: trio.CancelScope


class Joiner:
    """Takes positions in drafts, our own and others'. ``told`` hears what came of it.

    ``stock`` tells what the owner still gives by a bid, if that is less than what its public version says.
    """

    def __init__(  # noqa: PLR0913 - ports are passed by name
        self,
        *,
        key: SigningKey,
        caller: Caller,
        rings: Rings,
        approver: Approver,
        debtor: Debtor,
        clock: Clock,
        limits: Limits,
        stock: Callable[[BidId], Quantity | None],
        told: Callable[[SwapEvent], None],
    ) -> None:
        self._key, self._caller, self._rings, self._approver = key, caller, rings, approver
        self._debtor, self._clock, self._limits, self._told = debtor, clock, limits, told
        self._stock = stock
        self._expected = set[DraftId]()
        self._looks: dict[DraftId, _Look] = {}
        self._joining: dict[DraftId, BidId] = {}

    def considers(self, draft_id: DraftId) -> bool:
        """Tell whether we are about to answer a draft."""
        return draft_id in self._expected or draft_id in self._looks or draft_id in self._joining

    def expect(self, draft_id: DraftId) -> None:
        """Note that ``consider`` is about to run: the same draft may come again before it does."""
        self._expected.add(draft_id)

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft holds this bid of ours.

        One that we only look at does not, since how long that takes is for others to say; whoever is first to be
        looked at to the end gets the bid. Nor does one past its vote, which may hang until its deadline: what it has
        of the bid counts then, and the rest is free.
        """
        now = self._clock.now()
        under_way = (state for state in self._rings.holders(bid) if not hangs(state, now))
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
        refused = await self._take(draft_id, signed, draft, index)
        if refused is not None and not index:  # of others' drafts ``consider`` tells it
            self._told(DraftRefused(draft_id, bid, self._key.node_id, refused.reason, refused.detail))
        return refused

    async def _take(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> Refused | None:
        bid = draft.arcs[index].bid
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
        rings, now = self._rings.live().values(), self._clock.now()
        hanging = sum(hangs(state, now) for state in rings)
        if len(rings) - hanging + len(self._joining) >= self._limits.swap_drafts_max:
            return Refused(Reason.TOO_MANY, "too many drafts are under way")
        if index and hanging >= self._limits.swap_hanging_max:
            return Refused(Reason.TOO_MANY, "too many rings wait for their deadlines")
        bid = draft.arcs[index].bid
        return shortage(draft, index, self._stock(bid), map(promised_in, self._rings.holders(bid)))

    async def _look(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> Looked | Refused:
        """Look at a draft, unless it is one of too many; strangers may have it that a look takes long."""
        proposer = signed.signer
        rank = self._rings.rank(proposer)
        if index and (refused := self._make_way(proposer, rank)) is not None:
            return refused
        with trio.CancelScope() as scope:
            self._looks[draft_id] = _Look(proposer, rank, scope)
            try:
                return await self._approver.look(signed, draft, index)
            finally:
                del self._looks[draft_id]
        return Refused(Reason.BUSY, "its look made way for others, or was cancelled")

    def _make_way(self, proposer: NodeId, rank: Rank) -> Refused | None:
        """End the oldest look for who is known least, if there are too many; nobody makes way for who is known less."""
        others = [look for look in self._looks.values() if look.proposer != self._key.node_id]
        if sum(look.proposer == proposer for look in others) >= self._limits.swap_looks_proposer_max:
            return Refused(Reason.TOO_MANY, "too many drafts of its proposer are being looked at")
        lasting = [look for look in others if not look.scope.cancel_called]
        if len(lasting) < self._limits.swap_looks_max:
            return None
        least = min(lasting, key=lambda look: _RANKS.index(look.rank))  # the first of them is the oldest
        if _RANKS.index(rank) < _RANKS.index(least.rank):
            return Refused(Reason.TOO_MANY, "drafts of who is better known are being looked at")
        least.scope.cancel()
        return None

    async def consider(self, draft_id: DraftId, signed: Signed, draft: Draft, index: int) -> None:
        """Join another's draft, or refuse it.

        A bug that a stranger's draft brings out is logged and costs us that draft: nothing was said of it yet, and
        what was reserved for it lapses. With a position on the disk it ends the node, which takes it up again.
        """
        try:
            refused = await self.join(draft_id, signed, draft, index)
        except Exception as error:
            if is_ours(error) or self._rings.state(draft_id) is not None:
                raise
            _log.exception(
                "our fault: draft %s of %s is given up by a bug", draft_id.hex()[:16], short_node(signed.signer)
            )
            return
        finally:
            self._expected.discard(draft_id)
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
