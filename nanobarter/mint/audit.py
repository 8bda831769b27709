"""The mint counts itself anew: every total from the things it totals, every row against what it claims."""

from dataclasses import dataclass

from nanobarter.core.units import Quantity
from nanobarter.mint.rows import Db


@dataclass(frozen=True)
class Finding:
    """One thing that does not add up: the row, the MiB that are off, and what is wrong."""

    row: str
    quantity: Quantity
    problem: str


def audit(db: Db) -> list[Finding]:
    """Return everything that does not add up."""
    return [*_totals(db)]


_SUMS = {
    "outstanding": "SELECT coalesce(sum((issued - spent) * quantity), 0) FROM mint_keys "
    "JOIN mint_keysets ON number = keyset WHERE closed = 0 AND kind = ?",
    "locked": "SELECT coalesce(sum(quantity), 0) FROM mint_locks WHERE ended = '' AND kind = ?",
    "leased": "SELECT coalesce(sum(quantity), 0) FROM mint_leases WHERE ended = 0 AND kind = ?",
    "reserved": "SELECT coalesce(sum(quantity), 0) FROM mint_reservations WHERE kind = ?",
}


def _totals(db: Db) -> list[Finding]:
    found = list[Finding]()
    for kind, *totals in db.execute("SELECT kind, outstanding, locked, leased, reserved FROM mint_totals"):
        for (name, sql), total in zip(_SUMS.items(), totals, strict=True):
            counted = db.execute(sql, (kind,)).fetchone()[0]
            if counted != total:
                found.append(
                    Finding(f"mint_totals {kind}", Quantity(total - counted), f"{name} is {total}, counted {counted}")
                )
    return found
