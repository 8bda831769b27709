"""From AGREED to the vote: all locks must stand as agreed before a secret leaves the node."""

from typing import assert_never

import msgspec

from nanobarter.core.errors import Reason
from nanobarter.core.units import Instant
from nanobarter.swap.ending import Moved, aborted, put, refuses_itself, second_agreement, seen_dead, seen_open
from nanobarter.swap.messages import open_refuse, open_vote
from nanobarter.swap.orders import Blame
from nanobarter.swap.states import (
    AgreementReceived,
    ApprovalReceived,
    CancelReceived,
    Collecting,
    Committing,
    Deal,
    Doomed,
    Given,
    LegSeen,
    LegTaken,
    LockedReceived,
    LockFailed,
    Locking,
    Receipts,
    RefusalReceived,
    Restarted,
    Spoilt,
    State,
    TimePassed,
    Voted,
    VoteReceived,
)
from nanobarter.swap.terms import SwapTimes, agreement_of, locked_objection, open_locked


def locking(state: Locking, given: Given, now: Instant, times: SwapTimes) -> Moved:
    """Move a party that has not voted."""
    match given:
        case LockedReceived():
            receipts, blames = _receipt(state.deal, state.receipts, given, times, now)
            if None not in receipts:
                return Voted(state.deal, receipts[state.deal.mine.index]), blames
            return msgspec.structs.replace(state, receipts=receipts), blames
        case LockFailed():
            return aborted(state.deal, given.reason, given.detail, now), ()
        case CancelReceived():
            if given.signed.signer != state.deal.agreed.signer:
                return state, (Blame(given.signed.signer, "cancels the draft of another"),)
            return aborted(state.deal, Reason.NOT_FOUND, "the proposer cancelled", now, tell=False), ()
        case LegSeen():
            return _before_vote(state, given, now), ()
        case AgreementReceived():
            return state, second_agreement(state.deal, given)
        case RefusalReceived():  # as the proposer hands it on: not all will lock, or vote
            if not refuses_itself(given.signed, agreement_of(state.deal.agreed).nodes):
                return state, (Blame(given.signed.signer, "refuses a position that is not its own"),)
            refuse = open_refuse(given.signed)
            return aborted(state.deal, refuse.reason, refuse.detail, now, tell=False), ()
        case ApprovalReceived() | VoteReceived() | LegTaken():
            return state, ()  # for the proposer only, or about nothing
        case TimePassed() | Restarted():
            return state, ()  # AGREED before T_vote: the orders repeat the LOCK and go on
        case _:
            assert_never(given)


def collecting(state: Collecting, given: Given, now: Instant, times: SwapTimes) -> Moved:
    """Move the proposer until it holds everything, or T_vote."""
    match given:
        case LockedReceived():
            receipts, blames = _receipt(state.deal, state.receipts, given, times, now)
            return _commit(msgspec.structs.replace(state, receipts=receipts)), blames
        case VoteReceived():
            agreement, vote = agreement_of(state.deal.agreed), open_vote(given.signed)
            right = vote.agreement == agreement.agreement_id and vote.index < agreement.size
            if not right or agreement.nodes[vote.index] != given.signed.signer:
                return state, (Blame(given.signed.signer, "votes for a position that is not its own"),)
            if not agreement.is_secret(vote.index, vote.secret):
                return state, (Blame(given.signed.signer, "votes with a secret that is not behind its hash"),)
            return _commit(msgspec.structs.replace(state, votes=put(state.votes, vote.index, vote.secret))), ()
        case LockFailed():
            return aborted(state.deal, given.reason, given.detail, now), ()
        case RefusalReceived():  # refused after approving; who has voted already waits for the deadlines
            refuse, agreement = open_refuse(given.signed), agreement_of(state.deal.agreed)
            if not refuses_itself(given.signed, agreement.nodes):
                return state, (Blame(given.signed.signer, "refuses a position that is not its own"),)
            left = aborted(state.deal, refuse.reason, refuse.detail, now)
            return Spoilt(left.deal, left.notice, refusal=given.signed), ()
        case LegSeen():
            return _before_vote(state, given, now), ()
        case AgreementReceived() | ApprovalReceived() | CancelReceived() | LegTaken():
            return state, ()  # repeats of what led here, or nothing to us
        case TimePassed() | Restarted():
            return state, ()  # before T_vote: the orders repeat AGREED and LOCK
        case _:
            assert_never(given)


def _commit(state: Collecting) -> State:
    """Pass the proposer's point of no return: all n locks right, all n secrets, T_vote not reached (``_aged``)."""
    secrets = tuple(vote for vote in state.votes if vote is not None)
    if None in state.receipts or len(secrets) < len(state.votes):
        return state
    return Committing(state.deal, secrets)


def _before_vote(state: Locking | Collecting, given: LegSeen, now: Instant) -> State:
    """Leave a ring that lost a lock before we voted. With our secret out, some older copy of us has voted."""
    if (opened := seen_open(state.deal, given)) is not None:
        return opened
    if given.leg != "returned":
        return state
    return seen_dead(aborted(state.deal, Reason.CONFLICT, f"arc {given.index} was given up", now), given)


def voted(state: Voted | Committing, given: Given, now: Instant) -> Moved:
    """Move a node that can only wait for the issuers: its secret, or (proposer) its OPEN, is out."""
    match given:
        case LegSeen():
            if (opened := seen_open(state.deal, given)) is not None:
                return opened, ()
            own, agreement = state.deal.mine.index, agreement_of(state.deal.agreed)
            if given.leg == "returned" and given.index == own:
                # Our arc can be paid no more, so what pays us is not ours either: give it up.
                return seen_dead(aborted(state.deal, Reason.EXPIRED, "our arc came back", now), given), ()
            if given.leg == "returned" and own == 0 and given.index == agreement.incoming(0):
                # Only the arc that pays the proposer shows the secrets to the others; it is dead.
                return seen_dead(aborted(state.deal, Reason.EXPIRED, "our payer's arc ended", now), given), ()
            return state, ()
        case AgreementReceived():
            return state, second_agreement(state.deal, given)
        case RefusalReceived() if isinstance(state, Voted) and not isinstance(state, Doomed) and state.deal.mine.index:
            if not refuses_itself(given.signed, agreement_of(state.deal.agreed).nodes):
                return state, (Blame(given.signed.signer, "refuses a position that is not its own"),)
            return Doomed(state.deal, state.receipt, refusal=given.signed), ()
        case LockFailed() | CancelReceived() | RefusalReceived():
            return state, ()  # after the vote nobody's no counts, not even our own
        case ApprovalReceived() | LockedReceived() | VoteReceived() | LegTaken():
            return state, ()  # repeats
        case TimePassed() | Restarted():
            return state, ()  # the orders repeat VOTE or OPEN, then ask, then fetch the own arc back
        case _:
            assert_never(given)


def _receipt(
    deal: Deal, receipts: Receipts, given: LockedReceived, times: SwapTimes, now: Instant
) -> tuple[Receipts, tuple[Blame, ...]]:
    """Note a LOCKED if it is what was agreed, field by field; the first one of an arc stays."""
    if (objection := locked_objection(agreement_of(deal.agreed), given.signed)) is not None:
        return receipts, (Blame(given.signed.signer, f"LOCKED: {objection}"),)
    locked = open_locked(given.signed)
    if not times.near(locked.locked_at, now):
        return receipts, ()  # the issuer's clock is off, or this is an old copy: not to be voted on in either case
    index = locked.terms.index
    return (receipts if receipts[index] is not None else put(receipts, index, given.signed)), ()
