"""What the rows alone can answer: requests that were honoured before, and questions. Nothing is changed here."""

from msgspec.structs import replace as with_fields

from nanobarter.core.canonical import decode
from nanobarter.core.errors import InvariantBroken, Reason, Refused
from nanobarter.core.ids import RequestId
from nanobarter.core.units import Instant
from nanobarter.mint import rows
from nanobarter.mint.answer_messages import Contract, Locked, LockState
from nanobarter.mint.messages import (
    BlindOutput,
    IssueBody,
    LockBody,
    OpenBody,
    RefundBody,
    ReleaseBody,
    RestoreBody,
    StateBody,
    SwapBody,
    TakeBody,
)
from nanobarter.mint.outcomes import Book, Case, Leasing, Locking, Minting, No, Outcome, Settling, Telling, output_id
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import Lock


def replay(  # noqa: PLR0911 - one line per kind of record
    db: Db, book: Book, case: Case, now: Instant
) -> Outcome | None:
    """Return the outcome of a request that was honoured before, or None. Asks nothing but the rows."""
    body = case.body
    if isinstance(body, OpenBody | RefundBody | ReleaseBody):
        # These leave no record of their own: the lock's outcome is the record, whoever brought it about.
        lock = rows.find_lock(db, body.lock_id)
        wanted = "opened" if isinstance(body, OpenBody) else "returned"
        return Settling(lock) if lock is not None and lock.outcome == wanted else None
    recorded = rows.find_request(db, case.request)
    if recorded is None:
        return _fresh_again(db, body) if isinstance(body, LockBody) and not body.inputs else None
    if recorded.result is not None:
        return Leasing(decode(recorded.result, Contract, size_max=rows.ROW_BYTES_MAX))
    if isinstance(body, SwapBody | IssueBody | TakeBody):
        if all(o.keyset in book.keysets for o in body.outputs):
            return Minting(recorded.at, body.outputs)
        return No(Refused(Reason.RETIRED_KEYSET, "this was honoured, and its keyset is purged by now"), now)
    if isinstance(body, LockBody):
        lock = rows.find_lock(db, body.terms.lock_id)
        if lock is not None:
            return Locking(Locked(lock.terms, lock.locked_at))
        return No(Refused(Reason.UNKNOWN_LOCK, "this was honoured, and its lock is purged by now"), now)
    raise InvariantBroken(f"request {case.request.hex()} was honoured, but nothing is left of it")


def _fresh_again(db: Db, body: LockBody) -> Locking | None:
    """Return the fresh lock that a node asks for again under a new ``valid_until``: one lock per lock_id."""
    lock = rows.find_lock(db, body.terms.lock_id)
    if lock is None or not lock.fresh or lock.terms != body.terms:
        return None
    return Locking(Locked(lock.terms, lock.locked_at))


def tell(db: Db, book: Book, body: StateBody, now: Instant) -> Telling:
    """Return what became of notes and locks."""
    found = [rows.find_spent(db, number, note) for note in body.notes for number in book.numbers.values()]
    locks = [rows.find_lock(db, lock_id) for lock_id in body.locks]
    return Telling(now, tuple(s for s in found if s is not None), tuple(x for x in locks if x is not None))


def restore(db: Db, book: Book, body: RestoreBody, now: Instant) -> Minting:
    """Return the outputs that were signed before; they may be signed again."""

    def signed_before(output: BlindOutput) -> bool:
        number = book.numbers.get(output.keyset)
        return number is not None and rows.is_issued(db, number, output_id(output))

    return Minting(now, tuple(o if signed_before(o) else None for o in body.outputs))


def state_of(lock: Lock, request: RequestId) -> LockState:
    """Return the receipt of a settled lock: always the outcome, whatever was done with it afterwards."""
    return LockState(
        request, lock.terms.lock_id, lock.terms.agreement, lock.outcome, lock.how, lock.outcome_at, lock.preimages
    )


def history_of(lock: Lock, request: RequestId) -> LockState:
    """Return where a lock stands now, for one who asks after its state."""
    now = "taken" if lock.ended == "taken" else "lapsed" if lock.ended == "lapsed" else lock.outcome or "locked"
    return with_fields(state_of(lock, request) if lock.outcome else _unsettled(lock, request), state=now)


def _unsettled(lock: Lock, request: RequestId) -> LockState:
    return LockState(request, lock.terms.lock_id, lock.terms.agreement, "locked", "", lock.locked_at, ())
