"""Reading and moving the mint's rows; each function is one step inside a transaction of the caller's.

Nothing is judged here (``rules`` does), but a step that finds other rows than it was promised raises
InvariantBroken, which undoes the whole change and stops the node.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken
from nanobarter.core.ids import Hash, KeysetId, LeaseId, LockId, NoteId, RequestId, Signature, sha256
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint import pending
from nanobarter.mint.answer_messages import Contract, SpentState
from nanobarter.mint.messages import NOTES_MAX, LockTerms, Preimage
from nanobarter.mint.rules import Lock

ROW_BYTES_MAX = 16 * 1024  # what is read back was bounded when it was written

Db = sqlite3.Connection


@dataclass(frozen=True)
class Recorded:
    """A request that was honoured: when, and the contract it led to, if any."""

    at: Instant
    result: bytes | None


def one(db: Db, sql: str, *values: Any) -> tuple[Any, ...] | None:
    """Return the first row, or None."""
    return db.execute(sql, values).fetchone()


def change_one(db: Db, sql: str, *values: Any) -> None:
    """Run a statement that must change exactly one row."""
    if db.execute(sql, values).rowcount != 1:
        raise InvariantBroken(f"a row that was there before is gone: {sql.partition(' WHERE')[0]}")


def seal_of(*values: Any) -> bytes:
    """Return the checksum over a row's other columns, in the order of the table."""
    return sha256(encode(values))[:8]


def _reseal(db: Db, table: str, key: str, value: bytes) -> None:
    """Renew the seal of a row that was changed."""
    row = one(db, f"SELECT * FROM {table} WHERE {key} = ?", value)  # noqa: S608 - names from this file alone
    if row is None:
        raise InvariantBroken(f"a row of {table} that was just changed is gone")
    change_one(db, f"UPDATE {table} SET seal = ? WHERE {key} = ?", seal_of(*row[:-1]), value)  # noqa: S608 - as above


# -- totals


def free(db: Db, kind: LeaseKind) -> int:
    """Return the pledged space of a kind that no promise covers; zero for a kind that is not offered."""
    row = one(db, "SELECT pledged - outstanding - locked - leased - reserved FROM mint_totals WHERE kind = ?", kind)
    return 0 if row is None else row[0]


def move(db: Db, kind: LeaseKind, *, outstanding: int = 0, locked: int = 0, leased: int = 0, reserved: int = 0) -> None:
    """Add to the running totals of a kind. The table refuses what would break the law."""
    change_one(
        db,
        "UPDATE mint_totals SET outstanding = outstanding + ?, locked = locked + ?, leased = leased + ?, "
        "reserved = reserved + ? WHERE kind = ?",
        outstanding,
        locked,
        leased,
        reserved,
        kind,
    )


# -- requests


def find_request(db: Db, request: RequestId) -> Recorded | None:
    """Return the record of an honoured request."""
    row = one(db, "SELECT committed_at, result FROM mint_requests WHERE request_id = ?", request)
    return None if row is None else Recorded(Instant(row[0]), row[1])


def add_request(db: Db, request: RequestId, at: Instant, keep_until: Instant, result: bytes | None = None) -> int:
    """Record a request as honoured and return its number."""
    done = db.execute(
        "INSERT INTO mint_requests (request_id, committed_at, keep_until, result, seal) VALUES (?, ?, ?, ?, ?)",
        (request, at, keep_until, result, seal_of(request, at, keep_until, result)),
    )
    if done.lastrowid is None:
        raise InvariantBroken("a request got no number")
    return done.lastrowid


def keep_request(db: Db, number: int, until: Instant) -> None:
    """Let a request be asked for until another time than was thought first."""
    row = one(db, "SELECT request_id, committed_at, result FROM mint_requests WHERE number = ?", number)
    if row is None:
        raise InvariantBroken("a request that is to be kept is gone")
    sql = "UPDATE mint_requests SET keep_until = ?, seal = ? WHERE number = ?"
    change_one(db, sql, until, seal_of(row[0], row[1], until, row[2]), number)


# -- notes


def is_issued(db: Db, keyset: int, output: Hash) -> bool:
    """Tell whether the output of this name was signed before."""
    return one(db, "SELECT 1 FROM mint_issued WHERE keyset = ? AND output = ?", keyset, output) is not None


