"""A mint whose database was damaged: whether its books are whole, and what of them goes on when they are not.

Whole means that its own audit finds nothing: seals, signatures, hashes and sums cover every row, so what a bad disk
has changed shows. Else nobody can tell which notes were spent, and the mint begins a new generation as one that was
put back from an old copy does (``restoration``). Leases and live locks go on where their rows' seals are good: what is
carried over is signed anew and adopted as if its holder had shown it, as far as the pledge has room.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import SigningKey, seal_signed
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity, Span, before
from nanobarter.mint import pledge, restoration, rows, times
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, DOMAIN_LOCKED, Contract, Locked
from nanobarter.mint.audit import audit
from nanobarter.mint.messages import LockTerms, Preimage
from nanobarter.mint.restoration import Remembered
from nanobarter.mint.rows import Db

Row = tuple[Any, ...]
_AHEAD_MAX: Final = DAY  # a mark of the clock that is further ahead is taken for damage
_LEASE_ENDED: Final = 6
_LOCK_ENDED: Final = 12


@dataclass(frozen=True)
class Carried:
    """How many leases and locks go on in the new generation, and how many rows of either were no good."""

    leases: int
    locks: int
    bad_rows: int


@dataclass(frozen=True)
class _OldLock:
    locked: Locked
    outcome: str
    outcome_at: Instant
    how: str
    preimages: tuple[Preimage, ...]


def is_whole(db: Db, mark: int | None) -> bool:
    """Tell whether the books that were copied are complete and the newest, by ``mark``, the counter beside the home."""
    return restoration.counted(db) >= (mark or 0) and not audit(db)


def begin_anew(
    db: Db,
    key: SigningKey,
    now: Instant,
    pledged: Mapping[LeaseKind, Quantity],
    *,
    leases: Iterable[Row] = (),
    locks: Iterable[Row] = (),
    marks: Iterable[Row] = (),
    mark: int | None = None,
) -> Carried:
    """Begin a new generation in empty books, and carry over what the old rows prove. In the caller's transaction.

    The rows are those of mint_leases, mint_locks and mint_marks as far as they can be read.
    """
    pledge.set_pledges(db, {kind: quantity for kind, quantity in pledged.items() if quantity > 0})
    alive = before(now, Span(DAY))
    for name, value in marks:
        if isinstance(value, int) and value <= now + _AHEAD_MAX:
            if name == "now":
                times.advance_time(db, Instant(value))
            elif name == "alive":
                alive = Instant(value)
    now = times.advance_time(db, now)
    times.mark_alive(db, alive, Span(0))  # so that the start notes that the mint was away, and refunds wait
    restoration.begin_generation(db, key, now)
    # The counter goes on: were it behind the one beside the home, the next start would begin another generation.
    db.execute("INSERT OR REPLACE INTO mint_memory VALUES (1, ?)", (mark or 0,))
    contracts, bad_leases = _contracts(leases)
    found, bad_locks = _locks(locks)
    shown = Remembered(
        contracts=tuple(seal_signed(key, DOMAIN_CONTRACT, c) for c in contracts),
        locked=tuple(seal_signed(key, DOMAIN_LOCKED, lock.locked) for lock in found),
    )
    adopted = restoration.adopt(db, key.node_id, shown, now)
    for lock in found:
        _settle(db, lock)
    return Carried(len(adopted), len(rows.live_locks(db)), bad_leases + bad_locks)


def _contracts(found: Iterable[Row]) -> tuple[list[Contract], int]:
    kept, bad = dict[bytes, Contract](), 0
    for row in found:
        if not _is_sealed(row):
            bad += 1
        elif not row[_LEASE_ENDED]:
            contract = decode(row[4], Contract, size_max=rows.ROW_BYTES_MAX)
            kept[contract.lease_id] = contract
    return list(kept.values()), bad


def _locks(found: Iterable[Row]) -> tuple[list[_OldLock], int]:
    kept, bad = dict[bytes, _OldLock](), 0
    for row in found:
        if not _is_sealed(row):
            bad += 1
        elif not row[_LOCK_ENDED]:
            terms = decode(row[3], LockTerms, size_max=rows.ROW_BYTES_MAX)
            secrets = decode(row[11], tuple[Preimage, ...], size_max=rows.ROW_BYTES_MAX) if row[11] else ()
            kept[terms.lock_id] = _OldLock(Locked(terms, Instant(row[6])), row[8], Instant(row[9]), row[10], secrets)
    return list(kept.values()), bad


def _is_sealed(row: Row) -> bool:
    try:
        return rows.seal_of(*row[:-1]) == row[-1]
    except (Malformed, TypeError, ValueError):
        return False


def _settle(db: Db, lock: _OldLock) -> None:
    lock_id = lock.locked.terms.lock_id
    taken_up = rows.find_lock(db, lock_id)
    if taken_up is None or taken_up.outcome:
        return
    if lock.outcome == "opened":
        rows.open_lock(db, lock_id, lock.preimages, lock.outcome_at)
    elif lock.outcome == "returned":
        rows.return_lock(db, lock_id, lock.how, lock.outcome_at)
