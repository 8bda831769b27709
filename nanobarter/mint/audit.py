"""The mint counts itself anew: every total from the things it totals, every row against what it claims.

It runs on the last commit, reads only, and believes no running number. What it cannot see: rows deleted together
with every number that counts them, and a history rewritten with new seals; only promises that others hold can
show those.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from nanobarter.core.canonical import decode
from nanobarter.core.errors import LocalFault, Malformed
from nanobarter.core.keys import Signed
from nanobarter.core.units import Quantity
from nanobarter.mint.messages import Contract, LockTerms, Preimage, lock_id_of
from nanobarter.mint.notes import check_announcement
from nanobarter.mint.rows import ROW_BYTES_MAX, Db, seal_of
from nanobarter.mint.rsa import modulus_of

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One thing that does not add up: the row, the MiB that are off or in doubt, and what is wrong."""

    row: str
    quantity: Quantity
    problem: str


def audit(db: Db) -> list[Finding]:
    """Return everything that does not add up, in the order of the tables. Reads every row of the mint once."""
    parts: tuple[Callable[[Db], Iterator[Finding]], ...] = (
        _totals,
        _keysets,
        _keys,
        _requests,
        _issued,
        _spent,
        _locks,
        _leases,
        _balances,
        _marks,
    )
    return [finding for part in parts for finding in part(db)]


def _found(table: str, name: object, quantity: int, problem: str) -> Finding:
    shown = name.hex() if isinstance(name, bytes) else str(name)
    return Finding(f"{table} {shown}", Quantity(quantity), problem)


def _read(data: bytes, kind: type[T]) -> T | None:
    try:
        return decode(data, kind, size_max=ROW_BYTES_MAX)
    except Malformed:
        return None


_SUMS: Final = {
    "outstanding": "SELECT coalesce(sum((issued - spent) * quantity), 0) FROM mint_keys "
    "JOIN mint_keysets ON number = keyset WHERE closed = 0 AND kind = ?",
    "locked": "SELECT coalesce(sum(quantity), 0) FROM mint_locks WHERE ended = '' AND kind = ?",
    "leased": "SELECT coalesce(sum(quantity), 0) FROM mint_leases WHERE ended = 0 AND kind = ?",
    "reserved": "SELECT coalesce(sum(quantity), 0) FROM mint_reservations WHERE kind = ?",
}

_KINDS: Final = (
    "SELECT kind FROM mint_keysets UNION SELECT kind FROM mint_locks "
    "UNION SELECT kind FROM mint_leases UNION SELECT kind FROM mint_reservations"
)


def _totals(db: Db) -> Iterator[Finding]:
    rows = db.execute("SELECT kind, pledged, outstanding, locked, leased, reserved FROM mint_totals").fetchall()
    for kind, pledged, *totals in rows:
        promised = 0
        for (name, sql), total in zip(_SUMS.items(), totals, strict=True):
            counted = db.execute(sql, (kind,)).fetchone()[0]
            promised += counted
            if counted != total:
                yield _found("mint_totals", kind, total - counted, f"{name} is {total} MiB, counted {counted} MiB")
        if promised > pledged:
            yield _found("mint_totals", kind, promised - pledged, f"{promised} MiB promised of {pledged} MiB pledged")
    for kind in sorted({kind for (kind,) in db.execute(_KINDS)} - {row[0] for row in rows}):
        promised = sum(db.execute(sql, (kind,)).fetchone()[0] for sql in _SUMS.values())
        yield _found("mint_totals", kind, promised, f"{promised} MiB promised of a kind that has no totals")


def _keysets(db: Db) -> Iterator[Finding]:
    sql = "SELECT number, keyset_id, kind, generation, issue_from, redeem_until, purge_at, signed FROM mint_keysets"
    for number, keyset_id, *columns, signed in db.execute(sql).fetchall():
        opened = _read(signed, Signed)
        try:
            keyset = None if opened is None else check_announcement(opened)
        except Malformed:
            keyset = None
        if keyset is None:
            yield _found("mint_keysets", keyset_id, 0, "its announcement is not a signed keyset")
            continue
        a = keyset.announcement
        if keyset.keyset_id != keyset_id:
            yield _found("mint_keysets", keyset_id, 0, "its id is not that of its announcement")
        if columns != [a.kind, a.generation, a.issue_from, a.redeem_until, a.purge_at]:
            yield _found("mint_keysets", keyset_id, 0, "its columns are not those of its announcement")
        yield from _moduli(db, number, keyset_id, dict(keyset.moduli))


