"""After the vote, or without it: collect, pay, fetch back, and end. Nothing here can be refused by a party any more."""

from collections.abc import Sequence
from typing import Final, TypeVar, assert_never

import msgspec

from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.units import HOUR, Instant, Span, after
from nanobarter.swap.messages import open_approve, open_draft, open_refuse
from nanobarter.swap.orders import Blame
from nanobarter.swap.states import (
    Aborted,
    AgreementReceived,
    ApprovalReceived,
    Approved,
    CancelReceived,
    Collecting,
    Committing,
    Deal,
    Ended,
    Gathering,
    Given,
    LegSeen,
    LegTaken,
    LockedReceived,
    LockFailed,
    Locking,
    Notice,
    Opened,
    Outcome,
    RefusalReceived,
    Restarted,
    State,
    TimePassed,
    Voted,
    VoteReceived,
)
from nanobarter.swap.terms import agreement_of

T = TypeVar("T")
Moved = tuple[State, tuple[Blame, ...]]
"""The next state, and who broke a rule on the way."""

FORGOTTEN_AFTER: Final = Span(24 * HOUR)  # how long an issuer may take to remember a lock that all have seen
NOTICE_SPAN: Final = Span(60_000)  # how long the end of a draft is told; the others time out by themselves anyway


def opened(state: Opened, given: Given, now: Instant) -> Moved:
    """Move a node that knows all secrets until both its arcs are final and what is its own is taken."""
    match given:
        case LegSeen():
            return _finished(_seen_leg(state, given), now), ()
        case LegTaken():
            own = state.deal.mine.index
            changed = {"taken_back": True} if given.index == own else {"taken": True}
            return _finished(msgspec.structs.replace(state, **changed), now), ()
        case AgreementReceived():
            return state, second_agreement(state.deal, given)
        case ApprovalReceived() | RefusalReceived() | CancelReceived() | LockedReceived() | VoteReceived():
            return state, ()  # late
        case LockFailed() | TimePassed() | Restarted():
            return state, ()  # the orders push until both arcs are final
        case _:
            assert_never(given)


def _finished(state: Opened, now: Instant) -> State:
    own = state.deal.mine.index
    back = state.outgoing != "returned" or state.taken_back or agreement_of(state.deal.agreed).is_fresh(own)
    if state.incoming == "pending" or state.outgoing == "pending" or not back:
        return state
    if state.incoming == "opened" and not state.taken:
        return state
    outcome: Outcome
    match (state.incoming == "opened", state.outgoing == "opened"):
        case (True, True):
            outcome = "settled"
        case (True, False):
            outcome = "owing"
        case (False, True):
            outcome = "wronged"
        case _:
            outcome = "aborted"
    return ended(state, outcome, Reason.NOT_FOUND, now)


def aborting(state: Aborted, given: Given, now: Instant) -> Moved:
    """Move a node that gave up until both its arcs are final and its own is back."""
    match given:
        case LegSeen():
            if (opened := seen_open(state.deal, given)) is not None:
                keep = msgspec.structs.replace(opened, taken_back=state.taken_back)
                if given.index != state.deal.mine.index:
                    keep = msgspec.structs.replace(keep, outgoing=state.outgoing)
                if opened.incoming == "pending":
                    keep = msgspec.structs.replace(keep, incoming=state.incoming)
                return _finished(keep, now), ()
            return _given_up(seen_dead(state, given), now), ()
        case LegTaken():
            return _given_up(msgspec.structs.replace(state, taken_back=True), now), ()
        case CancelReceived() | RefusalReceived() | LockFailed():
            return state, ()  # we know
        case AgreementReceived():
            return state, second_agreement(state.deal, given)
        case ApprovalReceived() | LockedReceived() | VoteReceived() | TimePassed() | Restarted():
            return state, ()  # never votes later
        case _:
            assert_never(given)


def _given_up(state: Aborted, now: Instant) -> State:
    own = state.deal.mine.index
    back = state.outgoing != "returned" or state.taken_back or agreement_of(state.deal.agreed).is_fresh(own)
    if state.incoming == "pending" or state.outgoing == "pending" or not back:
        return state
    return ended(state, "aborted", state.notice.reason, now, detail=state.notice.detail)


