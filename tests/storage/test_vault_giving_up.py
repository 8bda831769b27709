"""A holder who gives up in the middle of an ask must not fill the disk, nor have an honest vault convicted."""

import errno
import hashlib
import sqlite3
from pathlib import Path

import pytest
import trio
import trio.testing

from nanobarter.core.canonical import decode
from nanobarter.core.errors import LocalFault, Reason, Unreachable
from nanobarter.core.ids import Hash
from nanobarter.core.units import DAY, MIB, Span
from nanobarter.storage import vault_rows
from nanobarter.storage.share import Tree
from nanobarter.storage.vault_files import ShareFiles
from nanobarter.storage.vault_messages import (
    ANSWER,
    Allocate,
    Allocated,
    Answer,
    Commit,
    Deed,
    Delete,
    Done,
    Place,
    Placed,
    Prove,
    Receipt,
)
from tests.storage.test_vault import LEASE, One, one, reason, write

__all__ = ["one"]  # the fixture
NONCE = bytes(16)
BIG = hashlib.shake_256(b"big").digest(700_000)
ROOT = Tree(BIG).root


class Halting(ShareFiles):
    """Lets the caller's patience end in the moment when a file has its last name."""

    scope: trio.CancelScope | None = None

    def sync(self, path: Path) -> None:
        super().sync(path)
        if self.scope is not None and (path / ROOT.hex()).exists():
            trio.from_thread.run_sync(self.scope.cancel)


@pytest.fixture
def halting(tmp_path: Path) -> One:
    halting = One(tmp_path)
    halting.store.close()
    halting.files = Halting(tmp_path / "vault")  # pyright: ignore[reportAttributeAccessIssue] # no full disk here
    halting.open()
    return halting


async def given_up(one: One, deed: Deed, data: bytes = b"") -> Answer | None:
    """Ask, and give up when the file has its name."""
    assert isinstance(one.files, Halting)
    answer = None
    with trio.CancelScope() as scope:
        one.files.scope = scope
        answer = await one.ask(deed, data)
    one.files.scope = None
    return answer


def on_disk(one: One) -> int:
    return sum(path.stat().st_size for path in (one.home / "vault").rglob("*") if path.is_file())


def test_giving_up_between_file_and_row_leaves_what_is_counted(halting: One) -> None:
    async def work() -> None:
        await given_up(halting, Place(ROOT, NONCE, 0), BIG)
        assert halting.vault.used_bytes(LEASE) == on_disk(halting) == len(BIG)
        assert await halting.ask(Delete(ROOT)) == Done()
        assert halting.vault.used_bytes(LEASE) == on_disk(halting) == 0

    halting.run(work)


def test_no_share_of_another_length_is_ever_promised(halting: One) -> None:
    """The way to a false conviction: a promise of one byte over the file of a longer share."""

    async def work() -> None:
        await halting.ask(Allocate(ROOT, 1))
        answer = await given_up(halting, Place(ROOT, NONCE, 0), BIG)
        assert answer is not None, "the file was there for a moment"
        assert reason(await halting.ask(Place(ROOT, NONCE, 0), BIG)) == Reason.CONFLICT
        assert on_disk(halting) == 0
        assert reason(await halting.ask(Commit(ROOT))) == Reason.CONFLICT

    halting.run(work)


def test_a_file_of_another_length_is_neither_committed_nor_shown(one: One) -> None:
    """However such a file came to be there, it is not the share that the row counts."""

    async def work() -> None:
        await one.ask(Allocate(ROOT, 1))
        assert one.files.place(LEASE, ROOT, BIG, 0) is not None
        assert reason(await one.ask(Commit(ROOT))) == Reason.CONFLICT
        assert on_disk(one) == 0
        one.files.write(LEASE, ROOT, len(BIG), 0, BIG)
        assert reason(await one.ask(Commit(ROOT))) == Reason.CONFLICT
        assert on_disk(one) == 0
        assert one.files.place(LEASE, ROOT, BIG, 0) is not None
        await one.store.write(lambda db: vault_rows.commit(db, LEASE, ROOT))
        shown = await one.ask(Prove(ROOT, NONCE, 0))
        assert isinstance(shown, Receipt)
        assert one.files.prove(LEASE, ROOT, 1, 0) is None

    one.run(work)