def _moduli(db: Db, number: int, keyset_id: bytes, announced: dict[Quantity, int]) -> Iterator[Finding]:
    for quantity, private in db.execute("SELECT quantity, private FROM mint_keys WHERE keyset = ?", (number,)):
        try:
            modulus = modulus_of(private)
        except LocalFault:
            modulus = 0
        if announced.pop(quantity, None) != modulus:
            yield _found("mint_keys", f"{keyset_id.hex()}/{quantity}", quantity, "its key is not the announced one")
    for quantity in announced:
        yield _found("mint_keys", f"{keyset_id.hex()}/{quantity}", quantity, "an announced key is missing")


def _keys(db: Db) -> Iterator[Finding]:
    sql = "SELECT keyset, quantity, issued, spent FROM mint_keys JOIN mint_keysets ON number = keyset WHERE closed < 2"
    counted = {
        table: {
            (keyset, quantity): many
            for keyset, quantity, many in db.execute(
                f"SELECT keyset, quantity, count(*) FROM mint_{table} GROUP BY keyset, quantity"  # noqa: S608 - two names
            )
        }
        for table in ("issued", "spent")
    }
    for keyset, quantity, issued, spent in db.execute(sql).fetchall():
        name = f"{keyset}/{quantity}"
        for table, many in (("issued", issued), ("spent", spent)):
            rows = counted[table].pop((keyset, quantity), 0)
            if rows != many:
                yield _found("mint_keys", name, (many - rows) * quantity, f"{table} is {many}, counted {rows} rows")
        if spent > issued:
            yield _found("mint_keys", name, (spent - issued) * quantity, f"{spent} notes spent of {issued} issued")
    purging = {number for (number,) in db.execute("SELECT number FROM mint_keysets WHERE closed = 2")}
    for table, left in counted.items():
        for (keyset, quantity), many in left.items():
            if keyset not in purging:
                yield _found(f"mint_{table}", f"{keyset}/{quantity}", many * quantity, "no such key was ever made")


def _requests(db: Db) -> Iterator[Finding]:
    sql = "SELECT number, request_id, committed_at, keep_until, result, seal FROM mint_requests"
    for _number, request, at, keep_until, result, seal in db.execute(sql):
        contract = None if result is None else _read(result, Contract)
        size = 0 if contract is None else contract.terms.quantity
        if seal != seal_of(request, at, keep_until, result):
            yield _found("mint_requests", request, size, "the row was changed")
        elif result is not None and contract is None:
            yield _found("mint_requests", request, 0, "its result is not a contract")


def _issued(db: Db) -> Iterator[Finding]:
    yield from _sealed(db, "mint_issued", "output")


def _spent(db: Db) -> Iterator[Finding]:
    yield from _sealed(db, "mint_spent", "note")


def _sealed(db: Db, table: str, name: str) -> Iterator[Finding]:
    sql = (
        f"SELECT t.*, r.number FROM {table} AS t LEFT JOIN mint_requests AS r ON r.number = t.request "  # noqa: S608 - two names
        "WHERE t.keyset NOT IN (SELECT number FROM mint_keysets WHERE closed = 2)"
    )
    for *columns, seal, request in db.execute(sql):
        quantity = columns[2]
        if seal != seal_of(*columns):
            yield _found(table, columns[1], quantity, "the row was changed")
        if request is None:
            yield _found(table, columns[1], quantity, f"no request accounts for this {name}")


