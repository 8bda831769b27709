"""A wrong ledger is worse than none: every entry sums to zero in each commodity, and nothing is booked twice."""

import csv
import io
import re
import sqlite3
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import InvariantBroken, UsageError
from nanobarter.core.ids import AgreementId, LeaseId, NodeId, PublicKey, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.messages import LeaseTerms
from nanobarter.translator.entries import (
    Draft,
    Happening,
    LeaseGiven,
    LeaseServed,
    Posting,
    PromisesLapsed,
    RingOver,
    Settled,
)
from nanobarter.translator.export import Format, export
from nanobarter.translator.ledger import Ledger, book, read_balance, read_entries, write_entry
from nanobarter.translator.pet import Pet
from nanobarter.translator.report import month_span, report
from nanobarter.translator.tables import MIGRATIONS
from nanobarter.wallet.events import LeaseEnded, LeaseReceived, NotesReceived, NotesSpent
from tests.wallet.world import HOLDER, world_of

ME, *OTHERS = (NodeId(sha256(b"node%d" % i)) for i in range(4))
ACORN = Pet.anchored("acorn", "ac", size_bytes=10**9, days=30, reliability=0.95, worth=Fraction(10))

nodes = st.sampled_from(OTHERS)
kinds = st.sampled_from([LeaseKind("7d"), LeaseKind("30d")])
qualities = st.builds(Quality, nodes, kinds)
own = st.builds(Quality, st.just(ME), kinds)
sizes = st.integers(1, 10**6).map(Quantity)
instants = st.integers(1_700_000_000_000, 1_700_000_000_000 + 60 * DAY).map(Instant)
keys = st.binary(min_size=1, max_size=4)
lease_ids = st.sampled_from([LeaseId(sha256(bytes([i]))) for i in range(3)])


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    terms = LeaseTerms(draw(kinds), draw(sizes), PublicKey(b"h" * 32))
    version, start = draw(st.integers(1, 3)), draw(instants)
    return Contract(draw(lease_ids), ME, terms, sha256(b"t"), start, Instant(start + 30 * DAY), version)


happenings: st.SearchStrategy[Happening] = st.one_of(
    st.builds(
        NotesReceived, qualities, sizes, st.sampled_from(["take", "returned", "token", "restore"]), keys, instants
    ),
    st.builds(
        NotesSpent,
        qualities,
        sizes,
        st.sampled_from(["lock", "redeem", "extend", "sent", "elsewhere", "lapsed", "cheated", "retired"]),
        keys,
        instants,
    ),
    st.builds(
        LeaseReceived,
        qualities,
        sizes,
        st.sampled_from(["take", "redeem", "extend"]),
        lease_ids,
        instants,
        keys,
        instants,
    ),
    st.builds(LeaseEnded, qualities, sizes, lease_ids, keys, instants),
    st.builds(
        Settled,
        st.binary(min_size=32, max_size=32).map(AgreementId),
        st.tuples(st.one_of(own, qualities), sizes),
        st.tuples(qualities, sizes),
        st.lists(nodes, min_size=2, max_size=4).map(tuple),
        instants,
    ),
    st.builds(
        RingOver,
        st.binary(min_size=32, max_size=32).map(AgreementId),
        st.sampled_from(["settled", "wronged", "owing", "lapsed", "aborted"]),
        st.tuples(st.one_of(own, qualities), sizes),
        instants,
    ),
    st.builds(PromisesLapsed, st.binary(min_size=8, max_size=8), kinds, sizes, instants),
    st.builds(LeaseGiven, contracts(), instants),
    st.builds(LeaseServed, lease_ids, instants),
)


@contextmanager
def store_of() -> Generator[Store]:
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "s", MIGRATIONS)
        yield store
        store.close()


def book_all(store: Store, events: Sequence[Happening]) -> None:
    for event in events:
        store.write_now(lambda db, event=event: book(db, event, ME))


