"""A catalog must never be ahead of what is stored, and a lost one must come back from an export or the packs."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import LocalFault, Malformed, UsageError
from nanobarter.storage.backup import Summary
from nanobarter.storage.catalog_lines import parse_export
from nanobarter.storage.local import DirectoryPacks, MemoryPacks
from nanobarter.storage.ports import Pack, PackKind, PackMissing, pack_id_of
from nanobarter.storage.rebuild import rebuild
from tests.storage.engine import KEYS, Engine, opened
from tests.storage.test_backup import plant, rsync_says
from tests.storage.test_looking import checked


class Failing(MemoryPacks):
    """Breaks before or after its n-th pack was kept, like a machine that dies."""

    left = 0
    after = False

    async def put(self, pack: Pack) -> None:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise LocalFault("the machine died")
        await super().put(pack)
        if self.left < 0:
            raise LocalFault("the machine died")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("packs", range(4))
async def test_a_backup_killed_at_any_pack_goes_on_where_it_was(tmp_path: Path, packs: int, *, after: bool) -> None:
    source = plant(tmp_path / "source")
    (source / "more").write_bytes(random.Random(3).randbytes(9_000_000))
    sink = Failing()
    sink.left, sink.after = packs, after
    async with opened(tmp_path / "home") as engine:
        with pytest.raises(LocalFault, match="died"):
            await engine.backup(source, sink=sink)
    async with opened(tmp_path / "home") as engine:  # what was being recorded when it died may be there or not
        stored = {pack.pack_id for pack in await engine.catalog.packs()}
        assert stored <= set(sink.packs)
        assert not await engine.catalog.snapshots()
        engine.packs = MemoryPacks(sink.packs)
        done = await engine.backup(source)
        everything = sum(len(sink.packs[pack.pack_id].body) for pack in await engine.catalog.packs())
        assert everything - done.progress.packed_bytes == sum(len(sink.packs[pack_id].body) for pack_id in stored)
        await engine.restore(done.snapshot, tmp_path / "back")
    assert rsync_says(source, tmp_path / "back") == ""


async def test_what_lost_packs_held_is_stored_again_and_old_snapshots_come_back_with_it(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        packs = engine.packs
        assert isinstance(packs, MemoryPacks)
        lost = set(packs.packs)
        packs.packs.clear()  # every peer of that day is gone
        second = await engine.backup(source, lost=lost)
        assert await engine.catalog.replaced() == []
        assert await engine.catalog.drop_replaced() == sorted(lost)
        assert await engine.catalog.replaced() == sorted(lost)
        assert {pack.pack_id for pack in await engine.catalog.packs()} == set(packs.packs)
        for done, name in ((first, "first"), (second, "second")):
            await engine.restore(done.snapshot, tmp_path / name)
            assert rsync_says(source, tmp_path / name) == ""


async def test_a_lost_pack_is_kept_while_it_alone_holds_something(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    (source / "only-then").write_bytes(random.Random(4).randbytes(100_000))
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        before = {pack.pack_id for pack in await engine.catalog.packs()}
        (source / "only-then").unlink()
        await engine.backup(source, lost=before)
        assert set(await engine.catalog.drop_replaced()) < before
        await engine.restore(first.snapshot, tmp_path / "back")  # its peers came back
    assert (tmp_path / "back" / "only-then").stat().st_size == 100_000


async def assert_all_is_there(engine: Engine, made: Sequence[Summary], source: Path, scratch: Path) -> None:
    """Check that nothing is missing, that every snapshot is restored, and that the packs alone name them all."""
    told = await checked(engine, read_data=True)
    assert (told.snapshots, told.missing, told.unreadable, told.damaged) == (len(made), 0, (), ())
    known = {pack.pack_id for pack in await engine.catalog.packs()}
    assert {line.pack_id for line in await engine.catalog.snapshots()} <= known
    for number, done in enumerate(made):
        target = scratch / f"back{number}"
        assert (await engine.restore(done.snapshot, target)).lost == ()
        assert rsync_says(source, target) == ""
    stored = await engine.catalog.packs()
    async with opened(scratch / "scanned") as elsewhere:
        found = await rebuild(elsewhere.catalog, stored, keys=KEYS, source=engine.packs)
        assert found.lost == ()
        assert {line.snapshot_id for line in await elsewhere.catalog.snapshots()} == {one.snapshot_id for one in made}


async def test_a_snapshot_alone_in_an_outgrown_pack_outlives_it(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        packs = engine.packs
        assert isinstance(packs, MemoryPacks)
        engine.geometry = (2, 4)
        made = [await engine.backup(source) for _ in range(3)]  # nothing changed: the later two are alone in theirs
        thin = set(packs.packs)
        assert len({done.pack_id for done in made}) == 3
        engine.geometry = (2, 5)
        made.append(await engine.backup(source, lost=thin))
        for pack_id in await engine.catalog.drop_replaced():
            del packs.packs[pack_id]
        assert not thin & set(packs.packs)
        await assert_all_is_there(engine, made, source, tmp_path)
        assert (await engine.backup(source)).progress.new_bytes == 0


async def test_a_snapshot_that_was_not_stored_again_keeps_its_pack(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = [await engine.backup(source) for _ in range(2)]
        await engine.catalog.mark_lost([made[1].pack_id])
        assert await engine.catalog.drop_replaced() == []
        await assert_all_is_there(engine, made, source, tmp_path)


async def test_a_snapshot_that_is_in_no_pack_is_stored_by_the_next_backup(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = [await engine.backup(source) for _ in range(2)]
        await engine.catalog.forget_pack(made[1].pack_id)
        assert (await checked(engine, read_data=False)).missing == 1
        made.append(await engine.backup(source))
        assert await engine.catalog.drop_replaced() == []
        await assert_all_is_there(engine, made, source, tmp_path)


class Endless(MemoryPacks):
    """Never says that a pack is stored."""

    async def put(self, pack: Pack) -> None:
        await trio.sleep_forever()


async def test_a_cancelled_backup_leaves_nothing_recorded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        with trio.move_on_after(5):
            await engine.backup(source, sink=Endless())
        assert await engine.catalog.packs() == []
        assert (await engine.backup(source)).complete


async def test_an_exported_catalog_restores_on_an_empty_home(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "one") as engine:
        await engine.backup(source)
        packs, exported = engine.packs, await engine.catalog.export()
    async with opened(tmp_path / "two") as engine:
        engine.packs = packs
        await engine.catalog.import_(exported)
        assert await engine.catalog.export() == exported
        await engine.catalog.import_(exported)
        await restores(engine, source, tmp_path / "back")


async def test_a_catalog_comes_back_from_the_packs_alone(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "one") as engine:
        await engine.backup(source)
        packs, stored, exported = engine.packs, await engine.catalog.packs(), await engine.catalog.export()
    async with opened(tmp_path / "two") as engine:
        engine.packs = packs
        found = await rebuild(engine.catalog, stored, keys=KEYS, source=packs)
        assert (found.packs, found.snapshots, found.lost) == (len(stored), 1, ())
        assert await engine.catalog.export() == exported
        await restores(engine, source, tmp_path / "back")


async def restores(engine: Engine, source: Path, target: Path) -> None:
    (line,) = await engine.catalog.snapshots()
    done = await engine.restore(engine.snapshot(line), target)
    assert done.lost == ()
    assert rsync_says(source, target) == ""


async def test_a_lost_pack_is_stored_again_from_the_source(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        await engine.backup(source)
        for pack in await engine.catalog.packs():
            await engine.catalog.forget_pack(pack.pack_id)
        engine.packs = MemoryPacks()
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert done.lost == ()
    assert rsync_says(source, tmp_path / "back") == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_catalog_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_export(data, 1000)


async def test_a_cut_or_changed_catalog_changes_nothing(tmp_path: Path) -> None:
    source, draw = plant(tmp_path / "source"), random.Random(5)
    async with opened(tmp_path / "one") as engine:
        await engine.backup(source)
        exported = await engine.catalog.export()
    async with opened(tmp_path / "two") as engine:
        for _ in range(20):
            with pytest.raises(Malformed):
                await engine.catalog.import_(exported[: draw.randrange(len(exported))])
        assert await engine.catalog.packs() == []


@pytest.fixture(params=["memory", "directory"])
def packs(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryPacks | DirectoryPacks:
    return MemoryPacks() if request.param == "memory" else DirectoryPacks(tmp_path / "packs")


@pytest.mark.parametrize("kind", ["data", "meta"])
async def test_packs_that_were_put_can_be_got(packs: MemoryPacks | DirectoryPacks, kind: PackKind) -> None:
    body = random.Random(1).randbytes(2 * 65536)
    pack = Pack(pack_id_of(body), kind, body, 65536, 2, 5)
    with pytest.raises(PackMissing):
        await packs.get(pack.pack_id)
    for _ in range(2):
        await packs.put(pack)
    assert await packs.get(pack.pack_id) == body


async def test_a_directory_of_packs_carries_a_backup(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        engine.packs = DirectoryPacks(tmp_path / "packs")
        await engine.backup(source)
        await restores(engine, source, tmp_path / "back")


async def test_a_root_that_is_not_there_is_the_operators_to_fix(tmp_path: Path) -> None:
    async with opened(tmp_path / "home") as engine:
        with pytest.raises(UsageError, match="cannot be backed up"):
            await engine.backup(tmp_path / "absent")
        with pytest.raises(UsageError, match="is inside"):
            await engine.backup(tmp_path, tmp_path / "home")
