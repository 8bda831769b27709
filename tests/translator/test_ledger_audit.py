"""At stake: figures that a disk or a hand has changed, believed for want of somebody who counts anew."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from nanobarter.core.errors import LocalFault
from nanobarter.core.ids import sha256
from nanobarter.core.quality import Quality
from nanobarter.core.salvage import without_triggers
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.translator.ledger import Ledger, book, read_balance
from nanobarter.translator.ledger_audit import audit, differences, forget
from nanobarter.wallet.archive import add_events
from nanobarter.wallet.events import NotesReceived, NotesSpent, WalletEvent
from tests.translator.test_ledger import ACORN, ME, OTHERS

QUALITY = Quality(OTHERS[0], LeaseKind("30d"))
EVENTS: Sequence[WalletEvent] = (
    NotesReceived(QUALITY, Quantity(50), "take", b"a", Instant(1)),
    NotesSpent(QUALITY, Quantity(20), "redeem", b"b", Instant(2)),
)


def lived(path: Path) -> Store:
    """Return the store of a node whose wallet has 30 MiB and whose ledger tells so."""
    store = Store.open(path, ALL_TABLES)

    def live(db: sqlite3.Connection) -> None:
        add_events(db, EVENTS)
        for event in EVENTS:
            book(db, event, ME)
        db.execute("INSERT INTO ledger_marks VALUES ('wallet', 2)")
        row = (sha256(b"note"), QUALITY.issuer, QUALITY.kind, 30)
        columns = [row[1] for row in db.execute("PRAGMA table_info(wallet_notes)")]
        known = dict(zip(("note", "issuer", "kind", "quantity"), row, strict=True)) | {"state": "free"}
        blank = {r[1]: 0 if r[2] == "INTEGER" else b"" for r in db.execute("PRAGMA table_info(wallet_notes)")}
        values = [None if name == "held_by" else known.get(name, blank[name]) for name in columns]
        db.execute(f"INSERT INTO wallet_notes VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 - marks

    store.write_now(live)
    return store


def hand(path: Path, sql: str) -> Store:
    """Change the file by other means than the daemon's, which know no rules of it."""
    with closing(sqlite3.connect(path)) as db:
        with without_triggers(db):
            db.execute(sql)
        db.commit()
    return Store.open(path, ALL_TABLES)


def ledger_of(store: Store) -> Ledger:
    return Ledger(store=store, node=ME, clock=ManualClock(), pet=ACORN)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE ledger_postings SET amount = 500 WHERE amount = 50", "entry 1 (received in exchange: 50 MiB"),
        ("UPDATE ledger_postings SET kind = '7d' WHERE amount = -20", "entry 2 (turned 20 MiB of notes"),
        ("DELETE FROM ledger_postings WHERE entry = 2", "entry 2"),
        ("UPDATE ledger_entries SET closed = 0 WHERE entry = 1", "entry 1"),
        ("DELETE FROM ledger_entries WHERE entry = 1", "entry 1 (of which only postings are left)"),
    ],
)
def test_an_entry_that_was_changed_is_found_told_and_booked_again(tmp_path: Path, sql: str, told: str) -> None:
    path = tmp_path / "state.db"
    store = lived(path)
    before = store.read_now(read_balance)
    assert store.read_now(audit) == []
    store.close()
    store = hand(path, sql)
    bad = store.read_now(audit)
    assert [each.told.startswith(told) for each in bad] == [True]
    with pytest.raises(LocalFault, match="does not sum to zero") as raised:
        ledger_of(store).check()
    assert "nbctl rebuild" in raised.value.hint

    def mend(db: sqlite3.Connection) -> None:
        with without_triggers(db):
            forget(db, bad)
        for event in EVENTS:
            book(db, event, ME)

    store.write_now(mend)
    assert store.read_now(audit) == []
    if "DELETE FROM ledger_entries" not in sql:  # without its name nobody can tell which event it was
        assert store.read_now(read_balance) == before
    store.close()


def test_where_the_ledger_differs_from_the_wallet_is_told_once_it_should_agree(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = lived(path)
    assert store.read_now(differences) == []
    store.close()
    store = hand(path, "UPDATE ledger_postings SET amount = amount * 40 / 50 WHERE entry = 1")  # even, and wrong
    assert store.read_now(audit) == []
    (told,) = store.read_now(differences)
    assert told.endswith("by the wallet 30")
    assert "you hold 20 MiB of 30d notes" in told
    store.write_now(lambda db: db.execute("UPDATE ledger_marks SET value = 1").rowcount)
    assert store.read_now(differences) == []  # there is more to book
    store.close()


def test_leases_that_run_here_are_compared_with_the_mints(tmp_path: Path) -> None:
    store = lived(tmp_path / "state.db")
    row = "INSERT INTO ledger_postings VALUES (1, 9, 'liabilities:leases', x'00', '30d', -7)"
    store.close()
    store = hand(tmp_path / "state.db", row)
    assert store.read_now(differences) == ["by the ledger 7 MiB of 30d leases run here, by the mint 0"]
    store.close()
