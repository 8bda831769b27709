"""The life of a lock: made, opened or returned, taken."""

from dataclasses import replace

from nanobarter.core.errors import Reason, Refused
from nanobarter.mint import pending, restoration, rows, rules, times
from nanobarter.mint.answer_messages import Locked
from nanobarter.mint.messages import LockBody, LockTerms, OpenBody, RefundBody, ReleaseBody, TakeBody
from nanobarter.mint.outcomes import Locking, Outcome, Settling
from nanobarter.mint.rules import Lot
from nanobarter.mint.steps import Steps


def lock(work: Steps, body: LockBody) -> Outcome | Refused:
    """Make the lock of one arc, paid with notes or from the node's own free space."""
    terms = body.terms
    if rows.find_lock(work.db, terms.lock_id) is not None:
        return work.spent_before() or Refused(Reason.CONFLICT, "this lock was made before")
    given = _lock_pays(work, body)
    if isinstance(given, Refused):
        return given
    no = rules.may_lock(terms, given, work.book.node, work.now) or work.spent_before()
    if no:
        return no
    number = work.record(body.inputs, (), until=terms.take_until)
    work.spend(number)
    rows.move(work.db, terms.kind, locked=terms.quantity, outstanding=-terms.quantity if body.inputs else 0)
    lock = rows.add_lock(work.db, terms, fresh=not body.inputs, request=number, at=work.now)
    if body.inputs and work.case.sender is not None:
        pending.add(work.db, terms.lock_id, work.case.sender)
    return Locking(Locked(terms, lock.locked_at))


def _lock_pays(work: Steps, body: LockBody) -> Lot | Refused:
    live = rows.one(work.db, "SELECT count(*) FROM mint_locks WHERE ended = ''")
    if live is not None and live[0] >= work.book.locks_max:
        return Refused(Reason.TOO_MANY, "this mint holds too many locks")
    if body.inputs:
        if no := _too_much_trouble(work, body.terms):
            return no
        return rules.lot_of_notes(body.inputs, work.book.keysets, work.now)
    terms = body.terms
    if no := rules.room(rows.free(work.db, terms.kind), terms.quantity):
        return no
    return Lot(terms.kind, work.book.terms_of(terms.kind, work.now), terms.quantity)


def _too_much_trouble(work: Steps, terms: LockTerms) -> Refused | None:
    """Refuse locks of others that are too small, or too many of one node: each is a row for weeks."""
    if terms.quantity < work.book.lock_min:
        return Refused(Reason.WRONG_TERMS, f"a lock holds at least {work.book.lock_min} MiB of notes")
    sender = work.case.sender
    if sender is not None and pending.count(work.db, sender) >= work.book.locks_per_node_max:
        return Refused(Reason.TOO_MANY, "too many locks of this node are neither opened nor returned")
    return None


def open_lock(work: Steps, body: OpenBody) -> Outcome | Refused:
    """Fix a lock for its receiver."""
    lock = rows.find_lock(work.db, body.lock_id)
    if lock is None:
        return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex())
    if refused := rules.may_open(lock, body, work.now):
        return refused
    rows.open_lock(work.db, body.lock_id, body.preimages, work.now)
    return Settling(replace(lock, outcome="opened", outcome_at=work.now, preimages=body.preimages))


def return_lock(work: Steps, body: RefundBody | ReleaseBody, how: str) -> Outcome | Refused:
    """Fix a lock for its giver; a fresh one is freed at once."""
    lock = rows.find_lock(work.db, body.lock_id)
    if lock is None:
        return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex())
    times.mark_alive(work.db, work.now, work.book.alive_gap, heard=False)
    known = times.outages(work.db, lock.locked_at)
    if how == "release":
        refused = rules.may_release(lock)
    else:
        since = restoration.past(work.db).since
        refused = rules.may_refund(lock, known, work.now) or rules.surely_pending(lock, since)
    if refused:
        return refused
    rows.return_lock(work.db, body.lock_id, how, work.now)
    if lock.fresh:
        rows.end_lock(work.db, body.lock_id, "freed", work.now)
        rows.move(work.db, lock.terms.kind, locked=-lock.terms.quantity)
    settled = rows.find_lock(work.db, body.lock_id)
    return Settling(settled or lock)


def take(work: Steps, body: TakeBody) -> Outcome | Refused:
    """Turn a settled lock, whole, into notes or into a lease."""
    lock = rows.find_lock(work.db, body.lock_id)
    if lock is None:
        return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex())
    wanted = rules.lot_of_outputs(body.outputs, work.book.keysets, work.now) if body.outputs else None
    if isinstance(wanted, Refused):
        return wanted
    no = rules.may_take(lock, body, wanted, work.now) or work.issued_before(body.outputs)
    if no:
        return no
    terms = lock.terms
    rows.end_lock(work.db, body.lock_id, "taken", work.now)
    if body.lease is not None:
        rows.move(work.db, terms.kind, locked=-terms.quantity, leased=terms.quantity)
        return work.start_lease(body.lease, terms.terms_hash, lambda c: work.record((), (), c.end, c))
    rows.move(work.db, terms.kind, locked=-terms.quantity, outstanding=terms.quantity)
    return work.mint(body.outputs, work.record((), body.outputs, terms.take_until))
