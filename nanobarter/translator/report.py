"""A month in few lines, for the person: what was traded, what stands, what it is worth; trouble only where it is."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

from nanobarter.core.errors import UsageError
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import MIB, Instant, show_size
from nanobarter.translator.budget import month_of
from nanobarter.translator.entries import LEASES_GIVEN, NOTES_ISSUED
from nanobarter.translator.ledger import Entry, Ledger, read_balance, read_deals, read_entries
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import REFERENCE_DAYS, Deal, Rates

_TROUBLE = {
    "expenses:lost": "of space that others owed you was spent by another copy of your wallet",
    "expenses:lapsed": "of space that others owed you ran out before it was used",
    "expenses:retired": "of space that others owed you was retired by its issuer, which lost its store and began anew",
    "expenses:cheated": "of space that others owed you is lost: its issuer signed falsely",
    "expenses:wronged": "was given in an exchange that never paid you",
}
_ROWS_MAX = 1_000_000
Standings = Sequence[tuple[str, Quality, int]]


@dataclass(frozen=True)
class Report:
    """One month. Sizes are bytes; ``worth`` and ``change`` are decimal text in the pet currency."""

    month: str
    agreements: int
    peers: int
    gave_bytes: int
    got_bytes: int
    used_bytes: int
    served_bytes: int
    notes_bytes: int
    leases_bytes: int
    lent_bytes: int
    promised_bytes: int
    worth: str
    change: str
    unpriced: int
    lines: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain values that JSON takes."""
        return {"type": "report", **asdict(self), "lines": list(self.lines)}


def month_span(month: str) -> tuple[Instant, Instant]:
    """Return the first instant of a month and of the next one (UTC). Raises UsageError unless it is like 2026-11."""
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", month)
    if found is None or not int(found[1]):
        raise UsageError(f"{month!r} is not a month", hint="write it like 2026-11")
    year, number = int(found[1]), int(found[2])
    begin = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC) if (year, number) != (9999, 12) else begin
    return Instant(int(begin.timestamp() * 1000)), Instant(int(end.timestamp() * 1000))


def report(ledger: Ledger, store: Store, month: str, *, this: str = "") -> Report:
    """Return the report of a month, when ``this`` is the one of now (empty: the same one).

    ``ledger`` and ``store`` are of one node. Raises UsageError for no month.
    """
    since, until = month_span(month)
    standing = store.read_now(read_balance)
    entries = store.read_now(lambda db: read_entries(db, 0, _ROWS_MAX, since, until))
    deals = store.read_now(lambda db: read_deals(db, _ROWS_MAX, since, until))
    told = tell(month, standing, entries, deals, ledger.rates(), ledger.pet, current=month == (this or month))
    if (
        why := _outside(store.read_now(lambda db: read_entries(db, 0, 1, 0, 2**62)), month, this or month)
    ) and not entries:
        return replace(told, lines=(why,))
    return told


def _outside(first: Sequence[Entry], month: str, this: str) -> str:
    """Tell why nothing can be known of a month, if so."""
    if month > this:
        return f"{month} lies in the future: it is {this} now"
    if month == this or (first and first[0].at < month_span(month)[1]):
        return ""
    return f"nothing is known of {month}: the book " + (f"begins in {month_of(first[0].at)}" if first else "is empty")


def tell(
    month: str,
    standing: Standings,
    entries: Sequence[Entry],
    deals: Sequence[Deal],
    rates: Rates,
    pet: Pet,
    *,
    current: bool = True,
) -> Report:
    """Return the report of what stands now and what moved in the month; if another is ``current``, it says so."""
    moved = [(p.account, p.quality, p.amount) for entry in entries for p in entry.postings]
    worth, unpriced = _worth(standing, rates, pet)
    change, _ = _worth(moved, rates, pet)
    figures = {
        "agreements": len(deals),
        "peers": len({deal.got.issuer for deal in deals}),
        "gave_bytes": MIB * sum(deal.gave_quantity for deal in deals),
        "got_bytes": MIB * sum(deal.got_quantity for deal in deals),
        "used_bytes": MIB * _sum(moved, "expenses:used"),
        "served_bytes": -MIB * _sum(moved, "income:served"),
        "notes_bytes": MIB * (_sum(standing, "assets:notes") + _sum(standing, "assets:locked")),
        "leases_bytes": MIB * _sum(standing, "assets:leases"),
        "lent_bytes": -MIB * _sum(standing, LEASES_GIVEN),
        "promised_bytes": -MIB * _sum(standing, NOTES_ISSUED),
    }
    if current:
        lines = [*_moved(figures), *_stands(figures), *_kept(figures), *_trouble(moved)]
        lines.append(f"{_bottom(pet, worth)}; {_change(pet, change)} this month{_rest(unpriced)}")
    else:
        lines = [*_moved(figures, "in that month"), *_kept(figures), *_trouble(moved)]
        lines.append(f"your balance in that month, at the rates of now: {_change(pet, change)}")
        lines += [f"as of now: {line}" for line in (*_stands(figures), _bottom(pet, worth) + _rest(unpriced))]
    return Report(
        month=month,
        worth=pet.number(worth),
        change=pet.number(change),
        unpriced=unpriced,
        lines=tuple(lines),
        **figures,
    )