@given(st.lists(happenings, max_size=12), st.data())
def test_all_entries_sum_to_zero_and_a_replay_books_nothing(events: list[Happening], data: st.DataObject) -> None:
    with store_of() as store:
        book_all(store, events)
        entries = store.read_now(lambda db: read_entries(db, 0, 1000, 0, 2**62))
        for entry in entries:
            sums = Counter[Quality]()
            for posting in entry.postings:
                sums[posting.quality] += posting.amount
            assert not any(sums.values())
        before = store.read_now(read_balance)
        book_all(store, data.draw(st.permutations(events)))
        assert store.read_now(read_balance) == before
        assert store.read_now(lambda db: read_entries(db, 0, 1000, 0, 2**62)) == entries


@pytest.mark.parametrize("amounts", [(5, -4), (5,), ()])
def test_the_database_itself_refuses_an_entry_that_is_not_even(amounts: tuple[int, ...]) -> None:
    quality = Quality(ME, LeaseKind("30d"))

    def insert(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO ledger_entries (entry, key, at, text) VALUES (1, x'01', 0, 'x')")
        for line, amount in enumerate(amounts):
            row = (1, line, "assets:x", quality.issuer, quality.kind, amount)
            db.execute("INSERT INTO ledger_postings VALUES (?, ?, ?, ?, ?, ?)", row)
        db.execute("UPDATE ledger_entries SET closed = 1")

    with store_of() as store:
        with pytest.raises(sqlite3.IntegrityError, match="an entry must"):
            store.write_now(insert)
        draft = Draft(b"k", Instant(0), "x", tuple(Posting("assets:x", quality, a) for a in amounts))
        with pytest.raises(InvariantBroken, match="does not sum to zero"):
            store.write_now(lambda db: write_entry(db, draft))
        assert store.read_now(read_balance) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger_postings SET amount = 1",
        "DELETE FROM ledger_postings",
        "DELETE FROM ledger_entries",
        "UPDATE ledger_entries SET closed = 0",
        "UPDATE ledger_entries SET text = ''",
        "INSERT INTO ledger_postings VALUES (1, 9, 'a', x'00', '30d', 5)",
        "INSERT INTO ledger_entries (key, at, text, closed) VALUES (x'99', 0, 'x', 1)",
    ],
)
def test_what_is_booked_stays_as_it_is(sql: str) -> None:
    event = NotesReceived(Quality(OTHERS[0], LeaseKind("30d")), Quantity(5), "take", b"k", Instant(0))
    with store_of() as store:
        book_all(store, [event])
        with pytest.raises(sqlite3.IntegrityError):
            store.write_now(lambda db: db.execute(sql).rowcount)


@given(st.lists(happenings, min_size=1, max_size=8))
def test_other_programs_find_every_exported_entry_even(events: list[Happening]) -> None:
    with store_of() as store:
        book_all(store, events)
        entries = store.read_now(lambda db: read_entries(db, 0, 1000, 0, 2**62))
    rows = list(csv.DictReader(io.StringIO(export(entries, "csv"))))
    even = Counter[tuple[str, str]]()
    for row in rows:
        even[row["entry"], row["commodity"]] += int(row["amount_mib"])
    assert not any(even.values())
    for form, header, line in (
        ("hledger", r"(\d{4}-\d\d-\d\d|account|commodity) .+", r'    ([a-z]+:[\w:]+)  (-?\d+) "([A-Z0-9.]+)"'),
        (
            "beancount",
            r'\d{4}-\d\d-\d\d \* "[^"]+"',
            r"  ([A-Z]\w*(?::[A-Z0-9]\w*)+)  (-?\d+) ([A-Z][A-Z0-9.]{1,22}[A-Z0-9])",
        ),
    ):
        check_journal(export(entries, _form(form)), header, line, len(rows))


def _form(name: str) -> Format:
    return "hledger" if name == "hledger" else "beancount"


def check_journal(text: str, header: str, line: str, postings: int) -> None:
    sums, found = Counter[str](), 0
    for row in text.splitlines():
        if posting := re.fullmatch(line, row):
            sums[posting[3]] += int(posting[2])
            found += 1
        else:
            assert not row or re.fullmatch(header, row) or re.fullmatch(r"[\d-]{10} open [A-Z][\w:]+", row), row
            assert not any(sums.values())
    assert not any(sums.values())
    assert found == postings


