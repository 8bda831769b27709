"""At stake: a store whose file a bad disk has changed must be named damaged; it may never answer something else."""

import errno
import shutil
import sqlite3
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core import soundness
from nanobarter.core.damage import problem_of
from nanobarter.core.errors import Damaged
from nanobarter.core.soundness import sum_path, wal_path
from nanobarter.core.store import Migration, Store

TABLES: Final = (
    Migration(
        "kept",
        1,
        "CREATE TABLE kept (name TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT; CREATE INDEX a ON kept (amount);",
    ),
)
COMMITS: Final = 120
PAGE: Final = 4096
Rows = dict[str, int]


def keep(store: Store, first: int, last: int) -> None:
    for number in range(first, last):
        row = (f"note {number} " + "x" * 60, number * 1000)
        store.write_now(lambda db, row=row: db.execute("INSERT INTO kept VALUES (?, ?)", row).rowcount)


def kept_in(store: Store) -> Rows:
    return store.read_now(lambda db: dict(db.execute("SELECT name, amount FROM kept").fetchall()))


class Copies:
    """One home as it was left in two ways: closed, and by a process that died with its log half full."""

    def __init__(self, folder: Path) -> None:
        path = folder / "state.db"
        store = Store.open(path, TABLES, guarded=True)
        keep(store, 0, COMMITS)
        store.close()
        self.closed = self._copied(path, folder / "closed")
        store = Store.open(path, TABLES, guarded=True)
        keep(store, COMMITS, 2 * COMMITS)
        self.killed = self._copied(path, folder / "killed")
        store.close()
        self.tries = 0

    @staticmethod
    def _copied(path: Path, folder: Path) -> Path:
        folder.mkdir()
        for name in (path, wal_path(path), sum_path(path)):
            if name.exists():
                shutil.copy(name, folder)
        return folder / path.name

    def fresh(self, path: Path) -> Path:
        self.tries += 1
        return self._copied(path, path.parent.parent / f"try{self.tries}")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("stores"))


def opened(path: Path) -> Rows | None:
    """Return what the store answers, or None when it is named damaged."""
    try:
        store = Store.open(path, TABLES, guarded=True)
    except Damaged as error:
        return None if "is damaged: " in str(error) and "nbctl rebuild" in error.hint else {}
    try:
        return kept_in(store)
    except Damaged:
        return None
    finally:
        store.close()


def rows(count: int) -> Rows:
    return {f"note {number} " + "x" * 60: number * 1000 for number in range(count)}


def test_both_copies_are_sound(copies: Copies) -> None:
    assert opened(copies.fresh(copies.closed)) == rows(COMMITS)
    assert opened(copies.fresh(copies.killed)) == rows(2 * COMMITS)


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_changed_byte_of_a_closed_file_goes_unseen(copies: Copies, place: float, flip: int) -> None:
    path = copies.fresh(copies.closed)
    raw = bytearray(path.read_bytes())
    raw[int(place * len(raw))] ^= flip
    path.write_bytes(raw)
    assert opened(path) is None


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_log_with_a_changed_byte_is_named_or_loses_only_the_torn_commit(
    copies: Copies, place: float, flip: int
) -> None:
    path = copies.fresh(copies.killed)
    wal = wal_path(path)
    raw = bytearray(wal.read_bytes())
    raw[int(place * len(raw))] ^= flip
    wal.write_bytes(raw)
    assert opened(path) in (None, rows(2 * COMMITS), rows(2 * COMMITS - 1))


@given(page=st.integers(0, 1000), seed=st.binary(min_size=16, max_size=16), zero=st.booleans(), killed=st.booleans())
def test_a_page_of_zeros_or_garbage_is_named(
    copies: Copies, page: int, seed: bytes, *, zero: bool, killed: bool
) -> None:
    path = copies.fresh(copies.killed if killed else copies.closed)
    raw = bytearray(path.read_bytes())
    at = page % (len(raw) // PAGE) * PAGE
    raw[at : at + PAGE] = bytes(PAGE) if zero else seed * (PAGE // 16)
    path.write_bytes(raw)
    found = opened(path)
    if killed:  # a page that the log holds anew is not missed
        assert found in (None, rows(2 * COMMITS))
    else:
        assert found is None


@given(part=st.floats(0, 1, exclude_max=True), killed=st.booleans())
def test_a_cut_file_is_named(copies: Copies, part: float, *, killed: bool) -> None:
    path = copies.fresh(copies.killed if killed else copies.closed)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(part * len(raw))])
    assert opened(path) in (None, rows(2 * COMMITS) if killed else None)


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_missing_log_is_named(copies: Copies, how: str) -> None:
    path = copies.fresh(copies.killed)
    if how == "gone":
        wal_path(path).unlink()
    else:
        wal_path(path).write_bytes(b"")
    with pytest.raises(Damaged, match=r"its log state\.db-wal is gone or empty"):
        Store.open(path, TABLES, guarded=True)


def test_a_missing_file_is_named_and_not_made_anew(copies: Copies) -> None:
    path = copies.fresh(copies.closed)
    path.unlink()
    with pytest.raises(Damaged, match="it is gone"):
        Store.open(path, TABLES, guarded=True)
    assert not path.exists()


def test_looking_at_a_damaged_file_changes_none_of_its_bytes(copies: Copies) -> None:
    path = copies.fresh(copies.killed)
    raw = bytearray(path.read_bytes())
    raw[2 * PAGE : 3 * PAGE] = bytes(PAGE)
    path.write_bytes(raw)
    before = (path.read_bytes(), wal_path(path).read_bytes())
    assert opened(path) is None
    assert (path.read_bytes(), wal_path(path).read_bytes()) == before


def test_damage_met_while_running_is_told_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = Store.open(path, TABLES, guarded=True)
    keep(store, 0, COMMITS)
    with pytest.raises(Damaged):
        store.read_now(_met_by_sqlite)
    store.close()
    with pytest.raises(Damaged, match="database disk image is malformed"):
        Store.open(path, TABLES, guarded=True)


def _met_by_sqlite(_db: sqlite3.Connection) -> None:
    raise sqlite3.DatabaseError("database disk image is malformed")


def test_a_store_of_before_this_was_written_down_is_taken_as_it_is(copies: Copies) -> None:
    path = copies.fresh(copies.closed)
    sum_path(path).unlink()
    assert problem_of(path) == ""
    assert opened(path) == rows(COMMITS)
    assert opened(path) == rows(COMMITS)


def test_a_disk_too_full_for_the_note_at_the_end_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    store = Store.open(path, TABLES, guarded=True)
    keep(store, 0, 3)

    def full(_path: Path, _text: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(soundness, "write_durably", full)
        store.close()
    again = Store.open(path, TABLES, guarded=True)
    assert len(kept_in(again)) == 3
    again.close()
