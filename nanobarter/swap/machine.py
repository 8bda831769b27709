"""RING-COMMIT: n parties pay each other round a ring, all or none, with no third party.

**Who and what.** Arc j: P_j pays P_{j+1} in notes of the issuer M_j, through a lock at M_j. A lock is opened by
all n secrets together; P_i alone knows s_i, and shows it (votes) to the proposer P_0 only once it has seen all n
locks in place, exactly as agreed. So nobody's arc can be paid before it has voted, and whoever votes knows that
everything is in place.

**What can go wrong.** Messages are lost, repeated, late; nodes crash between any write and any send; issuers are
down for up to delta; parties, the proposer and issuers lie. A party is safe when the issuers of its own two arcs
are honest: once its own arc is paid the n secrets are in the open at that issuer, it learns them by the push or
by asking, and the arc that pays it can be opened for one delta longer (or later still, with the receipt of its
own arc). The proposer is special, since it alone holds all secrets first: it opens the arc that pays *it*, and
shows them to nobody else before that arc is open.

**Why it ends.** Every state but Ended has an instant at which it moves on by itself: the approvals expire, T_vote
aborts those who have not voted, after D_i a voter fetches its own arc back, and after D_0 + take all locks lapse.

``step`` first lets time pass, then applies the fact; ``AGES`` and ``MOVES`` are the whole diagram, and a test
holds the code to them. Late and repeated messages are normal and are ignored, in the branch that says so.
"""

from typing import Final, assert_never

from nanobarter.core.errors import Reason
from nanobarter.core.units import Instant, after
from nanobarter.swap.approving import approved, gathering
from nanobarter.swap.ending import Moved, aborted, aborting, ended, opened
from nanobarter.swap.messages import open_approve, open_draft
from nanobarter.swap.orders import Effect, orders
from nanobarter.swap.states import (
    Aborted,
    AgreementReceived,
    ApprovalReceived,
    Approved,
    CancelReceived,
    Collecting,
    Committing,
    Doomed,
    Ended,
    Gathering,
    Given,
    LegSeen,
    LegTaken,
    LockedReceived,
    LockFailed,
    Locking,
    Opened,
    RefusalReceived,
    Restarted,
    Spoilt,
    State,
    Voted,
    VoteReceived,
)
from nanobarter.swap.terms import SwapTimes, agreement_of
from nanobarter.swap.voting import collecting, locking, voted

AGES: Final[dict[type, set[type]]] = {
    Approved: {Ended},
    Gathering: {Ended},
    Locking: {Aborted},
    Collecting: {Aborted},
    Committing: {Voted},
    Voted: {Ended},
    Doomed: {Ended},
    Opened: {Ended},
    Aborted: {Ended},
    Spoilt: {Ended},
    Ended: set(),
}
"""Where time alone may lead a state, besides staying."""

MOVES: Final[dict[type, dict[type, set[type]]]] = {
    Approved: {
        AgreementReceived: {Locking, Ended},
        CancelReceived: {Ended},
        RefusalReceived: {Ended},
        LockFailed: {Ended},
    },
    Gathering: {
        ApprovalReceived: {Ended},
        AgreementReceived: {Collecting},
        RefusalReceived: {Ended},
        LockFailed: {Ended},
        Restarted: {Ended},
    },
    Locking: {
        LockedReceived: {Voted},
        LockFailed: {Aborted},
        CancelReceived: {Aborted},
        RefusalReceived: {Aborted},
        LegSeen: {Aborted, Opened},
    },
    Collecting: {
        LockedReceived: {Committing},
        VoteReceived: {Committing},
        LockFailed: {Aborted},
        RefusalReceived: {Spoilt},
        LegSeen: {Aborted, Opened},
    },
    Committing: {LegSeen: {Opened, Aborted}},
    Voted: {LegSeen: {Opened, Aborted}, RefusalReceived: {Doomed}},
    Doomed: {LegSeen: {Opened, Aborted}},
    Opened: {LegSeen: {Ended}, LegTaken: {Ended}},
    Aborted: {LegSeen: {Opened, Ended}, LegTaken: {Ended}},
    Spoilt: {LegSeen: {Opened, Ended}, LegTaken: {Ended}},
    Ended: {},
}
"""Where a fact may lead a state, besides staying. What is not listed is ignored or blamed."""


def step(state: State, given: Given, now: Instant, times: SwapTimes) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after a fact, and what is to be done from then on.

    The new state must be durable before any effect is carried out. The orders replace all earlier ones.
    """
    moved, blames = _given(_aged(state, now), given, now, times)
    return moved, (*orders(moved, now), *blames)


def _aged(state: State, now: Instant) -> State:
    match state:
        case Approved():
            if now > open_approve(state.mine.approval).expires:
                return ended(state, "expired", Reason.EXPIRED, now, detail="no agreement came in time")
        case Gathering():
            draft = open_draft(state.draft)
            if now >= after(draft.time, draft.pace.approve):
                return ended(state, "expired", Reason.EXPIRED, now, detail="not all approved in time", tell=True)
        case Locking() | Collecting():
            if now >= agreement_of(state.deal.agreed).vote_by:
                return aborted(state.deal, Reason.TOO_LATE, "not all locks and votes came in time", now)
        case Committing():
            agreement = agreement_of(state.deal.agreed)
            if now > agreement.deadline(agreement.incoming(0)):
                return Voted(state.deal, None)  # from here on we only ask, publish nothing, and wait for our refund
        case Voted() | Opened() | Aborted():
            if now > agreement_of(state.deal.agreed).take_until:
                return ended(state, "lapsed", Reason.TOO_LATE, now, detail="what was not taken has lapsed")
        case Ended():
            pass
        case _:
            assert_never(state)
    return state


def _given(state: State, given: Given, now: Instant, times: SwapTimes) -> Moved:
    match state:
        case Approved():
            return approved(state, given, now, times)
        case Gathering():
            return gathering(state, given, now, times)
        case Locking():
            return locking(state, given, now, times)
        case Collecting():
            return collecting(state, given, now, times)
        case Voted() | Committing():
            return voted(state, given, now)
        case Opened():
            return opened(state, given, now)
        case Aborted():
            return aborting(state, given, now)
        case Ended():
            return state, ()  # whatever comes now comes late
        case _:
            assert_never(state)
