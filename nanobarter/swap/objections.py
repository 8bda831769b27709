"""Why a party does not take part: the checks of drafts, approvals and agreements, as pure questions.

Each returns None when there is nothing to object to. A rate is compared as an exact ratio of integers.
"""

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import NodeId, node_id_of
from nanobarter.core.item import ITEM_BODY_MAX, check_item
from nanobarter.core.keys import Signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, Quantity, Span, after
from nanobarter.matching.wire import BidBody, Ratio, bid_id_of
from nanobarter.swap.messages import Draft, draft_id_of, open_approve, open_draft
from nanobarter.swap.states import AgreementReceived, ApprovalReceived, Mine, Receipts
from nanobarter.swap.terms import SwapTimes, agreement_of


class Short(Refused, frozen=True):
    """A no to so much, by who would give ``free`` (0: nothing) instead."""

    free: Quantity = Quantity(0)


def draft_objection(draft: Draft, index: int, times: SwapTimes, now: Instant) -> Refused | None:
    """Return why P_index does not join: time, pace, and every bid that the draft rests on."""
    if not times.accepts(draft.pace):
        return Refused(Reason.WRONG_TERMS, "the draft runs at another pace than ours")
    if not times.near(draft.time, now):
        return Refused(Reason.CLOCK_OFF, f"the draft's clock is {draft.time - now} ms from ours")
    if now >= after(draft.time, Span(draft.pace.approve + draft.pace.lock)):
        # Not sooner: the proposer waits only ``approve``, but by its own clock, which may be behind ours by more.
        return Refused(Reason.EXPIRED, "an approval of the draft would be void")
    if index >= len(draft.arcs):
        return Refused(Reason.MALFORMED, "there is no such position")
    for j in range(len(draft.arcs)):
        if (refused := bid_objection(draft, j, now)) is not None:
            return refused
    return None


def crumb_objection(draft: Draft, lock_min: int) -> Refused | None:
    """Return why an arc is too small for its issuer, which locks no crumbs of its notes; its own it may give."""
    crumbs = (arc for arc in draft.arcs if arc.quantity < lock_min and arc.giver != arc.quality.issuer)
    return Refused(Reason.WRONG_TERMS, f"issuers lock {lock_min} MiB of notes or more") if any(crumbs) else None


def bid_objection(draft: Draft, j: int, now: Instant) -> Refused | None:
    """Return why the bid behind arc j does not carry it: identity, life, stock, pattern, limit."""
    arc, item, received = draft.arcs[j], draft.bids[j], draft.arcs[(j - 1) % len(draft.arcs)]
    if item.topic != "bid" or bid_id_of(item) != arc.bid or item.node != arc.giver:
        return Refused(Reason.UNKNOWN_BID, f"arc {j} names another bid than it shows")
    if item.expires <= now:
        return Refused(Reason.EXPIRED, f"the bid of arc {j} has expired")
    if not item.body:
        return Refused(Reason.UNKNOWN_BID, f"the bid of arc {j} is withdrawn")
    try:
        check_item(item)
        bid = decode(item.body, BidBody, size_max=ITEM_BODY_MAX)
    except Malformed as error:
        return Refused(Reason.BAD_SIGNATURE, f"the bid of arc {j}: {error}")
    if bid.gives != arc.quality:
        return Refused(Reason.WRONG_TERMS, f"the bid of arc {j} gives something else")
    if arc.quantity > bid.quantity:
        return Refused(Reason.NO_STOCK, f"arc {j} gives more than its bid offers")
    return _price_objection(bid, j, arc.quantity, received.quality, received.quantity)


def _price_objection(bid: BidBody, j: int, gives: int, wanted: Quality, gets: int) -> Refused | None:
    want = bid.wants
    if wanted.kind != want.kind or want.issuer not in (None, wanted.issuer) or wanted.issuer in want.refused:
        return Refused(Reason.WRONG_TERMS, f"the bid of arc {j} does not want what it would get")
    bound = bid.omega if bid.type == "limit" else bid.floor
    if bound is not None and not _within(bound, _discount(bid, wanted.issuer), gives, gets):
        return Refused(Reason.WRONG_TERMS, f"arc {j} gives {gives} for {gets}, beyond its bid's limit")
    return None


def _discount(bid: BidBody, issuer: NodeId) -> Ratio:
    return next((ratio for node, ratio in bid.wants.discounts if node == issuer), (1, 1))


def _within(bound: Ratio, discount: Ratio, gives: int, gets: int) -> bool:
    """Tell whether provided / received <= omega * discount, exactly."""
    return gives * bound[1] * discount[1] <= gets * bound[0] * discount[0]


def approval_objection(draft: Signed, have: Receipts, given: ApprovalReceived) -> str | None:
    """Return why an APPROVE does not fit the draft, or None."""
    arcs, approve = open_draft(draft).arcs, open_approve(given.signed)
    if approve.draft != draft_id_of(draft) or approve.index >= len(arcs):
        return "approves another draft or position"
    arc = arcs[approve.index]
    if given.signed.signer != arc.giver:
        return "approves for another node"
    if approve.quantity != arc.quantity or Quality(node_id_of(approve.issuer), approve.kind) != arc.quality:
        return "approves another arc than the draft has"
    others = [open_approve(a) for j, a in enumerate(have) if a is not None and j != approve.index]
    if not given.fresh or any(a.hash == approve.hash for a in others):
        return "commits to a hash that was seen before"
    return None


def agreed_objection(draft: Signed, mine: Mine, given: AgreementReceived, times: SwapTimes, now: Instant) -> str | None:
    """Return why an AGREED is not the end of the draft that we approved, or None."""
    wanted, agreement = open_draft(draft), agreement_of(given.signed)
    if agreement.draft_id != draft_id_of(draft) or agreement.nodes != tuple(a.giver for a in wanted.arcs):
        return "AGREED is for another draft or other parties"
    if agreement.signed_approvals[mine.index] != mine.approval:
        return "AGREED carries another approval of ours than we gave"
    for arc, approve, issuer in zip(wanted.arcs, agreement.approvals, agreement.issuers, strict=True):
        if approve.quantity != arc.quantity or Quality(issuer, approve.kind) != arc.quality:
            return "AGREED has another arc than the draft"
    if agreement.pace != wanted.pace or not times.accepts(agreement.pace):
        return "AGREED runs at another pace than the draft"
    if not times.near(agreement.start, now) or agreement.lock_by > open_approve(mine.approval).expires:
        return "AGREED starts at another time than now"
    if not given.fresh:
        return "AGREED carries a hash that was seen before"
    return None
