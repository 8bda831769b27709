"""A month in few lines, for the person: what was traded, what stands, what it is worth; trouble only where it is."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction

from nanobarter.core.errors import UsageError
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import MIB, Instant, show_size
from nanobarter.translator.entries import LEASES_GIVEN, NOTES_ISSUED
from nanobarter.translator.ledger import Entry, Ledger, read_balance, read_deals, read_entries
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import REFERENCE_DAYS, Deal, Rates

_TROUBLE = {
    "expenses:lost": "of space that others owed you was spent by another copy of your wallet",
    "expenses:lapsed": "of space that others owed you ran out before it was used",
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


def report(ledger: Ledger, store: Store, month: str) -> Report:
    """Return the report of a month; ``ledger`` and ``store`` are of one node. Raises UsageError for no month."""
    since, until = month_span(month)
    standing = store.read_now(read_balance)
    entries = store.read_now(lambda db: read_entries(db, 0, _ROWS_MAX, since, until))
    deals = store.read_now(lambda db: read_deals(db, _ROWS_MAX, since, until))
    return tell(month, standing, entries, deals, ledger.rates(), ledger.pet)


def tell(
    month: str, standing: Standings, entries: Sequence[Entry], deals: Sequence[Deal], rates: Rates, pet: Pet
) -> Report:
    """Return the report of what stands now and what moved in the month."""
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
    lines = [*_lines(figures), *_trouble(moved), _bottom(pet, worth, change, unpriced)]
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


def _lines(f: dict[str, int]) -> list[str]:
    lines = list[str]()
    if f["agreements"]:
        times = "once" if f["agreements"] == 1 else f"{f['agreements']} times"
        peers = "1 peer" if f["peers"] == 1 else f"{f['peers']} peers"
        got, gave = show_size(f["got_bytes"]), show_size(f["gave_bytes"])
        lines.append(f"traded {times} this month: got {got} of space at {peers}, for {gave} given")
    else:
        lines.append("no trade this month")
    kept, free = show_size(f["leases_bytes"]), show_size(f["notes_bytes"])
    lines.append(f"others keep {kept} for you, and owe you {free} more whenever you need it")
    lent, owed = show_size(f["lent_bytes"]), show_size(f["promised_bytes"])
    lines.append(f"you keep {lent} for others, and owe them {owed} more whenever they ask")
    if f["used_bytes"] or f["served_bytes"]:
        used, served = show_size(f["used_bytes"]), show_size(f["served_bytes"])
        lines.append(f"kept for a full term, and done with: {used} by others for you, {served} by you for others")
    return lines


def _trouble(moved: Sequence[tuple[str, Quality, int]]) -> list[str]:
    found = {what: _sum(moved, account) for account, what in _TROUBLE.items()}
    return [f"attention: {show_size(MIB * amount)} {what}" for what, amount in found.items() if amount]


def _bottom(pet: Pet, worth: Fraction, change: Fraction, unpriced: int) -> str:
    """Tell the balance, and what it means: who owes whom, and how much that is in space."""
    rest = f" (without {show_size(MIB * unpriced)} that nobody can put a price on yet)" if unpriced else ""
    size = f"about {show_size(int(abs(worth) / pet.unit) * MIB)} for {REFERENCE_DAYS} days at a good peer"
    if not round(worth * 100):
        means = "you owe others as much as they owe you"
    elif worth < 0:
        means = f"you owe others more than they owe you, {size}"
    else:
        means = f"others owe you more than you owe them, {size}"
    moved = "no change" if not round(change * 100) else f"{'up' if change > 0 else 'down'} {pet.show(abs(change))}"
    return f"balance {pet.show(worth)}: {means}; {moved} this month{rest}"
