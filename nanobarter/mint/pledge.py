"""What the owner pledges, and how it is promised: totals per kind, and space set aside for a purpose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.errors import Reason, Refused, UsageError
from nanobarter.core.units import MIB, Instant, LeaseKind, Quantity, show_size
from nanobarter.mint import rows
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import room


@dataclass(frozen=True)
class Capacity:
    """How the pledged space of one kind is promised, in MiB."""

    kind: LeaseKind
    pledged: Quantity
    outstanding: Quantity
    locked: Quantity
    leased: Quantity
    reserved: Quantity
    free: Quantity


def capacities(db: Db) -> list[Capacity]:
    """Return how the pledged space is promised, per kind."""
    sql = (
        "SELECT kind, pledged, outstanding, locked, leased, reserved, "
        "pledged - outstanding - locked - leased - reserved FROM mint_totals ORDER BY kind"
    )
    return [Capacity(*row) for row in db.execute(sql).fetchall()]


def reserve(
    db: Db, now: Instant, purpose: bytes, kind: LeaseKind, quantity: Quantity, until: Instant
) -> Refused | None:
    """Set free space aside for a purpose, in the place of what it had before."""
    held = rows.one(db, "SELECT quantity FROM mint_reservations WHERE purpose = ? AND kind = ?", purpose, kind)
    if until <= now or quantity < 1:
        return Refused(Reason.TOO_LATE, "a reservation of nothing, or until a time that has passed")
    if no := room(rows.free(db, kind) + (held[0] if held else 0), quantity):
        return no
    drop_reservation(db, purpose)
    rows.move(db, kind, reserved=quantity)
    db.execute("INSERT INTO mint_reservations VALUES (?, ?, ?, ?)", (purpose, kind, quantity, until))
    return None


def drop_reservation(db: Db, purpose: bytes) -> None:
    """Free what was set aside for a purpose; nothing happens when nothing was."""
    row = rows.one(db, "SELECT kind, quantity FROM mint_reservations WHERE purpose = ?", purpose)
    if row is not None:
        rows.change_one(db, "DELETE FROM mint_reservations WHERE purpose = ?", purpose)
        rows.move(db, row[0], reserved=-row[1])


@dataclass(frozen=True)
class Promise:
    """So much of a kind that is promised until an instant: as notes, a lock, a lease, or set aside."""

    what: Literal["notes", "lock", "lease", "reserved"]
    quantity: Quantity
    until: Instant


@dataclass(frozen=True)
class Blocked:
    """Why the pledge of a kind cannot be so small: what is promised, the first to end first."""

    kind: LeaseKind
    wanted: Quantity
    promised: Quantity
    promises: tuple[Promise, ...]

    def in_the_way(self) -> tuple[Promise, ...]:
        """Return the promises that have to end before the wanted pledge covers the others."""
        left, ended = self.promised, list[Promise]()
        for promise in self.promises:
            if left <= self.wanted:
                break
            left = Quantity(left - promise.quantity)
            ended.append(promise)
        return tuple(ended)


_PROMISES: Final = """
    SELECT 'notes', sum((issued - spent) * quantity) AS many, redeem_until AS until FROM mint_keys
    JOIN mint_keysets ON number = keyset WHERE closed = 0 AND kind = :kind GROUP BY redeem_until
    UNION ALL SELECT 'lock', quantity, take_until FROM mint_locks WHERE ended = '' AND kind = :kind
    UNION ALL SELECT 'lease', quantity, ends FROM mint_leases WHERE ended = 0 AND kind = :kind
    UNION ALL SELECT 'reserved', quantity, until FROM mint_reservations WHERE kind = :kind
    ORDER BY until
"""


def promises_of(db: Db, kind: LeaseKind) -> list[Promise]:
    """Return everything that is promised of a kind, the first to end first."""
    found = db.execute(_PROMISES, {"kind": kind}).fetchall()
    return [Promise(what, Quantity(quantity), Instant(until)) for what, quantity, until in found if quantity]


Besides = Callable[[Db, LeaseKind], Sequence[Promise]]
"""What the node has promised of its own space that its mint does not know of yet."""


def change_pledges(db: Db, pledged: Mapping[LeaseKind, Quantity], besides: Besides) -> list[Blocked]:
    """Pledge so much of each kind, or return what stands against it, changing nothing."""
    kinds = [kind for (kind,) in db.execute("SELECT kind FROM mint_totals ORDER BY kind").fetchall()]
    blocked = list[Blocked]()
    for kind in kinds:
        promises = sorted([*promises_of(db, kind), *besides(db, kind)], key=lambda p: p.until)
        promised, wanted = Quantity(sum(p.quantity for p in promises)), pledged.get(kind, Quantity(0))
        if promised > wanted:
            blocked.append(Blocked(kind, wanted, promised, tuple(promises)))
    if not blocked:
        set_pledges(db, pledged)
    return blocked


def set_pledges(db: Db, pledged: Mapping[LeaseKind, Quantity]) -> None:
    """Take over what the owner pledges now. Kinds not named are pledged no longer.

    Raises UsageError, changing nothing, when less is pledged of a kind than is promised, and says what of.
    """
    known = [kind for (kind,) in db.execute("SELECT kind FROM mint_totals").fetchall()]
    for kind in {*known, *pledged}:
        quantity = pledged.get(kind, Quantity(0))
        row = rows.one(db, "SELECT outstanding, locked, leased, reserved FROM mint_totals WHERE kind = ?", kind)
        if row is not None and sum(row) > quantity:
            notes, locks, leases, reserved = (show_size(q * MIB) for q in row)
            raise UsageError(
                f"{show_size(quantity * MIB)} of {kind} is less than what is promised: "
                f"{notes} in notes, {locks} in locks, {leases} in leases, {reserved} reserved",
                hint="offer more, or wait until these have ended",
            )
        db.execute(
            "INSERT INTO mint_totals (kind, pledged) VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET pledged = excluded.pledged",
            (kind, quantity),
        )
