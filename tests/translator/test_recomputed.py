"""At stake: figures that a person believes. What the report and the balance say must follow from the book's own rows.

The rows are those of the export for spreadsheets, and the sums are made here, by other code than the daemon's.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobarter.core.ids import AgreementId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.system import ManualClock
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.daemon import accounts
from nanobarter.daemon.accounts import Accounts
from nanobarter.translator.entries import Happening, RingOver
from nanobarter.translator.export import commodity, export
from nanobarter.translator.ledger import Ledger, read_entries
from nanobarter.translator.report import Report, report
from tests.translator.test_ledger import ACORN, ME, OTHERS, book_all, happenings, store_of

MONTHS = ("2023-11", "2023-12", "2024-01")  # those that happenings lie in
TROUBLES = ("lost", "lapsed", "retired", "cheated", "wronged")
MIB = 1_048_576
Rows = list[tuple[str, str, int, str]]
"""Month, account, MiB, commodity."""


def rows_of(text: str) -> Rows:
    return [
        (row["date"][:7], row["account"], int(row["amount_mib"]), row["commodity"])
        for row in csv.DictReader(io.StringIO(text))
    ]


def total(rows: Rows, *accounts: str, month: str = "") -> int:
    """Return the MiB of these accounts and those below them."""
    return sum(
        amount
        for when, account, amount, _ in rows
        if when.startswith(month) and any(f"{account}:".startswith(f"{name}:") for name in accounts)
    )


def worth(rows: Rows, value: Callable[[str], Fraction | None], month: str = "") -> tuple[str, int]:
    """Return what is owned less what is owed, in acorns, and how many MiB of it have no price."""
    sums, acorns, unpriced = defaultdict[str, int](int), Fraction(0), 0
    for when, account, amount, name in rows:
        if when.startswith(month) and account.split(":")[0] in ("assets", "liabilities"):
            sums[name] += amount
    for name, amount in sums.items():
        each = value(name)
        acorns, unpriced = (acorns, unpriced + abs(amount)) if each is None else (acorns + amount * each, unpriced)
    return f"{round(acorns * 100) / 100 + 0.0:.2f}", unpriced


@settings(max_examples=40)
@given(st.lists(happenings, max_size=15), st.sampled_from(MONTHS))
def test_what_is_reported_is_what_the_exported_rows_come_to(events: list[Happening], month: str) -> None:
    with store_of() as store:
        book_all(store, events)
        ledger = Ledger(store=store, node=ME, clock=ManualClock(Instant(1_700_000_000_000 + 61 * DAY)), pet=ACORN)
        told = report(ledger, store, month)
        entries = store.read_now(lambda db: read_entries(db, 0, 1000, 0, 2**62))
        rates = ledger.rates()
        figures = {
            commodity(q): rates.figure(q) for q in {posting.quality for entry in entries for posting in entry.postings}
        }
        standing = ledger.balance()
    rows = rows_of(export(entries, "csv"))

    def value(name: str) -> Fraction | None:
        figure = figures[name]
        return None if figure is None else figure.value * ACORN.unit

    check(told, rows, month)
    assert (told.worth, told.unpriced) == worth(rows, value)
    assert told.change == worth(rows, value, month)[0]
    by_account = defaultdict[tuple[str, str], int](int)
    for _, account, amount, name in rows:
        by_account[(account, name)] += amount
    assert {(s.account, commodity(s.quality)): s.amount for s in standing} == {k: v for k, v in by_account.items() if v}


def check(told: Report, rows: Rows, month: str) -> None:
    assert told.used_bytes == MIB * total(rows, "expenses:used", month=month)
    assert told.served_bytes == -MIB * total(rows, "income:served", month=month)
    assert told.notes_bytes == MIB * total(rows, "assets:notes", "assets:locked")
    assert told.leases_bytes == MIB * total(rows, "assets:leases")
    assert told.lent_bytes == -MIB * total(rows, "liabilities:leases")
    assert told.promised_bytes == -MIB * total(rows, "liabilities:notes")
    troubles = [total(rows, f"expenses:{what}", month=month) for what in TROUBLES]
    assert sum(line.startswith("attention: ") for line in told.lines) == sum(map(bool, troubles))
    assert told.lines[-1].startswith(f"balance {told.worth} ac: ")


async def test_the_ledger_shown_ends_with_what_happened_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ENTRIES_SHOWN_MAX", 3)
    with store_of() as store:
        mine, at = Quality(ME, LeaseKind("30d")), Instant(1_700_000_000_000)
        book_all(
            store,
            [RingOver(AgreementId(sha256(b"%d" % i)), "settled", (mine, Quantity(i)), at) for i in (1, 2, 3, 4, 5)],
        )
        shown = await Accounts(Ledger(store=store, node=ME, clock=ManualClock(at), pet=ACORN), store).ledger()
    assert [max(posting.amount for posting in entry.postings) for entry in shown.entries] == [3, 4, 5]


async def test_the_balance_shown_is_that_of_the_report() -> None:
    with store_of() as store:
        mine, theirs = Quality(ME, LeaseKind("30d")), Quality(OTHERS[0], LeaseKind("30d"))
        at = Instant(1_700_000_000_000)
        over = [
            RingOver(AgreementId(sha256(b"a")), "wronged", (mine, Quantity(7)), at),
            RingOver(AgreementId(sha256(b"b")), "owing", (theirs, Quantity(5)), at),
        ]
        book_all(store, list(over))
        ledger = Ledger(store=store, node=ME, clock=ManualClock(at), pet=ACORN)
        told, shown = report(ledger, store, "2023-11"), await Accounts(ledger, store).balance()
    assert shown.total == told.worth
    assert "attention: 7.3 MB was given in an exchange that never paid you" in told.lines
