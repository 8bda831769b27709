"""What a mint may promise: each operation judged on frozen facts, without a clock, a database or a key.

The mint can lose its owner's disk, and a stranger's note, in three ways: by promising more than it has, by
honouring one thing twice, and by settling a lock for both sides. So every function here answers either with
what shall change or with ``Refused``; the tables hold the same laws once more as constraints. Facts come from
the tables, ``now`` from the durable clock, and signatures were checked before (``operations``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import Hash, KeysetId, NodeId, sha256
from nanobarter.core.keys import Signed
from nanobarter.core.units import DAY, HOUR, Instant, LeaseKind, Quantity, Span, after, before, span_between, term
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.messages import (
    BlindOutput,
    LeaseTerms,
    LockTerms,
    Note,
    OpenBody,
    Preimage,
    RedeemBody,
    TakeBody,
    lock_id_of,
)
from nanobarter.mint.notes import Keyset
from nanobarter.mint.receipts import shows_settled

EPOCH_SPAN: Final = HOUR
OUTAGE_GRACE: Final = Span(24 * HOUR)  # after a restart: time enough for everyone's opens to come through
KEEP_AFTER: Final = Span(14 * DAY)  # how long an ended lock or lease, and its request, can still be asked for
LOCK_SPAN_MAX: Final = Span(45 * DAY)  # 35 days to take, the ring itself, and slack

LockOutcome = Literal["", "opened", "returned"]
LockEnd = Literal["", "taken", "lapsed", "freed"]
Keysets = Mapping[KeysetId, Keyset]


@dataclass(frozen=True)
class Lot:
    """So much of one kind under one set of terms: what notes come to, or outputs ask for."""

    kind: LeaseKind
    terms_hash: Hash
    quantity: Quantity


@dataclass(frozen=True)
class Lock:
    """A lock as the tables have it. Its life: '' -> opened | returned, then -> taken | lapsed | freed."""

    terms: LockTerms
    fresh: bool
    locked_at: Instant
    outcome: LockOutcome
    outcome_at: Instant
    how: Literal["", "refund", "release"]
    preimages: tuple[Preimage, ...]
    ended: LockEnd


@dataclass(frozen=True)
class Outage:
    """A span in which this mint may have been deaf; refunds wait for it."""

    start: Instant
    end: Instant


def epoch_of(at: Instant) -> int:
    """Return the epoch (whole hours since 1970) in which totals of this instant are signed."""
    return at // EPOCH_SPAN


def fresh_enough(valid_until: Instant, now: Instant, valid_max: Span) -> Refused | None:
    """Refuse what comes after its ``valid_until``, or would stay a live cheque for too long.

    Twice the bound that wallets keep: their clocks may be behind.
    """
    if now > valid_until:
        return Refused(Reason.EXPIRED, "the request came after its valid_until")
    if valid_until > now + 2 * valid_max:
        return Refused(Reason.CLOCK_OFF, "valid_until is too far ahead")
    return None


def lot_of_notes(notes: Sequence[Note], keysets: Keysets, now: Instant) -> Lot | Refused:
    """Return what the notes come to. They must be redeemable, of one kind and terms, and all different."""
    if not notes:
        return Refused(Reason.UNBALANCED, "no notes are given")
    if len({n.key for n in notes}) != len(notes):
        return Refused(Reason.CONFLICT, "a note is given twice")
    for note in notes:
        keyset = keysets.get(note.keyset)
        if keyset is None:
            return Refused(Reason.UNKNOWN_KEYSET, note.keyset.hex())
        if not keyset.redeemable(now):
            return Refused(Reason.RETIRED_KEYSET, note.keyset.hex())
    return _lot(notes, keysets)


def lot_of_outputs(outputs: Sequence[BlindOutput], keysets: Keysets, now: Instant) -> Lot | Refused:
    """Return what the outputs ask for. Their keysets must be issuing, of one kind and terms."""
    if not outputs:
        return Refused(Reason.UNBALANCED, "no outputs are asked for")
    if len({o.blinded for o in outputs}) != len(outputs):
        return Refused(Reason.CONFLICT, "an output is asked for twice")
    for output in outputs:
        keyset = keysets.get(output.keyset)
        if keyset is None or output.quantity not in keyset.moduli:
            return Refused(Reason.UNKNOWN_KEYSET, output.keyset.hex())
        if not keyset.issuing(now):
            return Refused(Reason.RETIRED_KEYSET, f"{output.keyset.hex()} does not issue now")
        if int.from_bytes(output.blinded, "big") >= keyset.moduli[output.quantity]:
            return Refused(Reason.MALFORMED, "a blinded message is not below its modulus")
    return _lot(outputs, keysets)


def _lot(items: Sequence[Note] | Sequence[BlindOutput], keysets: Keysets) -> Lot | Refused:
    qualities = {(keysets[i.keyset].announcement.kind, keysets[i.keyset].terms_hash) for i in items}
    if len(qualities) != 1:
        return Refused(Reason.WRONG_TERMS, "several kinds or terms in one request")
    ((kind, terms_hash),) = qualities
    return Lot(kind, terms_hash, Quantity(sum(i.quantity for i in items)))


def same_lot(given: Lot, wanted: Lot) -> Refused | None:
    """Refuse unless both sides agree in kind, terms and quantity."""
    if (given.kind, given.terms_hash) != (wanted.kind, wanted.terms_hash):
        return Refused(Reason.WRONG_TERMS, "what is wanted is of another kind or other terms")
    if given.quantity != wanted.quantity:
        return Refused(Reason.UNBALANCED, f"{given.quantity} MiB given, {wanted.quantity} MiB wanted")
    return None


def room(free: int, quantity: int) -> Refused | None:
    """Refuse what free pledged space does not cover."""
    if quantity > free:
        return Refused(Reason.NO_CAPACITY, f"{quantity} MiB wanted, {free} MiB free")
    return None


def may_lock(  # noqa: PLR0911 - one line per rule
    terms: LockTerms, given: Lot, mint: NodeId, now: Instant
) -> Refused | None:
    """Judge the terms of a new lock against what pays for it."""
    if terms.issuer != mint:
        return Refused(Reason.WRONG_MINT, "the terms name another issuer")
    if terms.lock_id != lock_id_of(terms.agreement, terms.index) or terms.index >= len(terms.hashes):
        return Refused(Reason.MALFORMED, "the lock id is not that of its agreement and arc")
    if len(set(terms.hashes)) != len(terms.hashes):
        return Refused(Reason.MALFORMED, "two parties have the same hash")
    if terms.quantity < 1 or terms.delta < 1:
        return Refused(Reason.MALFORMED, "a lock of nothing, or without a delta")
    if terms.deadline <= now:
        return Refused(Reason.TOO_LATE, "the deadline of the lock has passed")
    if not terms.deadline < terms.take_until <= after(now, LOCK_SPAN_MAX):
        return Refused(Reason.MALFORMED, "take_until is before the deadline or too far ahead")
    return same_lot(given, Lot(terms.kind, terms.terms_hash, terms.quantity))


def may_open(lock: Lock, body: OpenBody, now: Instant) -> Refused | None:
    """Judge an open. Too late, it needs proof that arc j-1 was settled; what is refused leaves no trace.

    Arc 0 may be opened at any time before it is refunded: its deadline is the last, and its giver, the proposer,
    opens the ring. Without the rule of proof an issuer could turn a late open away and use its preimages.
    """
    terms = lock.terms
    fits = len(body.preimages) == len(terms.hashes) and all(
        sha256(s) == h for s, h in zip(body.preimages, terms.hashes, strict=True)
    )
    if not fits:
        return Refused(Reason.BAD_SIGNATURE, "these are not the preimages of this lock")
    if lock.outcome == "opened":
        return None
    if lock.outcome == "returned":
        return Refused(Reason.TOO_LATE, "the lock was returned")
    if lock.ended:
        return Refused(Reason.TOO_LATE, "the lock has lapsed")
    if now <= terms.deadline or terms.index == 0 or _proof_holds(terms, body.proof):
        return None
    return Refused(Reason.TOO_LATE, "after the deadline an open needs the receipt of the arc before")


def _proof_holds(terms: LockTerms, proof: Signed | None) -> bool:
    return proof is not None and shows_settled(
        proof, terms.previous_issuer, terms.agreement, lock_id_of(terms.agreement, terms.index - 1)
    )


def may_refund(lock: Lock, outages: Sequence[Outage], now: Instant) -> Refused | None:
    """Judge a refund: after the deadline; 24 h after the restart if opens may have been missed before it."""
    if refused := _may_return(lock):
        return refused
    if lock.outcome == "returned":
        return None
    terms = lock.terms
    if now <= terms.deadline:
        return Refused(Reason.NOT_YET, "the deadline of the lock has not passed")
    start = before(terms.deadline, terms.delta)
    allowed = max(
        (after(o.end, OUTAGE_GRACE) for o in outages if o.start < terms.deadline and o.end > start), default=0
    )
    if now < allowed:
        return Refused(Reason.NOT_YET, "this mint was away before the deadline; refunds wait for 24 h")
    return None


def surely_pending(lock: Lock, restored: Instant) -> Refused | None:
    """Refuse to give a lock on own space back that stands in a copy: it may have been released, or opened, since.

    A refund would then be a second word about it, which convicts the mint. Nobody else has anything of it: the space
    is free again when the lock lapses. Those made of others' notes are refunded, for these have nothing else.
    """
    if lock.fresh and not lock.outcome and lock.locked_at <= restored:
        return Refused(Reason.NOT_YET, "the lock is older than what this mint remembers; it ends when it lapses")
    return None


def may_release(lock: Lock) -> Refused | None:
    """Judge a release: its receiver gives it back at any time before it is opened."""
    return _may_return(lock)


def _may_return(lock: Lock) -> Refused | None:
    if lock.outcome == "opened":
        return Refused(Reason.TOO_LATE, "the lock was opened")
    if lock.outcome == "" and lock.ended:
        return Refused(Reason.TOO_LATE, "the lock has lapsed")
    return None


def may_take(lock: Lock, body: TakeBody, wanted: Lot | None, now: Instant) -> Refused | None:
    """Judge a take: once, for the whole quantity, into notes of the same terms or into a lease."""
    if lock.ended:
        return Refused(Reason.CONFLICT, f"the lock was {lock.ended}")
    if lock.outcome == "":
        return Refused(Reason.NOT_YET, "the lock is neither opened nor returned")
    if now >= lock.terms.take_until:
        return Refused(Reason.TOO_LATE, "take_until has passed")
    whole = Lot(lock.terms.kind, lock.terms.terms_hash, lock.terms.quantity)
    if (wanted is None) == (body.lease is None):
        return Refused(Reason.MALFORMED, "a take asks for notes or for a lease")
    if body.lease is not None:
        return lease_fits(whole, body.lease)
    return same_lot(whole, wanted or whole)


def may_redeem(given: Lot, body: RedeemBody) -> Refused | None:
    """Judge a redemption: the lease is exactly what the notes come to."""
    return lease_fits(given, body.lease)


def lease_fits(given: Lot, lease: LeaseTerms) -> Refused | None:
    """Refuse unless the lease is exactly the lot."""
    if lease.quantity < 1:
        return Refused(Reason.MALFORMED, "a lease of nothing")
    return same_lot(given, Lot(lease.kind, given.terms_hash, lease.quantity))


def may_extend(contract: Contract, given: Lot, keep: Quantity, now: Instant) -> Refused | None:
    """Judge an extension: a running lease, paid in notes of its own kind and terms, at most one term ahead."""
    if now >= contract.end:
        return Refused(Reason.TOO_LATE, "the lease has ended")
    if span_between(now, contract.end) > term(contract.terms.kind):
        return Refused(Reason.NOT_YET, "the lease is already extended by a term")
    if not 1 <= keep <= contract.terms.quantity:
        return Refused(Reason.UNBALANCED, f"a lease of {contract.terms.quantity} MiB cannot keep {keep} MiB")
    if keep < contract.terms.quantity and span_between(now, contract.end) > shrink_within(contract.terms.kind):
        return Refused(Reason.NOT_YET, "a lease can be made smaller in the last half of its term only")
    return same_lot(given, Lot(contract.terms.kind, contract.terms_hash, keep))


def shrink_within(kind: LeaseKind) -> Span:
    """Return how long before its end a lease may be made smaller.

    Earlier a contract that is shown proves its full size, which lets strangers add up what a mint has leased.
    """
    return Span(term(kind) // 2)
