"""One authorised request, judged and recorded inside the one writer's transaction.

It is looked up first, so a repeat meets no clock, keyset or capacity test; then ``rules`` are asked; only then are
rows moved, all of them or none. Nothing is signed here: what is returned can be said again at any later time from
the rows alone (``recall``), so no answer is stored and nothing is ever pending.
"""

from sqlite3 import IntegrityError
from typing import assert_never

from nanobarter.core.errors import InvariantBroken, Refused
from nanobarter.core.units import Instant
from nanobarter.mint import lease_operations, lock_operations, note_operations, rules, times
from nanobarter.mint.messages import (
    Body,
    ExtendBody,
    IssueBody,
    LockBody,
    OpenBody,
    RedeemBody,
    RefundBody,
    ReleaseBody,
    RestoreBody,
    StateBody,
    SwapBody,
    TakeBody,
)
from nanobarter.mint.outcomes import Book, Case, Done, No, Outcome
from nanobarter.mint.recall import replay, restore, tell
from nanobarter.mint.rows import Db
from nanobarter.mint.steps import Steps


def apply(db: Db, book: Book, case: Case, clock_now: Instant) -> Done:
    """Honour an authorised request, or say why not. Moves either all of its rows or none."""
    now = times.advance_time(db, clock_now)
    if (before := replay(db, book, case, now)) is not None:
        return Done(before)
    if isinstance(case.body, StateBody):
        return Done(tell(db, book, case.body, now))
    if isinstance(case.body, RestoreBody):
        return Done(restore(db, book, case.body, now))
    refused = rules.fresh_enough(case.body.valid_until, now, book.request_valid_max)
    if refused:
        return Done(No(refused, now))
    try:
        outcome = _honour(Steps(db, book, case, now), case.body)
    except IntegrityError as error:
        raise InvariantBroken(f"the mint's tables refuse what its rules allow: {error}") from error
    if isinstance(outcome, Refused):
        return Done(No(outcome, now))
    return Done(outcome, first=not isinstance(outcome, No))


def _honour(  # noqa: C901, PLR0911 - one line per operation
    work: Steps, body: Body
) -> Outcome | Refused:
    match body:
        case SwapBody():
            return note_operations.swap(work, body)
        case IssueBody():
            return note_operations.issue(work, body)
        case LockBody():
            return lock_operations.lock(work, body)
        case OpenBody():
            return lock_operations.open_lock(work, body)
        case RefundBody():
            return lock_operations.return_lock(work, body, "refund")
        case ReleaseBody():
            return lock_operations.return_lock(work, body, "release")
        case TakeBody():
            return lock_operations.take(work, body)
        case RedeemBody():
            return lease_operations.redeem(work, body)
        case ExtendBody():
            return lease_operations.extend(work, body)
        case StateBody() | RestoreBody():
            raise InvariantBroken("questions are answered before")
        case _:
            assert_never(body)