async def test_the_book_follows_the_wallet_across_a_crash(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world, trio.open_nursery() as nursery:
        a, b = world.nodes
        store = Store.open(tmp_path / "book", MIGRATIONS)
        await nursery.start(store.run)
        ledger = Ledger(store=store, node=b.key.node_id, clock=world.clock, pet=ACORN)
        await world.give("in", a, b, 13)
        assert await ledger.follow(b.wallet) == 1
        await b.wallet.redeem(a.quality, Quantity(5), HOLDER.public)
        assert await ledger.follow(b.wallet) == 2
        assert await ledger.follow(b.wallet) == 0
        store.write_now(lambda db: db.execute("DELETE FROM ledger_marks").rowcount)  # as if the mark had been lost
        assert await ledger.follow(b.wallet) == 0
        standing = {s.account.rsplit(":", 1)[0]: s.amount for s in ledger.balance()}
        assert standing == {"assets:notes": 8, "assets:leases": 5, "equity": -13}
        assert await ledger.follow_leases(a.mint.leases()) == 1
        assert await ledger.follow_leases(a.mint.leases()) == 0
        nursery.cancel_scope.cancel()
    store.close()


def settled(number: int, gave: Quality, quantity: int, got: Quality, at: Instant) -> Settled:
    agreement = AgreementId(sha256(bytes([number])))
    return Settled(agreement, (gave, Quantity(quantity)), (got, Quantity(quantity)), (ME, got.issuer), at)


async def test_a_month_is_told_in_few_lines(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", MIGRATIONS)
    clock = ManualClock(Instant(1_700_000_000_000))  # 2023-11-14
    mine, theirs = Quality(ME, LeaseKind("30d")), Quality(OTHERS[0], LeaseKind("30d"))
    ledger = Ledger(store=store, node=ME, clock=clock, pet=ACORN)
    how: Literal["take"] = "take"
    book_all(
        store,
        [
            settled(1, mine, 1000, theirs, clock.now()),
            NotesReceived(theirs, Quantity(1000), how, b"1", clock.now()),
            NotesSpent(theirs, Quantity(400), "redeem", b"2", clock.now()),
            NotesSpent(theirs, Quantity(100), "lapsed", b"3", clock.now()),
        ],
    )
    told = report(ledger, store, "2023-11")
    assert told.lines == (
        "traded once this month: got 1.0 GB of space at 1 peer, for 1.0 GB given",
        "others keep 419.4 MB for you, and owe you 524.3 MB more whenever you need it",
        "you keep 0 B for others, and owe them 1.0 GB more whenever they ask",
        "attention: 104.9 MB of space that others owed you ran out before it was used",
        (
            "balance -1.05 ac: you owe others more than they owe you, about 104.9 MB for 30 days at a good peer; "
            "down 1.05 ac this month"
        ),
    )
    assert told.as_dict()["type"] == "report"
    assert {s.source for s in ledger.balance() if s.quality == theirs} == {"1 agreement with you, own space at par"}
    quiet = report(ledger, store, "2023-12")
    assert (quiet.agreements, quiet.change) == (0, "0.00")
    later = report(ledger, store, "2023-11", this="2024-02").lines  # what stands is of now, not of that month
    assert later[0].startswith("traded once in that month")
    now = ("as of now: others keep", "as of now: you keep", "as of now: balance -1.05 ac")
    assert all(line.startswith(now) for line in later[-3:])
    assert not any("others keep" in line or "this month" in line for line in later[:-3])
    assert report(ledger, store, "2024-03", this="2024-02").lines == ("2024-03 lies in the future: it is 2024-02 now",)
    before = report(ledger, store, "2023-10", this="2024-02").lines
    assert before == ("nothing is known of 2023-10: the book begins in 2023-11",)
    book_all(store, [NotesSpent(theirs, Quantity(10), "retired", b"4", Instant(clock.now() + 40 * DAY))])
    (retired,) = [line for line in report(ledger, store, "2023-12").lines if line.startswith("attention")]
    assert "was retired by its issuer" in retired
    assert "ran out" not in retired
    store.close()


def test_a_month_is_written_one_way() -> None:
    assert month_span("2024-02")[1] - month_span("2024-02")[0] == 29 * DAY
    assert month_span("2023-12")[1] == month_span("2024-01")[0]
    for wrong in ("2024-13", "2024-1", "november", "0000-01", "2024-02-01"):
        with pytest.raises(UsageError, match="is not a month"):
            month_span(wrong)