def test_callers_without_patience_do_not_pass_the_quota(one: One) -> None:
    async def work() -> None:
        for number in range(30):
            data = hashlib.shake_256(b"%d" % number).digest(len(BIG))
            body = one.request(Place(Tree(data).root, NONCE, 0), data)
            one.clock.advance(Span(1))
            try:
                timeout = Span(1 + number % 6)
                raw = await one.node.call(one.key.node_id, "storage.place", body, timeout=timeout)
            except Unreachable:
                continue
            if isinstance(decode(raw, ANSWER, size_max=2 * MIB), Placed):
                await one.ask(Delete(Tree(data).root))
        assert on_disk(one) == one.vault.used_bytes(LEASE) <= MIB

    one.run(work)


class Failing(ShareFiles):
    """A disk that fails once the file has its last name."""

    def sync(self, path: Path) -> None:
        super().sync(path)
        if (path / ROOT.hex()).exists():
            raise OSError(errno.EIO, "input/output error")


def test_a_disk_that_fails_after_the_name_was_given_leaves_nothing(halting: One) -> None:
    halting.store.close()
    halting.files = Failing(halting.home / "vault")  # pyright: ignore[reportAttributeAccessIssue] # as above
    halting.open()

    async def work() -> None:
        with pytest.raises(LocalFault):
            await halting.ask(Place(ROOT, NONCE, 0), BIG)
        assert (on_disk(halting), halting.vault.used_bytes(LEASE)) == (0, 0)

    halting.run(work)


def test_sweeping_deletes_what_has_no_row_and_nothing_else(one: One) -> None:
    other = hashlib.shake_256(b"other").digest(5000)

    async def work() -> None:
        assert isinstance(await one.put(other), Receipt)
        await one.ask(Allocate(Hash(b"u" * 32), 5))
        await one.ask(write(Hash(b"u" * 32), 0, b"1234"), b"1234")
        before = one.names()
        assert one.files.place(LEASE, ROOT, BIG, 0) is not None
        one.files.write(LEASE, Hash(b"w" * 32), 7, 0, b"1234")
        await one.vault.sweep()
        assert one.names() == before
        assert await one.read(other) == other

    one.run(work)


class Sweeping(ShareFiles):
    """A disk that is swept while a share is between its file and its row."""

    one: One
    nursery: trio.Nursery

    def sync(self, path: Path) -> None:
        super().sync(path)
        if (path / ROOT.hex()).exists():
            trio.from_thread.run_sync(self.nursery.start_soon, self.one.vault.sweep)
            trio.from_thread.run(trio.testing.wait_all_tasks_blocked)


def test_sweeping_spares_a_share_that_is_on_the_way(halting: One) -> None:
    halting.store.close()
    files = Sweeping(halting.home / "vault")
    halting.files = files  # pyright: ignore[reportAttributeAccessIssue] # as above
    halting.open()

    async def work() -> None:
        async with trio.open_nursery() as files.nursery:
            files.one = halting
            assert isinstance(await halting.ask(Place(ROOT, NONCE, 0), BIG), Placed)
        assert await halting.read(BIG) == BIG

    halting.run(work)


def test_a_shorter_allocation_takes_over_nothing_of_a_longer_one(one: One) -> None:
    async def work() -> None:
        await one.ask(Allocate(ROOT, len(BIG)))
        await one.ask(write(ROOT, 0, BIG[:9000]), BIG[:9000])
        await one.store.write(lambda db: vault_rows.delete(db, one_lease(db), ROOT, one.clock.now()))
        answer = await one.ask(Allocate(ROOT, 4000))
        assert isinstance(answer, Allocated)
        assert answer.have == ()
        assert on_disk(one) == 0
        one.files.write(LEASE, ROOT, len(BIG), 0, BIG)
        await one.ask(write(ROOT, 0, BIG[:4000]), BIG[:4000])
        assert on_disk(one) == 4000

    one.run(work)


def one_lease(db: sqlite3.Connection) -> vault_rows.Lease:
    found = vault_rows.find_lease(db, LEASE)
    assert found is not None
    return found


def test_an_upload_that_is_resumed_while_stale_ones_are_swept_is_kept(one: One) -> None:
    """Whichever comes first, the holder's resumption or the sweep: what was committed stays."""

    async def work() -> None:
        one.clock.advance(Span(1))
        await one.ask(Allocate(ROOT, len(BIG)))
        await one.ask(write(ROOT, 0, BIG), BIG)
        one.clock.advance(Span(3 * DAY))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.vault.sweep)
            answer = await one.put(BIG)
        committed = one.store.read_now(vault_rows.committed)
        assert isinstance(answer, Receipt) == (committed == {LEASE: {ROOT}})
        if isinstance(answer, Receipt):
            assert await one.read(BIG) == BIG
        assert on_disk(one) == one.vault.used_bytes(LEASE)

    one.run(work)
