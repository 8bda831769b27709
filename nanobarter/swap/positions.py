"""What any state knows of our position: which draft, which place, and which agreement."""

from typing import assert_never

from nanobarter.core.ids import DraftId
from nanobarter.swap.messages import open_approve
from nanobarter.swap.states import (
    Aborted,
    Approved,
    Collecting,
    Committing,
    Ended,
    Gathering,
    Locking,
    Mine,
    Opened,
    State,
    Voted,
)
from nanobarter.swap.terms import Agreement, agreement_of


def draft_of(state: State) -> DraftId:
    """Return the id of the draft that a state belongs to."""
    return open_approve(mine_in(state).approval).draft


def mine_in(state: State) -> Mine:
    """Return my position in the draft that a state belongs to."""
    match state:
        case Approved() | Gathering() | Ended():
            return state.mine
        case Locking() | Collecting() | Voted() | Committing() | Opened() | Aborted():
            return state.deal.mine
        case _:
            assert_never(state)


def taken_by(before: State | None, after: State) -> Agreement | None:
    """Return the agreement that a draft became by one step, if it did."""
    return None if before is not None and agreement_in(before) is not None else agreement_in(after)


def agreement_in(state: State) -> Agreement | None:
    """Return the agreement that a state is about, if it holds one."""
    match state:
        case Approved() | Gathering() | Ended():
            return None
        case Locking() | Collecting() | Voted() | Committing() | Opened() | Aborted():
            return agreement_of(state.deal.agreed)
        case _:
            assert_never(state)