def add_issued(db: Db, keyset: int, output: Hash, quantity: Quantity, *, request: int) -> None:
    """Record one output as issued."""
    row = (keyset, output, quantity, request)
    db.execute("INSERT INTO mint_issued VALUES (?, ?, ?, ?, ?)", (*row, seal_of(*row)))
    change_one(db, "UPDATE mint_keys SET issued = issued + 1 WHERE keyset = ? AND quantity = ?", keyset, quantity)


def find_spent(db: Db, keyset: int, note: NoteId) -> SpentState | None:
    """Return who spent a note, with the witness, or None."""
    row = one(db, "SELECT request, place FROM mint_spent WHERE keyset = ? AND note = ?", keyset, note)
    if row is None:
        return None
    sql = "SELECT request_id, witness FROM mint_requests, mint_witnesses WHERE mint_requests.number = ? AND "
    found = one(db, f"{sql} mint_witnesses.number = ?", row[0], witness_number(*row))
    if found is None:
        raise InvariantBroken(f"note {note.hex()} is spent, and who spent it is not known")
    return SpentState(note, *found)


def witness_number(request: int, place: int) -> int:
    """Return the number of the witness at a place among the notes that a request took."""
    return NOTES_MAX * request + place


def add_spent(
    db: Db, keyset: int, note: NoteId, quantity: Quantity, *, request: int, place: int, witness: Signature
) -> None:
    """Record one note as spent; ``place`` is its place among the notes of the request."""
    row = (keyset, note, quantity, request)
    db.execute("INSERT INTO mint_spent VALUES (?, ?, ?, ?, ?, ?)", (*row, place, seal_of(*row, witness)))
    db.execute("INSERT INTO mint_witnesses VALUES (?, ?)", (witness_number(request, place), witness))
    change_one(db, "UPDATE mint_keys SET spent = spent + 1 WHERE keyset = ? AND quantity = ?", keyset, quantity)


def close_keyset(db: Db, number: int, kind: LeaseKind) -> None:
    """Let the unspent notes of a keyset leave the sum: they are worth nothing from now on."""
    row = one(db, "SELECT coalesce(sum((issued - spent) * quantity), 0) FROM mint_keys WHERE keyset = ?", number)
    if row is None:
        raise InvariantBroken("a sum has no row")
    move(db, kind, outstanding=-row[0])
    change_one(db, "UPDATE mint_keysets SET closed = 1 WHERE number = ?", number)


def private_key(db: Db, keyset: KeysetId, quantity: Quantity) -> bytes | None:
    """Return the stored RSA key of a denomination; None once its keyset is purged."""
    sql = "SELECT private FROM mint_keysets LEFT JOIN mint_keys ON number = keyset AND quantity = ? WHERE keyset_id = ?"
    row = one(db, sql, quantity, keyset)
    if row is not None and row[0] is None:
        raise InvariantBroken(f"keyset {keyset.hex()} has lost its key for {quantity} MiB")
    return None if row is None else row[0]


# -- locks

_LOCK = "SELECT terms, fresh, locked_at, outcome, outcome_at, how, preimages, ended FROM mint_locks"


def _lock(row: Sequence[Any]) -> Lock:
    terms, fresh, locked_at, outcome, outcome_at, how, preimages, ended = row
    secrets = decode(preimages, tuple[Preimage, ...], size_max=ROW_BYTES_MAX) if preimages else ()
    whole = decode(terms, LockTerms, size_max=ROW_BYTES_MAX)
    return Lock(whole, bool(fresh), Instant(locked_at), outcome, Instant(outcome_at), how, secrets, ended)


def find_lock(db: Db, lock_id: LockId) -> Lock | None:
    """Return the lock of this id, or None."""
    row = one(db, f"{_LOCK} WHERE lock_id = ?", lock_id)
    return None if row is None else _lock(row)


def live_locks(db: Db) -> list[Lock]:
    """Return all locks that still hold space."""
    return [_lock(row) for row in db.execute(f"{_LOCK} WHERE ended = '' ORDER BY lock_id")]


