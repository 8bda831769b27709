"""At stake: a bad disk may cost a node time; never another's share, a note honoured twice, or a backup unnoticed."""

import sqlite3
from pathlib import Path

import pytest

from nanobarter.core.errors import UsageError
from nanobarter.core.soundness import sum_path
from nanobarter.core.units import Instant
from nanobarter.daemon import rebuild as rebuilding
from nanobarter.daemon.home import Home
from tests.daemon.damage import PAGE, Original, index_of, make_originals, rebuild, run
from tests.mint.purse import stored_keys


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
