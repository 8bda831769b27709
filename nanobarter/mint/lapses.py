"""Promises of this mint that lapsed: counted from the rows, so that a ledger can ask again after a crash."""

from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.events import PromisesLapsed
from nanobarter.mint.rows import Db


def lapses(db: Db) -> list[PromisesLapsed]:
    """Return what lapsed and is not purged yet, the earliest first.

    A lock on the mint's own free space was a promise to others only once it was opened.
    """
    notes = db.execute(
        "SELECT s.keyset_id, s.kind, sum((k.issued - k.spent) * k.quantity) AS quantity, s.redeem_until AS at "
        "FROM mint_keysets AS s JOIN mint_keys AS k ON k.keyset = s.number "
        "WHERE s.closed > 0 GROUP BY s.number HAVING sum((k.issued - k.spent) * k.quantity) > 0"
    ).fetchall()
    locks = db.execute(
        "SELECT lock_id, kind, quantity, ended_at FROM mint_locks "
        "WHERE ended = 'lapsed' AND (fresh = 0 OR outcome = 'opened')",
    ).fetchall()
    found = [
        PromisesLapsed(b"lapsed" + name, LeaseKind(kind), Quantity(quantity), Instant(at))
        for name, kind, quantity, at in (*notes, *locks)
    ]
    return sorted(found, key=lambda lapse: (lapse.at, lapse.name))
