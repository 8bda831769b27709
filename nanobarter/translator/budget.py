"""A budget in the person's own currency: how much of her space the bots may give away in a month.

Own space is counted at par, as the yardstick of ``rates`` has it: thirty days of a MiB are one. What was given is read
from the book, with what a ring took a moment ago and is not booked yet, so neither a restart nor another order can
spend it again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from sqlite3 import Connection

from msgspec.structs import replace

from nanobarter.core.ids import NodeId
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.translator.orders import Order
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import REFERENCE_DAYS, days_of


@dataclass(frozen=True)
class Spent:
    """Of a month's budget: what it is, and what was given. Amounts of the pet currency."""

    budget: Fraction
    given: Fraction
    least: Fraction = Fraction(0)
    """What one MiB is worth: less than that cannot be given."""

    @property
    def left(self) -> Fraction:
        """What may still be given; not below zero."""
        return max(Fraction(0), self.budget - self.given)

    @property
    def is_nothing(self) -> bool:
        """Whether a whole month's budget gives nothing: it is zero, or less than a MiB is worth."""
        return not self.budget or self.budget < self.least

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more is ordered this month."""
        return not self.left or self.left < self.least


def month_of(now: Instant) -> str:
    """Return the month that an instant lies in, like 2026-11 (UTC)."""
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m")


def own_worth(quantity: int, kind: LeaseKind, pet: Pet) -> Fraction:
    """Return what so many MiB of one's own space are worth at par."""
    return quantity * Fraction(days_of(kind), REFERENCE_DAYS) * pet.unit


def read_given(db: Connection, node: NodeId, since: int, until: int) -> list[tuple[LeaseKind, int]]:
    """Return how much of a node's own space rings took in a span of time, by kind, also for nothing."""
    sql = """SELECT kind, sum(amount) FROM ledger_postings JOIN ledger_entries USING (entry)
             WHERE account IN ('equity:exchange', 'expenses:wronged') AND issuer = ? AND amount > 0
             AND at >= ? AND at < ? GROUP BY kind"""
    return [(LeaseKind(kind), given) for kind, given in db.execute(sql, (node, since, until))]


def spent(budget: Fraction, given: Iterable[tuple[LeaseKind, int]], pet: Pet, kinds: Collection[LeaseKind]) -> Spent:
    """Return what of a budget is used by what was given in its month, MiB; own space is given of these kinds."""
    least = min((own_worth(1, kind, pet) for kind in kinds), default=Fraction(0))
    return Spent(budget, sum((own_worth(quantity, kind, pet) for kind, quantity in given), Fraction(0)), least)


def within(orders: Sequence[Order], left: Fraction, me: NodeId, pet: Pet) -> list[Order]:
    """Return the orders that a budget still pays for, the first ones first; the last one may be cut.

    Orders that give others' notes cost nothing of it: those were paid for when they came.
    """
    found = list[Order]()
    for order in orders:
        if order.gives is not None and order.gives.issuer != me:
            found.append(order)
            continue
        kind = order.kind if order.gives is None else order.gives.kind
        quantity = min(order.quantity, int(left / own_worth(1, kind, pet)))
        left -= own_worth(quantity, kind, pet)
        if quantity > 0:
            found.append(replace(order, quantity=Quantity(quantity)))
    return found


def within_room(orders: Sequence[Order], room: int, me: NodeId) -> list[Order]:
    """Return the orders whose price in own space the disk still has room for, MiB, the first ones first.

    A note that is given out is a promise to store: one that the disk cannot keep would be found out by an audit.
    """
    found, left = list[Order](), max(0, room)
    for order in orders:
        own = order.gives is None or order.gives.issuer == me
        quantity = min(order.quantity, left) if own else order.quantity
        left -= quantity if own else 0
        if quantity > 0:
            found.append(replace(order, quantity=Quantity(quantity)))
    return found
