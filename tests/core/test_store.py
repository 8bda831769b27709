"""What ``write`` returned must be there after a crash; what it refused must not."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.store import Migration, Store

ONE = Migration("t", 1, "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT")
TWO = Migration("t", 2, "CREATE TABLE u (y TEXT) STRICT; INSERT INTO u VALUES ('a;b')")


def insert(x: int) -> Callable[[sqlite3.Connection], int]:
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (x,)).rowcount


def rows(db: sqlite3.Connection) -> list[int]:
    return [x for (x,) in db.execute("SELECT x FROM t ORDER BY x")]


async def test_a_failed_change_undoes_only_itself(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", [ONE])
    failed = list[int]()

    async def attempt(x: int) -> None:
        try:
            await store.write(insert(x))
        except sqlite3.IntegrityError:
            failed.append(x)

    async with trio.open_nursery() as all_:
        await all_.start(store.run)
        async with trio.open_nursery() as some:
            for x in [1, 2, 3, 2, 4]:
                some.start_soon(attempt, x)
        all_.cancel_scope.cancel()
    store.close()
    again = Store.open(tmp_path / "s", [ONE])
    assert (again.read_now(rows), failed) == ([1, 2, 3, 4], [2])
    again.close()


async def test_changes_given_together_stand_or_fall_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", [ONE])
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        found = await store.write_all([insert(1), insert(2), insert(1), insert(3)])
        nursery.cancel_scope.cancel()
    store.close()
    again = Store.open(tmp_path / "s", [ONE])
    assert [x if isinstance(x, int) else type(x) for x in found] == [1, 1, sqlite3.IntegrityError, 1]
    assert again.read_now(rows) == [1, 2, 3]
    again.close()


def test_migrations_run_once_and_forward(tmp_path: Path) -> None:
    path = tmp_path / "s"
    Store.open(path, [ONE]).close()
    for _ in range(2):
        store = Store.open(path, [ONE, TWO])
        assert store.read_now(lambda db: db.execute("SELECT y FROM u").fetchall()) == [("a;b",)]
        store.close()
    with pytest.raises(UsageError, match="newer nanobarter"):
        Store.open(path, [ONE])


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    store = Store.open(path, [ONE])
    store.write_now(lambda db: db.executemany("INSERT INTO t VALUES (?)", [(x,) for x in range(5000)]).rowcount)
    store.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096:8192] = b"\xaa" * 4096
    path.write_bytes(damaged)
    with pytest.raises(LocalFault, match="damaged"):
        Store.open(path, [ONE])
    assert path.read_bytes() == damaged


async def test_a_change_made_in_a_shield_is_durable_though_the_writer_was_cancelled(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", [ONE])
    told = trio.Event()

    async def last_words(x: int, after: trio.Event) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await after.wait()
                await store.write(insert(x))

    async with trio.open_nursery() as outer:
        at_once = trio.Event()
        at_once.set()
        async with trio.open_nursery() as nursery:
            for x in range(5):
                nursery.start_soon(last_words, x, at_once)
            outer.start_soon(last_words, 5, told)
            await nursery.start(store.run)
            nursery.cancel_scope.cancel()
        told.set()
        outer.cancel_scope.cancel()
    store.close()
    again = Store.open(tmp_path / "s", [ONE])
    assert again.read_now(rows) == [0, 1, 2, 3, 4, 5]
    again.close()