def _locks(db: Db) -> Iterator[Finding]:
    sql = (
        "SELECT l.*, r.number, l.lock_id, l.kind, l.quantity, l.terms, l.take_until, l.preimages FROM mint_locks AS l "
        "LEFT JOIN mint_requests AS r ON r.number = l.request"
    )
    for *columns, seal, request, lock_id, kind, quantity, raw, take_until, preimages in db.execute(sql):
        if seal != seal_of(*columns):
            yield _found("mint_locks", lock_id, quantity, "the row was changed")
        if request is None:
            yield _found("mint_locks", lock_id, quantity, "no request accounts for this lock")
        terms = _read(raw, LockTerms)
        problem = "its terms cannot be read" if terms is None else _lock_problem(terms, preimages)
        if terms is not None and (lock_id, kind, quantity, take_until) != _columns_of(terms):
            off = quantity - terms.quantity
            yield _found("mint_locks", lock_id, off or quantity, "its columns are not those of its terms")
        if problem:
            yield _found("mint_locks", lock_id, quantity, problem)


def _columns_of(terms: LockTerms) -> tuple[Any, ...]:
    return (lock_id_of(terms.agreement, terms.index), terms.kind, terms.quantity, terms.take_until)


def _lock_problem(terms: LockTerms, preimages: bytes) -> str:
    if not preimages:
        return ""
    secrets = _read(preimages, tuple[Preimage, ...]) or ()
    fits = tuple(hashlib.sha256(s).digest() for s in secrets) == terms.hashes
    return "" if fits else "it is open, and its preimages are not those of its hashes"


def _leases(db: Db) -> Iterator[Finding]:
    sql = (
        "SELECT l.*, r.number, l.lease_id, l.kind, l.quantity, l.ends, l.contract FROM mint_leases AS l "
        "LEFT JOIN mint_requests AS r ON r.number = l.request"
    )
    for *columns, seal, request, lease_id, kind, quantity, ends, raw in db.execute(sql):
        if seal != seal_of(*columns):
            yield _found("mint_leases", lease_id, quantity, "the row was changed")
        if request is None:
            yield _found("mint_leases", lease_id, quantity, "no request accounts for this lease")
        contract = _read(raw, Contract)
        if contract is None:
            yield _found("mint_leases", lease_id, quantity, "its contract cannot be read")
        elif (lease_id, kind, quantity, ends) != (
            contract.lease_id,
            contract.terms.kind,
            contract.terms.quantity,
            contract.end,
        ):
            off = quantity - contract.terms.quantity
            yield _found("mint_leases", lease_id, off or quantity, "its columns are not those of its contract")


def _balances(db: Db) -> Iterator[Finding]:
    """Compare what each request took in notes with what it gave: notes, a lock or a contract.

    Only requests young enough that none of the keysets they touched can have been purged.
    """
    row = db.execute("SELECT value FROM mint_marks WHERE name = 'now'").fetchone()
    kept = db.execute("SELECT min(purge_at - redeem_until) FROM mint_keysets").fetchone()[0]
    since = (row[0] if row else 0) - (kept or 0)
    sums = {
        table: dict(db.execute(f"SELECT request, sum(quantity) FROM mint_{table} GROUP BY request").fetchall())  # noqa: S608 - as above
        for table in ("spent", "issued", "locks")
    }
    sql = "SELECT number, request_id, result FROM mint_requests WHERE committed_at > ?"
    for number, request, result in db.execute(sql, (since,)):
        contract = None if result is None else _read(result, Contract)
        taken = sums["spent"].get(number, 0)
        given = sums["issued"].get(number, 0) + sums["locks"].get(number, 0)
        given += 0 if contract is None else contract.terms.quantity
        if given == 0:
            yield _found("mint_requests", request, taken, "it was honoured, and nothing is left of it")
        elif taken not in (0, given):
            yield _found("mint_requests", request, given - taken, f"{taken} MiB taken, {given} MiB given")


def _marks(db: Db) -> Iterator[Finding]:
    marks = dict(db.execute("SELECT name, value FROM mint_marks").fetchall())
    newest = db.execute("SELECT max(committed_at) FROM mint_requests").fetchone()[0] or 0
    for name in ("now", "alive"):
        if name not in marks:
            yield _found("mint_marks", name, 0, "the mark is missing")
    if marks.get("now", newest) < newest:
        yield _found("mint_marks", "now", 0, "time has run back: requests were honoured later than now")
