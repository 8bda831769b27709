"""At stake: a bad disk may cost a node time; never another's share, a note honoured twice, or a backup unnoticed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from nanobarter.core.errors import UsageError
from nanobarter.core.quality import Quality
from nanobarter.core.salvage import without_triggers
from nanobarter.core.soundness import sum_path
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.daemon import rebuild as rebuilding
from nanobarter.daemon.home import Home
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.translator.ledger import book
from nanobarter.wallet.events import NotesReceived
from tests.daemon.damage import NOW, PAGE, Original, index_of, make_originals, rebuild, run
from tests.mint.purse import NODE, stored_keys


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Original]:
    return make_originals(tmp_path_factory.mktemp("homes"), list(stored_keys()))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_disk_did_a_rebuilt_home_keeps_its_promises(originals: dict[bool, Original], seed: int) -> None:
    run(originals, list(stored_keys()), seed)


def test_damage_elsewhere_leaves_the_mint_whole(originals: dict[bool, Original]) -> None:
    original = originals[False]
    home = original.copied(original.home.with_name("elsewhere"))
    with sqlite3.connect(home.state_path) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'storage_chunks'").fetchone()
    db.close()
    raw = bytearray(home.state_path.read_bytes())
    raw[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    home.state_path.write_bytes(raw)
    done = rebuild(home)
    assert done.saved.carried is None
    assert (done.saved.index, done.saved.wallet_whole, done.saved.history) == ("missing", True, True)
    assert (done.saved.vault.leases, done.saved.vault.shares, done.saved.vault.orphans) == (12, 36, 0)


def test_leases_go_on_where_only_the_notes_are_lost(originals: dict[bool, Original]) -> None:
    original = originals[False]
    home = original.copied(original.home.with_name("notes"))
    with sqlite3.connect(home.state_path) as db:
        db.execute("DELETE FROM mint_spent")
    db.close()
    done = rebuild(home)
    assert done.saved.carried is not None
    assert (done.saved.carried.leases, done.saved.carried.locks, done.saved.carried.bad_rows) == (12, 1, 0)
    assert done.saved.index == "unsure"
    assert index_of(home.state_path) == original.index


def test_what_orders_that_stand_once_gave_is_kept(originals: dict[bool, Original]) -> None:
    home = originals[False].copied(originals[False].home.with_name("once"))
    with sqlite3.connect(home.state_path) as db:
        db.execute("INSERT INTO market_once VALUES (?, 4, 0)", (b"b" * 32,))
        db.execute("INSERT INTO swap_settled VALUES (?, ?, 5, 1)", (b"d" * 32, b"b" * 32))
        db.execute("DELETE FROM mint_spent")
    db.close()
    rebuild(home)
    with sqlite3.connect(home.state_path) as db:
        assert db.execute("SELECT given, at FROM market_once").fetchall() == [(9, 1)]
    db.close()


def test_an_older_copy_of_the_file_is_no_base_for_the_mint(originals: dict[bool, Original]) -> None:
    original = originals[False]
    home = original.copied(original.home.with_name("older"))
    home.write_mark(7)
    sum_path(home.state_path).write_text("hurt so it was said\n")
    assert rebuild(home).saved.carried is not None


def test_a_ledger_that_a_hand_has_changed_is_mended_and_all_else_stays(
    originals: dict[bool, Original], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = originals[False]
    home = original.copied(original.home.with_name("changed by hand"))
    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    event = NotesReceived(Quality(NODE.node_id, LeaseKind("30d")), Quantity(50), "take", b"a", NOW)
    store.write_now(lambda db: book(db, event, NODE.node_id))
    store.close()
    assert rebuilding.examine(home) == ""
    with closing(sqlite3.connect(home.state_path)) as db:
        with without_triggers(db):
            db.execute("UPDATE ledger_postings SET amount = 500 WHERE amount = 50")
        db.commit()
    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "problem_of", Mock(return_value=""))  # as if it had been changed while it ran
        assert rebuilding.examine(home).startswith("the ledger is wrong: entry 1 (received in exchange: 50 MiB")
    done = rebuild(home)
    assert (done.saved.carried, done.saved.history) == (None, True)
    assert rebuilding.examine(home) == ""


def test_a_rebuild_that_was_cut_off_goes_on(originals: dict[bool, Original], monkeypatch: pytest.MonkeyPatch) -> None:
    original = originals[False]
    home = original.copied(original.home.with_name("cut off"))
    raw = bytearray(home.state_path.read_bytes())
    raw[-PAGE:] = bytes(PAGE)
    home.state_path.write_bytes(raw)

    def dies(_home: Home, _now: Instant) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "_set_aside", dies)
        with pytest.raises(KeyboardInterrupt):
            rebuild(home)
    home.state_path.rename(home.path / "state.db.damaged-20260101-000000")  # as a crash between two renames leaves it
    done = rebuild(home)
    assert done.saved.vault.shares == 36
    assert rebuilding.examine(home) == ""


def test_a_fresh_home_needs_no_rebuild(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "fresh", b"s" * 64, "")
    with pytest.raises(UsageError, match="nothing is wrong"):
        rebuild(home)
