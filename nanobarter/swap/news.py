"""Which step of a draft is news to the rest of the node."""

from nanobarter.core.ids import BidId, DraftId, NodeId, node_id_of
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant
from nanobarter.swap import tables
from nanobarter.swap.ended import ended_agreements
from nanobarter.swap.events import Aborted, Amount, DraftRefused, RingOver, Settled
from nanobarter.swap.messages import Approve, open_approve
from nanobarter.swap.positions import agreement_in, draft_of, mine_in
from nanobarter.swap.states import Ended, State
from nanobarter.swap.terms import Agreement


def amount_of(approve: Approve) -> Amount:
    """Return what a party gives."""
    return Quality(node_id_of(approve.issuer), approve.kind), approve.quantity


def news_of(before: State, after: State, now: Instant) -> Settled | DraftRefused | Aborted | None:
    """Return the event of a draft that has just ended, or None."""
    if isinstance(before, Ended) or not isinstance(after, Ended):
        return None
    agreement, mine, notice = agreement_in(before), mine_in(after), after.notice
    draft_id = draft_of(after)
    if agreement is None:
        by: NodeId | None = after.by
        return DraftRefused(draft_id, mine.bid, by, notice.reason, notice.detail)
    if after.outcome == "settled":
        return _settled(agreement, mine.index, draft_id, mine.bid)
    gave = amount_of(agreement.approvals[mine.index])
    over = RingOver(agreement.agreement_id, after.outcome, gave, now)
    return Aborted(draft_id, mine.bid, after.outcome, notice.reason, notice.detail, over)


def endings(db: tables.Db) -> list[RingOver]:
    """Return how the agreements of the last weeks ended, for a ledger that may have missed the news."""
    return [
        RingOver(agreement, state.outcome, amount_of(open_approve(state.mine.approval)), at)
        for agreement, state, at in ended_agreements(db)
    ]


def _settled(agreement: Agreement, index: int, draft_id: DraftId, bid: BidId) -> Settled:
    gave, got = agreement.approvals[index], agreement.approvals[agreement.incoming(index)]
    return Settled(draft_id, bid, agreement.agreement_id, amount_of(gave), amount_of(got), agreement.nodes)
