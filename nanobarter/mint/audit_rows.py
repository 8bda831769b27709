"""Each row of the mint against what it claims: its seal, its request, the signed or hashed bytes beside it."""

import hashlib
from collections.abc import Iterator
from typing import Any

from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.findings import Finding, found, read
from nanobarter.mint.messages import LockTerms, Preimage, lock_id_of
from nanobarter.mint.rows import Db, seal_of


def requests(db: Db) -> Iterator[Finding]:
    """Compare each request with its seal and its contract."""
    sql = "SELECT number, request_id, committed_at, keep_until, result, seal FROM mint_requests"
    for _number, request, at, keep_until, result, seal in db.execute(sql):
        contract = None if result is None else read(result, Contract)
        size = 0 if contract is None else contract.terms.quantity
        if seal != seal_of(request, at, keep_until, result):
            yield found("mint_requests", request, size, "the row was changed")
        elif result is not None and contract is None:
            yield found("mint_requests", request, 0, "its result is not a contract")


def issued(db: Db) -> Iterator[Finding]:
    """Compare each issued output with its seal and its request."""
    sql = (
        "SELECT t.keyset, t.output, t.quantity, t.request, t.seal, r.number FROM mint_issued AS t "
        "LEFT JOIN mint_requests AS r ON r.number = t.request "
        "WHERE t.keyset NOT IN (SELECT number FROM mint_keysets WHERE closed = 2)"
    )
    for *columns, seal, request in db.execute(sql):
        if seal != seal_of(*columns):
            yield found("mint_issued", columns[1], columns[2], "the row was changed")
        if request is None:
            yield found("mint_issued", columns[1], columns[2], "no request accounts for this output")


def spent(db: Db) -> Iterator[Finding]:
    """Compare each spent note with its seal, its witness and its request."""
    sql = (
        "SELECT t.keyset, t.note, t.quantity, t.request, w.witness, t.seal, r.number FROM mint_spent AS t "
        "LEFT JOIN mint_requests AS r ON r.number = t.request "
        "LEFT JOIN mint_witnesses AS w ON w.number = 64 * t.request + t.place "
        "WHERE t.keyset NOT IN (SELECT number FROM mint_keysets WHERE closed = 2)"
    )
    for *columns, seal, request in db.execute(sql):
        if columns[-1] is None:
            yield found("mint_spent", columns[1], columns[2], "the witness that spent it is missing")
        elif seal != seal_of(*columns):
            yield found("mint_spent", columns[1], columns[2], "the row or its witness was changed")
        if request is None:
            yield found("mint_spent", columns[1], columns[2], "no request accounts for this note")


def witnesses(db: Db) -> Iterator[Finding]:
    """Look for witnesses of nothing. Once a keyset is purged, its witnesses remain until their requests go."""
    sql = (
        "SELECT w.number FROM (SELECT number FROM mint_witnesses "
        "EXCEPT SELECT 64 * request + place FROM mint_spent) AS w "
        "LEFT JOIN mint_requests AS r ON r.number = w.number / 64 "
        "WHERE r.number IS NULL OR r.committed_at > ?"
    )
    for (number,) in db.execute(sql, (young(db),)):
        yield found("mint_witnesses", number, 0, "no note was spent by this witness")


def locks(db: Db) -> Iterator[Finding]:
    """Compare each lock with its seal, its request, its terms and its preimages."""
    sql = (
        "SELECT l.*, r.number, l.lock_id, l.kind, l.quantity, l.terms, l.take_until, l.preimages FROM mint_locks AS l "
        "LEFT JOIN mint_requests AS r ON r.number = l.request"
    )
    for *columns, seal, request, lock_id, kind, quantity, raw, take_until, preimages in db.execute(sql):
        if seal != seal_of(*columns):
            yield found("mint_locks", lock_id, quantity, "the row was changed")
        if request is None:
            yield found("mint_locks", lock_id, quantity, "no request accounts for this lock")
        terms = read(raw, LockTerms)
        problem = "its terms cannot be read" if terms is None else _lock_problem(terms, preimages)
        if terms is not None and (lock_id, kind, quantity, take_until) != _columns_of(terms):
            off = quantity - terms.quantity
            yield found("mint_locks", lock_id, off or quantity, "its columns are not those of its terms")
        if problem:
            yield found("mint_locks", lock_id, quantity, problem)


def _columns_of(terms: LockTerms) -> tuple[Any, ...]:
    return (lock_id_of(terms.agreement, terms.index), terms.kind, terms.quantity, terms.take_until)


def _lock_problem(terms: LockTerms, preimages: bytes) -> str:
    if not preimages:
        return ""
    secrets = read(preimages, tuple[Preimage, ...]) or ()
    fits = tuple(hashlib.sha256(s).digest() for s in secrets) == terms.hashes
    return "" if fits else "it is open, and its preimages are not those of its hashes"


def leases(db: Db) -> Iterator[Finding]:
    """Compare each lease with its seal, its request and its contract."""
    sql = (
        "SELECT l.*, r.number, l.lease_id, l.kind, l.quantity, l.ends, l.contract FROM mint_leases AS l "
        "LEFT JOIN mint_requests AS r ON r.number = l.request"
    )
    for *columns, seal, request, lease_id, kind, quantity, ends, raw in db.execute(sql):
        if seal != seal_of(*columns):
            yield found("mint_leases", lease_id, quantity, "the row was changed")
        if request is None:
            yield found("mint_leases", lease_id, quantity, "no request accounts for this lease")
        contract = read(raw, Contract)
        if contract is None:
            yield found("mint_leases", lease_id, quantity, "its contract cannot be read")
        elif (lease_id, kind, quantity, ends) != (
            contract.lease_id,
            contract.terms.kind,
            contract.terms.quantity,
            contract.end,
        ):
            off = quantity - contract.terms.quantity
            yield found("mint_leases", lease_id, off or quantity, "its columns are not those of its contract")


def young(db: Db) -> int:
    """Return a time since when no keyset that a request can have touched was purged."""
    row = db.execute("SELECT value FROM mint_marks WHERE name = 'now'").fetchone()
    kept = db.execute("SELECT min(purge_at - redeem_until) FROM mint_keysets").fetchone()[0]
    return (row[0] if row else 0) - (kept or 0)


def balances(db: Db) -> Iterator[Finding]:
    """Compare what each young request took in notes with what it gave: notes, a lock or a contract."""
    sums = {
        table: dict(db.execute(f"SELECT request, sum(quantity) FROM mint_{table} GROUP BY request").fetchall())  # noqa: S608 - as above
        for table in ("spent", "issued", "locks")
    }
    sql = "SELECT number, request_id, result FROM mint_requests WHERE committed_at > ?"
    for number, request, result in db.execute(sql, (young(db),)):
        contract = None if result is None else read(result, Contract)
        taken = sums["spent"].get(number, 0)
        given = sums["issued"].get(number, 0) + sums["locks"].get(number, 0)
        given += 0 if contract is None else contract.terms.quantity
        if given == 0:
            yield found("mint_requests", request, taken, "it was honoured, and nothing is left of it")
        elif taken not in (0, given):
            yield found("mint_requests", request, given - taken, f"{taken} MiB taken, {given} MiB given")
