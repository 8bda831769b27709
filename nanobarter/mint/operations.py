"""One request, from its bytes to what the tables hold of it: authorise, replay, judge, record.

``authorise`` checks signatures and needs no lock on the tables: what it reads never changes. ``apply`` runs
inside the one writer's transaction: it looks the request up first, so a repeat meets no clock, keyset or
capacity test; then it asks ``rules``; only then does it move rows. Nothing is signed here. What is returned can
be said again at any later time from the rows alone, so no answer is stored and nothing is ever pending.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from msgspec.structs import replace as with_fields

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken, Reason, Refused
from nanobarter.core.ids import Hash, KeysetId, NodeId, PublicKey, RequestId, Signature
from nanobarter.core.keys import verify
from nanobarter.core.units import DAY, Instant, Span, after, term
from nanobarter.mint import rows, rules
from nanobarter.mint.messages import (
    DOMAIN_REQUEST,
    BlindOutput,
    Body,
    Contract,
    ExtendBody,
    IssueBody,
    LeaseTerms,
    LockBody,
    Locked,
    LockState,
    Note,
    OpenBody,
    RedeemBody,
    RefundBody,
    ReleaseBody,
    RestoreBody,
    SpentState,
    StateBody,
    SwapBody,
    TakeBody,
    lease_id_of,
)
from nanobarter.mint.notes import Keyset, note_id, verify_note
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import Lock, Lot

KEEP_AFTER = Span(14 * DAY)  # how long an ended lock or lease, and its request, can still be asked for


@dataclass(frozen=True)
class Book:
    """What a mint knows without asking its tables; replaced as a whole when a keyset comes or goes."""

    node: NodeId
    key: PublicKey
    keysets: dict[KeysetId, Keyset]
    numbers: dict[KeysetId, int]
    terms_hash: Hash
    request_valid_max: Span
    locks_max: int
    alive_gap: Span


@dataclass(frozen=True)
class Case:
    """A request that was decoded, with its id."""

    request: RequestId
    body: Body
    witnesses: tuple[Signature, ...]


@dataclass(frozen=True)
class Minting:
    """Sign these outputs blindly; an empty place stays empty."""

    at: Instant
    outputs: tuple[BlindOutput | None, ...]


@dataclass(frozen=True)
class Locking:
    """A lock was made, now or before."""

    locked: Locked


@dataclass(frozen=True)
class Settling:
    """A lock has its outcome."""

    lock: Lock


@dataclass(frozen=True)
class Leasing:
    """A lease was started or extended."""

    contract: Contract


@dataclass(frozen=True)
class Telling:
    """What became of notes and locks."""

    at: Instant
    spent: tuple[SpentState, ...]
    locks: tuple[Lock, ...]


@dataclass(frozen=True)
class No:
    """Nothing was changed, and why."""

    refused: Refused
    at: Instant
    spent: SpentState | None = None


Outcome = Minting | Locking | Settling | Leasing | Telling | No


@dataclass(frozen=True)
class Done:
    """An outcome, and whether this very call brought it about (then observers hear of it)."""

    outcome: Outcome
    first: bool = False


# -- who may ask: signatures of notes and witnesses


def authorise(db: Db, book: Book, case: Case) -> Refused | None:
    """Check every signature of a request. About 0.1 ms per input: run it in a worker thread."""
    signers = _signers(db, book, case.body)
    if isinstance(signers, Refused):
        return signers
    if len(signers) != len(case.witnesses):
        return Refused(Reason.BAD_SIGNATURE, f"{len(case.witnesses)} witnesses where {len(signers)} are needed")
    for place, (key, witness) in enumerate(zip(signers, case.witnesses, strict=True)):
        if not verify(key, DOMAIN_REQUEST, case.request, witness):
            return Refused(Reason.BAD_SIGNATURE, f"witness {place} does not verify")
    for note in _inputs(case.body):
        keyset = book.keysets.get(note.keyset)
        if keyset is None:
            return Refused(Reason.UNKNOWN_KEYSET, note.keyset.hex())
        if not verify_note(note, keyset):
            return Refused(Reason.BAD_SIGNATURE, "a note was not signed by this mint")
    return None


def _inputs(body: Body) -> tuple[Note, ...]:
    if isinstance(body, SwapBody | LockBody | RedeemBody | ExtendBody):
        return body.inputs
    return ()


def _signers(  # noqa: PLR0911 - one line per operation
    db: Db, book: Book, body: Body
) -> Sequence[PublicKey] | Refused:
    match body:
        case SwapBody() | RedeemBody():
            return [n.key for n in body.inputs]
        case LockBody():
            return [n.key for n in body.inputs] or [book.key]
        case IssueBody():
            return [book.key]
        case OpenBody() | StateBody() | RestoreBody():
            return []
        case RefundBody() | ReleaseBody() | TakeBody():
            lock = rows.find_lock(db, body.lock_id)
            return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex()) if lock is None else _owner(lock, body)
        case ExtendBody():
            contract = rows.find_lease(db, body.lease_id)
            if contract is None:
                return Refused(Reason.UNKNOWN_LEASE, body.lease_id.hex())
            return [*(n.key for n in body.inputs), contract.terms.holder]
        case _:
            assert_never(body)


def _owner(lock: Lock, body: RefundBody | ReleaseBody | TakeBody) -> Sequence[PublicKey] | Refused:
    match body:
        case RefundBody():
            return [lock.terms.refund_key]
        case ReleaseBody():
            return [lock.terms.to_key]
        case TakeBody():
            if lock.outcome == "":
                return Refused(Reason.NOT_YET, "the lock is neither opened nor returned")
            return [lock.terms.to_key if lock.outcome == "opened" else lock.terms.refund_key]


# -- what was done before is said again


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


# -- judged and recorded


def apply(db: Db, book: Book, case: Case, clock_now: Instant) -> Done:
    """Honour an authorised request, or say why not. Moves either all of its rows or none."""
    now = rows.advance_time(db, clock_now)
    if (before := replay(db, book, case, now)) is not None:
        return Done(before)
    if isinstance(case.body, StateBody):
        return Done(_tell(db, book, case.body, now))
    if isinstance(case.body, RestoreBody):
        return Done(_restore(db, book, case.body, now))
    refused = rules.fresh_enough(case.body.valid_until, now, book.request_valid_max)
    if refused:
        return Done(No(refused, now))
    outcome = _Work(db, book, case, now).run()
    if isinstance(outcome, Refused):
        return Done(No(outcome, now))
    return Done(outcome, first=not isinstance(outcome, No))


class _Work:
    """One request under judgement: the tables, the facts, and the steps they share."""

    def __init__(self, db: Db, book: Book, case: Case, now: Instant) -> None:
        self.db, self.book, self.case, self.now = db, book, case, now

    def run(self) -> Outcome | Refused:  # noqa: C901, PLR0911 - one line per operation
        match self.case.body:
            case SwapBody() as body:
                return self._swap(body)
            case IssueBody() as body:
                return self._issue(body)
            case LockBody() as body:
                return self._lock(body)
            case OpenBody() as body:
                return self._open(body)
            case RefundBody() as body:
                return self._return(body, "refund")
            case ReleaseBody() as body:
                return self._return(body, "release")
            case TakeBody() as body:
                return self._take(body)
            case RedeemBody() as body:
                return self._redeem(body)
            case ExtendBody() as body:
                return self._extend(body)
            case StateBody() | RestoreBody():
                raise InvariantBroken("questions are answered before")
            case _ as body:
                assert_never(body)

    def _swap(self, body: SwapBody) -> Outcome | Refused:
        given = rules.lot_of_notes(body.inputs, self.book.keysets, self.now)
        wanted = rules.lot_of_outputs(body.outputs, self.book.keysets, self.now)
        if isinstance(given, Refused) or isinstance(wanted, Refused):
            return given if isinstance(given, Refused) else _no(wanted)
        no = rules.same_lot(given, wanted) or self._spent_before(body.inputs) or self._issued_before(body.outputs)
        if no:
            return no
        number = self._record(body.inputs, body.outputs)
        self._spend(body.inputs, number)
        return self._mint(body.outputs, number)

    def _issue(self, body: IssueBody) -> Outcome | Refused:
        wanted = rules.lot_of_outputs(body.outputs, self.book.keysets, self.now)
        if isinstance(wanted, Refused):
            return wanted
        no = rules.room(rows.free(self.db, wanted.kind), wanted.quantity) or self._issued_before(body.outputs)
        if no:
            return no
        rows.move(self.db, wanted.kind, outstanding=wanted.quantity)
        return self._mint(body.outputs, self._record((), body.outputs))

    def _lock(self, body: LockBody) -> Outcome | Refused:
        terms = body.terms
        if rows.find_lock(self.db, terms.lock_id) is not None:
            return self._spent_before(body.inputs) or Refused(Reason.CONFLICT, "this lock was made before")
        given = self._lock_pays(body)
        if isinstance(given, Refused):
            return given
        no = rules.may_lock(terms, given, self.book.node, self.now) or self._spent_before(body.inputs)
        if no:
            return no
        number = self._record(body.inputs, (), until=terms.take_until)
        self._spend(body.inputs, number)
        rows.move(self.db, terms.kind, locked=terms.quantity, outstanding=-terms.quantity if body.inputs else 0)
        lock = rows.add_lock(self.db, terms, fresh=not body.inputs, request=number, at=self.now)
        return Locking(Locked(terms, lock.locked_at))

    def _lock_pays(self, body: LockBody) -> Lot | Refused:
        live = rows.one(self.db, "SELECT count(*) FROM mint_locks WHERE ended = ''")
        if live is not None and live[0] >= self.book.locks_max:
            return Refused(Reason.TOO_MANY, "this mint holds too many locks")
        if body.inputs:
            return rules.lot_of_notes(body.inputs, self.book.keysets, self.now)
        terms = body.terms
        if no := rules.room(rows.free(self.db, terms.kind), terms.quantity):
            return no
        return Lot(terms.kind, self.book.terms_hash, terms.quantity)

    def _open(self, body: OpenBody) -> Outcome | Refused:
        lock = rows.find_lock(self.db, body.lock_id)
        if lock is None:
            return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex())
        if refused := rules.may_open(lock, body, self.now):
            return refused
        rows.open_lock(self.db, body.lock_id, body.preimages, self.now)
        return Settling(replace(lock, outcome="opened", outcome_at=self.now, preimages=body.preimages))

    def _return(self, body: RefundBody | ReleaseBody, how: str) -> Outcome | Refused:
        lock = rows.find_lock(self.db, body.lock_id)
        if lock is None:
            return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex())
        rows.mark_alive(self.db, self.now, self.book.alive_gap, heard=False)
        known = rows.outages(self.db, lock.locked_at)
        refused = rules.may_release(lock) if how == "release" else rules.may_refund(lock, known, self.now)
        if refused:
            return refused
        rows.return_lock(self.db, body.lock_id, how, self.now)
        if lock.fresh:
            rows.end_lock(self.db, body.lock_id, "freed", self.now)
            rows.move(self.db, lock.terms.kind, locked=-lock.terms.quantity)
        settled = rows.find_lock(self.db, body.lock_id)
        return Settling(settled or lock)

    def _take(self, body: TakeBody) -> Outcome | Refused:
        lock = rows.find_lock(self.db, body.lock_id)
        if lock is None:
            return Refused(Reason.UNKNOWN_LOCK, body.lock_id.hex())
        wanted = rules.lot_of_outputs(body.outputs, self.book.keysets, self.now) if body.outputs else None
        if isinstance(wanted, Refused):
            return wanted
        no = rules.may_take(lock, body, wanted, self.now) or self._issued_before(body.outputs)
        if no:
            return no
        terms = lock.terms
        rows.end_lock(self.db, body.lock_id, "taken", self.now)
        if body.lease is not None:
            rows.move(self.db, terms.kind, locked=-terms.quantity, leased=terms.quantity)
            return self._start_lease(body.lease, terms.terms_hash, lambda c: self._record((), (), c.end, c))
        rows.move(self.db, terms.kind, locked=-terms.quantity, outstanding=terms.quantity)
        return self._mint(body.outputs, self._record((), body.outputs, terms.take_until))

    def _redeem(self, body: RedeemBody) -> Outcome | Refused:
        given = rules.lot_of_notes(body.inputs, self.book.keysets, self.now)
        if isinstance(given, Refused):
            return given
        if no := rules.may_redeem(given, body) or self._spent_before(body.inputs):
            return no
        rows.move(self.db, given.kind, outstanding=-given.quantity, leased=given.quantity)

        def record(contract: Contract) -> int:
            number = self._record(body.inputs, (), contract.end, contract)
            self._spend(body.inputs, number)
            return number

        return self._start_lease(body.lease, given.terms_hash, record)

    def _extend(self, body: ExtendBody) -> Outcome | Refused:
        contract = rows.find_lease(self.db, body.lease_id)
        if contract is None:
            return Refused(Reason.UNKNOWN_LEASE, body.lease_id.hex())
        given = rules.lot_of_notes(body.inputs, self.book.keysets, self.now)
        if isinstance(given, Refused):
            return given
        no = rules.may_extend(contract, given, body.keep, self.now) or self._spent_before(body.inputs)
        if no:
            return no
        longer = with_fields(
            contract,
            terms=with_fields(contract.terms, quantity=body.keep),
            end=after(contract.end, term(contract.terms.kind)),
            version=contract.version + 1,
        )
        given_up = contract.terms.quantity - body.keep
        number = self._record(body.inputs, (), longer.end, longer)
        self._spend(body.inputs, number)
        rows.move(self.db, given.kind, outstanding=-given.quantity, leased=-given_up)
        rows.renew_lease(self.db, longer, number)
        return Leasing(longer)

    # -- shared steps

    def _spent_before(self, notes: Sequence[Note]) -> No | None:
        for note in notes:
            number = self.book.numbers.get(note.keyset)
            spent = None if number is None else rows.find_spent(self.db, number, note_id(note))
            if spent is not None:
                return No(Refused(Reason.SPENT, spent.note.hex()), self.now, spent)
        return None

    def _issued_before(self, outputs: Sequence[BlindOutput]) -> Refused | None:
        if any(rows.is_issued(self.db, self.book.numbers[o.keyset], o) for o in outputs):
            return Refused(Reason.CONFLICT, "an output was signed before; restore gives the signature again")
        return None

    def _record(
        self,
        inputs: Sequence[Note],
        outputs: Sequence[BlindOutput],
        until: Instant | None = None,
        contract: Contract | None = None,
    ) -> int:
        purges = [self.book.keysets[item.keyset].announcement.purge_at for item in (*inputs, *outputs)]
        keep = after(max([*purges, until or self.now]), KEEP_AFTER)
        return rows.add_request(
            self.db, self.case.request, self.now, keep, None if contract is None else encode(contract)
        )

    def _spend(self, notes: Sequence[Note], number: int) -> None:
        for note, witness in zip(notes, self.case.witnesses, strict=False):  # a holder's witness may follow
            keyset = self.book.numbers[note.keyset]
            rows.add_spent(self.db, keyset, note_id(note), note.quantity, number, witness)

    def _mint(self, outputs: tuple[BlindOutput, ...], number: int) -> Minting:
        for output in outputs:
            rows.add_issued(self.db, self.book.numbers[output.keyset], output, number)
        return Minting(self.now, outputs)

    def _start_lease(self, lease: LeaseTerms, terms_hash: Hash, record: Callable[[Contract], int]) -> Leasing:
        end = after(self.now, term(lease.kind))
        lease_id = lease_id_of(self.case.request)
        contract = Contract(lease_id, self.book.node, lease, terms_hash, self.now, end, version=1)
        rows.add_lease(self.db, contract, record(contract))
        return Leasing(contract)


def _no(answer: Lot | Refused) -> Refused:
    if isinstance(answer, Refused):
        return answer
    raise InvariantBroken("a lot is not a refusal")


# -- questions


def _tell(db: Db, book: Book, body: StateBody, now: Instant) -> Telling:
    found = [rows.find_spent(db, number, note) for note in body.notes for number in book.numbers.values()]
    locks = [rows.find_lock(db, lock_id) for lock_id in body.locks]
    return Telling(now, tuple(s for s in found if s is not None), tuple(x for x in locks if x is not None))


def _restore(db: Db, book: Book, body: RestoreBody, now: Instant) -> Minting:
    def signed_before(output: BlindOutput) -> bool:
        number = book.numbers.get(output.keyset)
        return number is not None and rows.is_issued(db, number, output)

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
