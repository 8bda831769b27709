"""What time alone changes: notes leave the sum, locks lapse, leases end, old rows are reclaimed in bounded steps."""

from dataclasses import dataclass
from typing import Final

from nanobarter.core.ids import LeaseId, LockId
from nanobarter.core.units import Instant, Span, after, before
from nanobarter.mint import rows
from nanobarter.mint.events import PromisesLapsed
from nanobarter.mint.lapses import lapses
from nanobarter.mint.pledge import drop_reservation
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import KEEP_AFTER

_TURN_MAX: Final = 1000  # promises that end in one turn; the next sweep takes the others


@dataclass(frozen=True)
class Swept:
    """What has run out: the leases that ended, and the promises that lapsed, some of which were told before."""

    leases: list[LeaseId]
    lapsed: list[PromisesLapsed]


def sweep(db: Db, now: Instant, rows_max: int) -> Swept:
    """End what has run out and reclaim at most so many old rows."""
    _drop_reservations(db, now)
    closed = _close_keysets(db, now) + _lapse_locks(db, now)
    lapsed = lapses(db) if closed else []  # before the purge, which may follow at once after a long absence
    ended = _end_leases(db, now)
    _purge(db, now, rows_max)
    return Swept(ended, lapsed)


def _drop_reservations(db: Db, now: Instant) -> None:
    found = db.execute("SELECT purpose FROM mint_reservations WHERE until <= ? LIMIT ?", (now, _TURN_MAX)).fetchall()
    for (purpose,) in found:
        drop_reservation(db, purpose)


def _close_keysets(db: Db, now: Instant) -> int:
    found = db.execute(
        "SELECT number, kind FROM mint_keysets WHERE closed = 0 AND redeem_until <= ?", (now,)
    ).fetchall()
    for number, kind in found:
        rows.close_keyset(db, number, kind)
    return len(found)


def _lapse_locks(db: Db, now: Instant) -> int:
    found = db.execute(
        "SELECT lock_id, kind, quantity FROM mint_locks WHERE ended = '' AND take_until <= ? LIMIT ?", (now, _TURN_MAX)
    ).fetchall()
    for lock_id, kind, quantity in found:
        rows.end_lock(db, LockId(lock_id), "lapsed", now)
        rows.move(db, kind, locked=-quantity)
    return len(found)


def _end_leases(db: Db, now: Instant) -> list[LeaseId]:
    found = db.execute(
        "SELECT lease_id, kind, quantity FROM mint_leases WHERE ended = 0 AND ends <= ? LIMIT ?", (now, _TURN_MAX)
    ).fetchall()
    for lease_id, kind, quantity in found:
        rows.end_lease(db, LeaseId(lease_id))
        rows.move(db, kind, leased=-quantity)
    return [LeaseId(lease_id) for lease_id, _, _ in found]


def _purge(db: Db, now: Instant, rows_max: int) -> None:
    db.execute("UPDATE mint_keysets SET closed = 2 WHERE closed = 1 AND purge_at <= ?", (now,))
    left = rows_max
    for (number,) in db.execute("SELECT number FROM mint_keysets WHERE closed = 2").fetchall():
        left -= _purge_keyset(db, number, left)
    old = before(now, Span(KEEP_AFTER))
    left -= _delete(db, "mint_locks", "lock_id", "ended <> '' AND take_until <= ?", (old, max(left, 0)))
    left -= _delete(db, "mint_leases", "lease_id", "ended = 1 AND ends <= ?", (old, max(left, 0)))
    _purge_requests(db, now, max(left, 0) // 2)


def _purge_requests(db: Db, now: Instant, requests_max: int) -> None:
    sql = "SELECT number, result FROM mint_requests WHERE keep_until <= ? LIMIT ?"
    old = list[tuple[int]]()
    for number, result in db.execute(sql, (now, requests_max)).fetchall():
        ends = None if result is None else rows.lease_end(db, result)
        if ends is None:
            old.append((number,))
        else:  # the lease was extended since: its first contract can be asked for as long as its last
            rows.keep_request(db, number, after(ends, KEEP_AFTER))
    spans = [(rows.witness_number(number, 0), rows.witness_number(number + 1, 0)) for (number,) in old]
    db.executemany("DELETE FROM mint_witnesses WHERE number >= ? AND number < ?", spans)
    db.executemany("DELETE FROM mint_requests WHERE number = ?", old)


def _purge_keyset(db: Db, number: int, rows_max: int) -> int:
    """Delete up to so many rows of a keyset, and the keyset itself once none are left."""
    spent = _delete(db, "mint_spent", "note", "keyset = ?", (number, max(rows_max, 0)), also="keyset = ? AND ")
    left = max(rows_max - spent, 0)
    issued = _delete(db, "mint_issued", "output", "keyset = ?", (number, left), also="keyset = ? AND ")
    if spent + issued < rows_max:
        db.execute("DELETE FROM mint_keys WHERE keyset = ?", (number,))
        db.execute("DELETE FROM mint_keysets WHERE number = ?", (number,))
    return spent + issued


def _delete(db: Db, table: str, key: str, where: str, values: tuple[int, int], also: str = "") -> int:
    inner = f"SELECT {key} FROM {table} WHERE {where} LIMIT ?"  # noqa: S608 - names from this file alone
    sql = f"DELETE FROM {table} WHERE {also}{key} IN ({inner})"  # noqa: S608 - as above
    return db.execute(sql, (values[0], *values) if also else values).rowcount
