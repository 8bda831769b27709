"""Before the agreement: the party has approved, the proposer gathers.

A proposer that crashes here gives the draft up, since nobody has an AGREED. A party does not: the AGREED may be on
its way, and were it dropped, everybody would wait for this party's lock until T_vote, and the one before it, whose
lock nobody releases, until its deadline.
"""

from typing import Final, assert_never

import msgspec

from nanobarter.core.errors import Reason
from nanobarter.core.units import Instant, after
from nanobarter.swap.ending import Moved, ended, put, refuses_itself
from nanobarter.swap.messages import open_approve, open_draft, open_refuse
from nanobarter.swap.objections import agreed_objection, approval_objection
from nanobarter.swap.orders import Blame
from nanobarter.swap.states import (
    AgreementReceived,
    ApprovalReceived,
    Approved,
    CancelReceived,
    Collecting,
    Deal,
    Gathering,
    Given,
    LegSeen,
    LegTaken,
    LockedReceived,
    LockFailed,
    Locking,
    RefusalReceived,
    Restarted,
    TimePassed,
    VoteReceived,
)
from nanobarter.swap.terms import SwapTimes, agreement_of

_OTHER_TERMS: Final = "what pays us stands under other terms than its issuer names"


def approved(state: Approved, given: Given, now: Instant, times: SwapTimes) -> Moved:  # noqa: PLR0912 - one per fact
    """Move a party that has reserved and waits for the agreement."""
    match given:
        case AgreementReceived():
            if now > after(agreement_of(given.signed).start, times.clock_off):
                return state, ()  # it waited for us to come back: too late, and nobody's fault
            if (objection := agreed_objection(state.draft, state.mine, given, times, now)) is not None:
                return state, (Blame(given.signed.signer, objection),)
            if not given.fits:  # its giver may hold notes of older terms in good faith, but we have not looked at those
                return ended(state, "refused", Reason.WRONG_TERMS, now, detail=_OTHER_TERMS, tell=True), ()
            blank = (None,) * agreement_of(given.signed).size
            return Locking(Deal(given.signed, state.mine), blank), ()
        case CancelReceived():
            if given.signed.signer != state.draft.signer:
                return state, (Blame(given.signed.signer, "cancels the draft of another"),)
            return ended(state, "cancelled", Reason.NOT_FOUND, now, by=given.signed.signer), ()
        case LockFailed():  # the owner withdraws
            return ended(state, "refused", given.reason, now, detail=given.detail, by=None, tell=True), ()
        case Restarted():  # state and reservation are on disk, and the others may have agreed meanwhile
            return state, ()
        case RefusalReceived():  # handed on by the proposer, or meant for it: the ring cannot be
            if not refuses_itself(given.signed, [arc.giver for arc in open_draft(state.draft).arcs]):
                return state, (Blame(given.signed.signer, "refuses a position that is not its own"),)
            return ended(state, "cancelled", open_refuse(given.signed).reason, now, by=given.signed.signer), ()
        case ApprovalReceived() | VoteReceived():
            return state, ()  # for the proposer only; a stray one
        case LockedReceived() | LegSeen() | LegTaken() | TimePassed():
            return state, ()  # a LOCKED may overtake its AGREED; the sender repeats it
        case _:
            assert_never(given)


def gathering(state: Gathering, given: Given, now: Instant, times: SwapTimes) -> Moved:
    """Move the proposer while approvals come in."""
    match given:
        case ApprovalReceived():
            return _approval(state, given, now)
        case RefusalReceived():
            refuse = open_refuse(given.signed)
            if not refuses_itself(given.signed, [arc.giver for arc in open_draft(state.draft).arcs]):
                return state, (Blame(given.signed.signer, "refuses a position that is not its own"),)
            detail, by = refuse.detail, given.signed.signer
            return ended(state, "refused", refuse.reason, now, detail=detail, by=by, tell=True), ()
        case AgreementReceived():  # our own, as we signed it for ``Agree``
            if (objection := agreed_objection(state.draft, state.mine, given, times, now)) is not None:
                return state, (Blame(given.signed.signer, objection),)
            blank = (None,) * agreement_of(given.signed).size
            votes = (state.mine.secret, *blank[1:])
            return Collecting(Deal(given.signed, state.mine), blank, votes), ()
        case LockFailed():
            return ended(state, "refused", given.reason, now, detail=given.detail, tell=True), ()
        case Restarted():  # AGREED was not recorded, so nobody has it
            return ended(state, "expired", Reason.STOPPING, now, detail="restarted before the agreement", tell=True), ()
        case CancelReceived() | LockedReceived() | VoteReceived() | LegSeen() | LegTaken() | TimePassed():
            return state, ()  # nothing of the kind can be about this draft yet
        case _:
            assert_never(given)


def _approval(state: Gathering, given: ApprovalReceived, now: Instant) -> Moved:
    objection = approval_objection(state.draft, state.approvals, given)
    if objection is not None:
        return state, (Blame(given.signed.signer, objection),)
    index = open_approve(given.signed).index
    if state.approvals[index] is not None:
        return state, ()  # a repeat, or a second thought that comes too late
    if not given.fits:
        by = given.signed.signer
        return ended(state, "refused", Reason.WRONG_TERMS, now, detail=_OTHER_TERMS, by=by, tell=True), ()
    return msgspec.structs.replace(state, approvals=put(state.approvals, index, given.signed)), ()