def add_lock(db: Db, terms: LockTerms, *, fresh: bool, request: int, at: Instant) -> Lock:
    """Make a lock."""
    db.execute(
        "INSERT INTO mint_locks (lock_id, kind, quantity, terms, fresh, request, locked_at, take_until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (terms.lock_id, terms.kind, terms.quantity, encode(terms), fresh, request, at, terms.take_until),
    )
    _reseal(db, "mint_locks", "lock_id", terms.lock_id)
    return Lock(terms, fresh, at, "", Instant(0), "", (), "")


def open_lock(db: Db, lock_id: LockId, preimages: tuple[Preimage, ...], at: Instant) -> None:
    """Fix a lock for its receiver. The first outcome stays."""
    change_one(
        db,
        "UPDATE mint_locks SET outcome = 'opened', outcome_at = ?, preimages = ? "
        "WHERE lock_id = ? AND outcome = '' AND ended = ''",
        at,
        encode(preimages),
        lock_id,
    )
    pending.drop(db, lock_id)
    _reseal(db, "mint_locks", "lock_id", lock_id)


def return_lock(db: Db, lock_id: LockId, how: str, at: Instant) -> None:
    """Fix a lock for its giver. The first outcome stays."""
    change_one(
        db,
        "UPDATE mint_locks SET outcome = 'returned', outcome_at = ?, how = ? "
        "WHERE lock_id = ? AND outcome = '' AND ended = ''",
        at,
        how,
        lock_id,
    )
    pending.drop(db, lock_id)
    _reseal(db, "mint_locks", "lock_id", lock_id)


def end_lock(db: Db, lock_id: LockId, ended: str, at: Instant) -> None:
    """Let a lock hold space no longer."""
    change_one(db, "UPDATE mint_locks SET ended = ?, ended_at = ? WHERE lock_id = ? AND ended = ''", ended, at, lock_id)
    pending.drop(db, lock_id)
    _reseal(db, "mint_locks", "lock_id", lock_id)


# -- leases


def find_lease(db: Db, lease: LeaseId) -> Contract | None:
    """Return the newest contract of a lease that runs, or None."""
    row = one(db, "SELECT contract FROM mint_leases WHERE lease_id = ? AND ended = 0", lease)
    return None if row is None else decode(row[0], Contract, size_max=ROW_BYTES_MAX)


def lease_end(db: Db, contract: bytes) -> Instant | None:
    """Return when the lease of a contract ends or ended by its newest one; None once it is purged."""
    lease = decode(contract, Contract, size_max=ROW_BYTES_MAX).lease_id
    row = one(db, "SELECT ends FROM mint_leases WHERE lease_id = ?", lease)
    return None if row is None else Instant(row[0])


def live_leases(db: Db) -> list[Contract]:
    """Return the contracts of all leases that run."""
    rows = db.execute("SELECT contract FROM mint_leases WHERE ended = 0 ORDER BY lease_id")
    return [decode(row[0], Contract, size_max=ROW_BYTES_MAX) for row in rows]


def add_lease(db: Db, contract: Contract, request: int) -> None:
    """Start a lease."""
    terms = contract.terms
    db.execute(
        "INSERT INTO mint_leases (lease_id, kind, quantity, ends, contract, request) VALUES (?, ?, ?, ?, ?, ?)",
        (contract.lease_id, terms.kind, terms.quantity, contract.end, encode(contract), request),
    )
    _reseal(db, "mint_leases", "lease_id", contract.lease_id)


def renew_lease(db: Db, contract: Contract, request: int) -> None:
    """Put a newer contract in the place of a lease's former one, whose request may be forgotten before it ends."""
    change_one(
        db,
        "UPDATE mint_leases SET quantity = ?, ends = ?, contract = ?, request = ? WHERE lease_id = ? AND ended = 0",
        contract.terms.quantity,
        contract.end,
        encode(contract),
        request,
        contract.lease_id,
    )
    _reseal(db, "mint_leases", "lease_id", contract.lease_id)


def end_lease(db: Db, lease: LeaseId) -> None:
    """Let a lease hold space no longer."""
    change_one(db, "UPDATE mint_leases SET ended = 1 WHERE lease_id = ? AND ended = 0", lease)
    _reseal(db, "mint_leases", "lease_id", lease)