def seen_open(deal: Deal, given: LegSeen) -> Opened | None:
    """All n secrets, from whatever lock: everybody has voted, so go and collect."""
    agreement = agreement_of(deal.agreed)
    if given.leg != "opened" or not agreement.opened_by(given.preimages):
        return None
    return _seen_leg(Opened(deal, given.preimages, (None,) * agreement.size), given)


def _seen_leg(state: Opened, given: LegSeen) -> Opened:
    """Note the end of a leg; the first word counts. A receipt of an opened or released arc is a proof."""
    own, agreement = state.deal.mine.index, agreement_of(state.deal.agreed)
    if given.receipt is not None and given.leg in ("opened", "returned"):
        state = msgspec.structs.replace(state, proofs=put(state.proofs, given.index, given.receipt))
    if given.leg == "pending":
        if given.index == agreement.incoming(own) and state.incoming == "opened" and not state.taken:
            return msgspec.structs.replace(state, incoming="pending")  # an older copy of its issuer: open it again
        return state
    if given.leg == "absent" and given.at <= after(agreement.deadline(0), FORGOTTEN_AFTER):
        return state  # all have voted, so it was there: its issuer was put back, and takes it up when it is shown it
    if given.index == own and state.outgoing == "pending":
        state = msgspec.structs.replace(state, outgoing=given.leg)
    if given.index == agreement.incoming(own) and state.incoming == "pending":
        state = msgspec.structs.replace(state, incoming=given.leg)
    return state


def seen_dead(state: Aborted, given: LegSeen) -> Aborted:
    """Note a leg that returned, or whose lock does not exist and can no longer be made (after T_lock)."""
    own, agreement = state.deal.mine.index, agreement_of(state.deal.agreed)
    if given.leg != "returned" and not (given.leg == "absent" and given.at > agreement.lock_by):
        return state
    if given.index == own and state.outgoing == "pending":
        state = msgspec.structs.replace(state, outgoing=given.leg)
    if given.index == agreement.incoming(own) and state.incoming == "pending":
        state = msgspec.structs.replace(state, incoming=given.leg)
    return state


def aborted(deal: Deal, reason: Reason, detail: str, now: Instant, *, tell: bool = True) -> Aborted:
    """Return the way out of an agreement before the vote, or after our arc came back."""
    agreement, own = agreement_of(deal.agreed), deal.mine.index
    to = tuple(n for i, n in enumerate(agreement.nodes) if i != own) if own == 0 else agreement.nodes[:1]
    return Aborted(deal, Notice(to if tell else (), after(now, NOTICE_SPAN), reason, detail))


def refuses_itself(signed: Signed, nodes: Sequence[NodeId]) -> bool:
    """Tell whether a REFUSE is of the party whose position it names."""
    index = open_refuse(signed).index
    return index < len(nodes) and nodes[index] == signed.signer


def ended(
    state: State,
    outcome: Outcome,
    reason: Reason,
    now: Instant,
    *,
    detail: str = "",
    by: NodeId | None = None,
    tell: bool = False,
) -> Ended:
    """Return the end of a draft in whatever state it is; ``tell`` whoever has approved or was asked to."""
    match state:
        case Approved() | Gathering():
            arcs, mine = open_draft(state.draft).arcs, state.mine
            to = tuple(a.giver for a in arcs[1:]) if mine.index == 0 else (arcs[0].giver,)
        case Locking() | Collecting() | Committing() | Voted() | Opened() | Aborted():
            mine, to = state.deal.mine, tuple[NodeId, ...]()
        case Ended():
            return state
        case _:
            assert_never(state)
    notice = Notice(to if tell else (), after(now, NOTICE_SPAN), reason, detail)
    return Ended(open_approve(mine.approval).draft, mine, outcome, by, notice)


def put(values: tuple[T | None, ...], index: int, value: T) -> tuple[T | None, ...]:
    """Return the tuple with one place changed."""
    return (*values[:index], value, *values[index + 1 :])


def second_agreement(deal: Deal, given: AgreementReceived) -> tuple[Blame, ...]:
    """Blame for a second agreement: two different ones for one draft convict the proposer; a repeat is calm."""
    if given.signed == deal.agreed:
        return ()
    return (Blame(given.signed.signer, "signed two AGREED for one draft"),)