def _sum(rows: Iterable[tuple[str, Quality, int]], account: str) -> int:
    return sum(amount for name, _, amount in rows if name == account or name.startswith(account + ":"))


def _worth(rows: Iterable[tuple[str, Quality, int]], rates: Rates, pet: Pet) -> tuple[Fraction, int]:
    """Return the worth of assets less liabilities, and how many MiB of assets nobody can price."""
    total, unpriced = Fraction(0), 0
    sums = dict[Quality, int]()
    for account, quality, amount in rows:
        if account.startswith(("assets:", "liabilities:")):
            sums[quality] = sums.get(quality, 0) + amount
    for quality, amount in sums.items():
        figure = rates.figure(quality)
        if figure is None:
            unpriced += abs(amount)
        else:
            total += pet.amount(amount, figure)
    return total, unpriced


def _moved(f: dict[str, int], when: str = "this month") -> list[str]:
    lines = list[str]()
    if f["agreements"]:
        times = "once" if f["agreements"] == 1 else f"{f['agreements']} times"
        peers = "1 peer" if f["peers"] == 1 else f"{f['peers']} peers"
        got, gave = show_size(f["got_bytes"]), show_size(f["gave_bytes"])
        lines.append(f"traded {times} {when}: got {got} of space at {peers}, for {gave} given")
    else:
        lines.append(f"no trade {when}")
    return lines


def _stands(f: dict[str, int]) -> list[str]:
    lines = list[str]()
    kept, free = show_size(f["leases_bytes"]), show_size(f["notes_bytes"])
    lines.append(f"others keep {kept} for you, and owe you {free} more whenever you need it")
    lent, owed = show_size(f["lent_bytes"]), show_size(f["promised_bytes"])
    lines.append(f"you keep {lent} for others, and owe them {owed} more whenever they ask")
    return lines


def _kept(f: dict[str, int]) -> list[str]:
    lines = list[str]()
    if f["used_bytes"] or f["served_bytes"]:
        used, served = show_size(f["used_bytes"]), show_size(f["served_bytes"])
        lines.append(f"kept for a full term, and done with: {used} by others for you, {served} by you for others")
    return lines


def _trouble(moved: Sequence[tuple[str, Quality, int]]) -> list[str]:
    found = {what: _sum(moved, account) for account, what in _TROUBLE.items()}
    return [f"attention: {show_size(MIB * amount)} {what}" for what, amount in found.items() if amount]


def _rest(unpriced: int) -> str:
    return f" (without {show_size(MIB * unpriced)} that nobody can put a price on yet)" if unpriced else ""


def _change(pet: Pet, change: Fraction) -> str:
    return "no change" if not round(change * 100) else f"{'up' if change > 0 else 'down'} {pet.show(abs(change))}"


def _bottom(pet: Pet, worth: Fraction) -> str:
    """Tell the balance, and what it means: who owes whom, and how much that is in space."""
    size = f"about {show_size(int(abs(worth) / pet.unit) * MIB)} for {REFERENCE_DAYS} days at a good peer"
    if not round(worth * 100):
        means = "you owe others as much as they owe you"
    elif worth < 0:
        means = f"you owe others more than they owe you, {size}"
    else:
        means = f"others owe you more than you owe them, {size}"
    return f"balance {pet.show(worth)}: {means}"
