"""The mint counts itself anew: every total from the things it totals, every row against what it claims.

It runs on the last commit, reads only, and believes no running number. Rows deleted together with every number that
counts them are missed by a head that was signed since (``audit_heads``). What it cannot see: rows that vanished before
their epoch's head was signed, and a history rewritten with new seals and new heads; only promises that others hold can
show those.
"""

from collections.abc import Callable, Iterator
from typing import Final

from nanobarter.core.errors import LocalFault, Malformed
from nanobarter.core.keys import Signed
from nanobarter.core.units import Quantity
from nanobarter.mint import audit_heads, audit_rows
from nanobarter.mint.findings import Finding, found, read
from nanobarter.mint.notes import check_announcement
from nanobarter.mint.rows import Db
from nanobarter.mint.rsa import modulus_of


def audit(db: Db) -> list[Finding]:
    """Return everything that does not add up, in the order of the tables. Reads every row of the mint once."""
    parts: tuple[Callable[[Db], Iterator[Finding]], ...] = (
        _totals,
        _keysets,
        _keys,
        audit_rows.requests,
        audit_rows.issued,
        audit_rows.spent,
        audit_rows.witnesses,
        audit_rows.locks,
        audit_rows.leases,
        audit_rows.balances,
        _marks,
        audit_heads.heads,
    )
    return [finding for part in parts for finding in part(db)]


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
                yield found("mint_totals", kind, total - counted, f"{name} is {total} MiB, counted {counted} MiB")
        if promised > pledged:
            yield found("mint_totals", kind, promised - pledged, f"{promised} MiB promised of {pledged} MiB pledged")
    for kind in sorted({kind for (kind,) in db.execute(_KINDS)} - {row[0] for row in rows}):
        promised = sum(db.execute(sql, (kind,)).fetchone()[0] for sql in _SUMS.values())
        yield found("mint_totals", kind, promised, f"{promised} MiB promised of a kind that has no totals")


def _keysets(db: Db) -> Iterator[Finding]:
    sql = "SELECT number, keyset_id, kind, generation, issue_from, redeem_until, purge_at, signed FROM mint_keysets"
    for number, keyset_id, *columns, signed in db.execute(sql).fetchall():
        opened = read(signed, Signed)
        try:
            keyset = None if opened is None else check_announcement(opened)
        except Malformed:
            keyset = None
        if keyset is None:
            yield found("mint_keysets", keyset_id, 0, "its announcement is not a signed keyset")
            continue
        a = keyset.announcement
        if keyset.keyset_id != keyset_id:
            yield found("mint_keysets", keyset_id, 0, "its id is not that of its announcement")
        if columns != [a.kind, a.generation, a.issue_from, a.redeem_until, a.purge_at]:
            yield found("mint_keysets", keyset_id, 0, "its columns are not those of its announcement")
        yield from _moduli(db, number, keyset_id, dict(keyset.moduli))


def _moduli(db: Db, number: int, keyset_id: bytes, announced: dict[Quantity, int]) -> Iterator[Finding]:
    for quantity, private in db.execute("SELECT quantity, private FROM mint_keys WHERE keyset = ?", (number,)):
        try:
            modulus = modulus_of(private)
        except LocalFault:
            modulus = 0
        if announced.pop(quantity, None) != modulus:
            yield found("mint_keys", f"{keyset_id.hex()}/{quantity}", quantity, "its key is not the announced one")
    for quantity in announced:
        yield found("mint_keys", f"{keyset_id.hex()}/{quantity}", quantity, "an announced key is missing")


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
                yield found("mint_keys", name, (many - rows) * quantity, f"{table} is {many}, counted {rows} rows")
        if spent > issued:
            yield found("mint_keys", name, (spent - issued) * quantity, f"{spent} notes spent of {issued} issued")
    purging = {number for (number,) in db.execute("SELECT number FROM mint_keysets WHERE closed = 2")}
    for table, left in counted.items():
        for (keyset, quantity), many in left.items():
            if keyset not in purging:
                yield found(f"mint_{table}", f"{keyset}/{quantity}", many * quantity, "no such key was ever made")


def _marks(db: Db) -> Iterator[Finding]:
    marks = dict(db.execute("SELECT name, value FROM mint_marks").fetchall())
    newest = db.execute("SELECT max(committed_at) FROM mint_requests").fetchone()[0] or 0
    for name in ("now", "alive"):
        if name not in marks:
            yield found("mint_marks", name, 0, "the mark is missing")
    if marks.get("now", newest) < newest:
        yield found("mint_marks", "now", 0, "time has run back: requests were honoured later than now")
