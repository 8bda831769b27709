"""At stake: a book that other people's programs refuse, or add up to something else, is no book."""

import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.translator.entries import Happening, PromisesLapsed, RingOver
from nanobarter.translator.export import commodity, export
from nanobarter.translator.ledger import Entry, read_balance, read_entries
from nanobarter.wallet.events import NotesReceived, NotesSpent
from tests.translator.test_ledger import ME, OTHERS, book_all, happenings, store_of

KIND = LeaseKind("30d")
SUMS = """
import sys
from collections import Counter
from beancount import loader
entries, errors, _ = loader.load_file(sys.argv[1])
assert not errors, errors
sums = Counter()
for entry in entries:
    for p in getattr(entry, "postings", None) or ():
        sums[p.account, p.units.currency] += int(p.units.number)
for (account, name), amount in sorted(sums.items()):
    if amount:
        print(account, name, amount)
"""
Balance = Mapping[tuple[str, str], int]
books = st.lists(happenings, min_size=1, max_size=25)
few = settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def booked(events: list[Happening]) -> tuple[list[Entry], Balance]:
    with store_of() as store:
        book_all(store, events)
        entries = store.read_now(lambda db: read_entries(db, 0, 10_000, 0, 2**62))
        return entries, {(account, commodity(q)): amount for account, q, amount in store.read_now(read_balance)}


@pytest.mark.skipif(find_spec("beancount") is None, reason="beancount is not installed: pip install beancount")
@few
@given(books)
def test_beancount_accepts_the_book_and_finds_the_same_balance(tmp_path: Path, events: list[Happening]) -> None:
    entries, balance = booked(events)
    file = tmp_path / "book.beancount"
    file.write_text(export(entries, "beancount"))
    subprocess.run([sys.executable, "-m", "beancount.scripts.check", str(file)], check=True, capture_output=True)
    told = subprocess.run([sys.executable, "-c", SUMS, str(file)], check=True, capture_output=True, text=True).stdout
    found = {(account.lower(), name): int(amount) for account, name, amount in map(str.split, told.splitlines())}
    assert found == balance


@pytest.mark.skipif(shutil.which("hledger") is None, reason="hledger is not installed: apt-get install hledger")
@few
@given(books)
def test_hledger_accepts_the_book_and_finds_the_same_balance(tmp_path: Path, events: list[Happening]) -> None:
    entries, balance = booked(events)
    file = tmp_path / "book.journal"
    file.write_text(export(entries, "hledger"))
    hledger = [shutil.which("hledger") or "", "-f", str(file)]
    subprocess.run([*hledger, "check", "--strict", "ordereddates"], check=True, capture_output=True)
    words = [*hledger, "register", "-O", "csv"]
    found = dict[tuple[str, str], int]()
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    for row in csv.DictReader(io.StringIO(told)):
        number, name = row["amount"].split(" ", 1)
        key = (row["account"], name.strip('"'))
        found[key] = found.get(key, 0) + int(number)
    assert {key: amount for key, amount in found.items() if amount} == balance


def test_what_a_ring_left_open_is_closed_when_it_ends() -> None:
    theirs, mine = Quality(OTHERS[0], KIND), Quality(ME, KIND)
    now, size = Instant(1_700_000_000_000), Quantity(7)

    def lock(number: int) -> Happening:
        return NotesSpent(theirs, size, "lock", b"lock%d" % number, now)

    def over(number: int, how: str, gave: Quality) -> Happening:
        return RingOver(number.to_bytes(32, "big"), how, (gave, size), now)  # pyright: ignore[reportArgumentType]

    received: Happening = NotesReceived(theirs, Quantity(100), "take", b"in", now)
    _, balance = booked([received, lock(1), over(1, "wronged", theirs), over(2, "wronged", mine)])
    whose, own = commodity(theirs), commodity(mine)
    assert {key[0].split(":nb1")[0]: amount for key, amount in balance.items() if key[1] == whose} == {
        "assets:notes": 93, "expenses:wronged": 7, "equity:exchange": -100,
    }  # fmt: skip
    assert balance["expenses:wronged", own] == 7
    assert balance["liabilities:notes", own] == -7
    _, balance = booked([received, over(1, "owing", theirs), lock(2), over(2, "aborted", theirs)])
    assert {key[0].split(":nb1")[0] for key in balance} == {"assets:notes", "equity:exchange"}
    _, balance = booked([received, lock(1), over(1, "lapsed", theirs)])
    assert {key[0].split(":nb1")[0] for key in balance} == {"assets:notes", "equity:exchange", "expenses:lapsed"}
    _, balance = booked([over(1, "settled", mine), PromisesLapsed(b"k", KIND, Quantity(7), now)])
    assert balance == {("equity:exchange", own): 7, ("income:unclaimed", own): -7}
