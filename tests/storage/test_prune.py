"""Space that is freed too late costs money; a chunk that is freed too early costs somebody's photographs."""

import random
from pathlib import Path

import pytest
import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import PackId
from nanobarter.storage.backup import Summary
from nanobarter.storage.local import MemoryPacks
from nanobarter.storage.marks import NotMarked
from nanobarter.storage.ports import Pack
from tests.storage.engine import Engine, Silent, opened
from tests.storage.mortal import Died, Life, MortalStock
from tests.storage.test_backup import plant, rsync_says


def write(path: Path, size: int, seed: int) -> None:
    path.write_bytes(random.Random(seed).randbytes(size))


def size_of(engine: Engine) -> int:
    assert isinstance(engine.packs, MemoryPacks)
    return sum(len(pack.body) for pack in engine.packs.packs.values())


async def forget(engine: Engine, *made: Summary) -> None:
    await engine.catalog.forget_snapshots([one.snapshot_id for one in made])


async def comes_back(engine: Engine, made: Summary, like: Path, target: Path) -> None:
    done = await engine.restore(made.snapshot, target)
    assert done.lost == ()
    assert rsync_says(like, target) == ""


def forty_files(source: Path) -> Path:
    source.mkdir()
    for number in range(40):
        write(source / f"{number:02}", 50_000, number)
    return source


async def mostly_wasted(engine: Engine, source: Path) -> Summary:
    """Leave a pack of forty files of which one snapshot needs the first alone; return that snapshot."""
    first = await engine.backup(forty_files(source))
    for number in range(1, 40):
        (source / f"{number:02}").unlink()
    second = await engine.backup(source)
    await forget(engine, first)
    return second


async def test_what_no_snapshot_needs_is_freed_and_the_rest_comes_back(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    write(source / "big", 9_000_000, 1)
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        (source / "big").unlink()
        second = await engine.backup(source)
        nothing = await engine.prune()
        assert (nothing.unused, nothing.emptied, nothing.freed_bytes) == (0, 0, 0)
        await forget(engine, first)
        before = size_of(engine)
        told = await engine.prune(dry=True)
        assert told.unused + told.emptied > 0
        assert size_of(engine) == before
        done = await engine.prune()
        assert before - size_of(engine) > 2_000_000  # how files share packs is chance: at most half of a pack is waste
        assert done.freed_bytes >= (before - size_of(engine)) * 5 // 2
        assert (done.unread, done.short, done.missing_chunks) == ((), "", 0)
        assert engine.published == await engine.catalog.export()
        await comes_back(engine, second, source, tmp_path / "back")
        again = await engine.prune()
        assert (again.unused, again.emptied, again.stray) == (0, 0, 0)


async def test_a_file_that_comes_back_after_a_prune_is_read_and_stored_again(tmp_path: Path) -> None:
    source, other = plant(tmp_path / "source"), tmp_path / "other"
    other.mkdir()
    write(other / "alone", 3_000_000, 2)
    async with opened(tmp_path / "home") as engine:
        only = await engine.backup(other)
        await engine.backup(source)
        await forget(engine, only)
        await engine.prune()  # the files of the other folder are remembered, their chunks are gone
        made = await engine.backup(other)
        await comes_back(engine, made, other, tmp_path / "back")


async def test_a_mostly_wasted_pack_is_packed_anew_though_one_chunk_is_needed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    async with opened(tmp_path / "home") as engine:
        second = await mostly_wasted(engine, source)
        done = await engine.prune()
        assert (done.emptied, done.new_packs) == (1, 1)
        await comes_back(engine, second, source, tmp_path / "back")


async def test_the_small_packs_of_many_backups_become_few(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = [await engine.backup(source) for _ in range(12)]
        before = len(await engine.catalog.packs())
        await engine.prune()
        assert len(await engine.catalog.packs()) < before - 9
        lines = {line.snapshot_id: line for line in await engine.catalog.snapshots()}
        packs = {pack.pack_id for pack in await engine.catalog.packs()}
        assert {line.pack_id for line in lines.values()} <= packs  # snapshots know where they moved to
        await comes_back(engine, made[0], source, tmp_path / "back")


async def test_nothing_is_freed_while_a_snapshot_cannot_be_read(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        (source / "more").mkdir()
        write(source / "more" / "x", 2_000_000, 3)
        before = {pack.pack_id for pack in await engine.catalog.packs()}
        second = await engine.backup(source)
        await forget(engine, first)
        assert isinstance(engine.packs, MemoryPacks)
        away = {p: engine.packs.packs[p] for p in engine.packs.packs if p not in before}
        for pack_id in away:
            del engine.packs.packs[pack_id]
        with pytest.raises(NotMarked, match=second.snapshot_id.hex()[:12]) as caught:
            await engine.prune()
        assert not caught.value.later
        with pytest.raises(NotMarked) as caught:
            await engine.prune(stock=Silent(engine.packs.packs))
        assert caught.value.later
        engine.packs.packs |= away
        await comes_back(engine, second, source, tmp_path / "back")


async def test_packs_leave_only_after_the_catalog_without_them_was_published(tmp_path: Path) -> None:
    source, other = plant(tmp_path / "source"), tmp_path / "other"
    other.mkdir()
    write(other / "big", 9_000_000, 1)  # alone in its packs: how files of one backup share packs is chance
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(other)
        await engine.backup(source)
        await forget(engine, first)
        before = size_of(engine)

        async def nobody() -> None:
            raise Unreachable("nobody is there")

        publish, engine.publish = engine.publish, nobody
        done = await engine.prune()
        assert (done.published, size_of(engine)) == (False, before)
        assert "nobody is there" in done.short
        engine.publish = publish
        again = await engine.prune()
        assert again.stray > 0
        assert size_of(engine) < before - 2_000_000


async def test_a_prune_without_room_frees_what_it_can_and_says_so(tmp_path: Path) -> None:
    source = tmp_path / "source"

    class Full(MemoryPacks):
        async def put(self, pack: Pack) -> None:
            raise Unreachable(f"no peer has room for {len(pack.body)} bytes")

    async with opened(tmp_path / "home") as engine:
        second = await mostly_wasted(engine, source)
        assert isinstance(engine.packs, MemoryPacks)
        done = await engine.prune(stock=Full(engine.packs.packs))
        assert "no room" in done.short
        assert done.emptied == 0
        await comes_back(engine, second, source, tmp_path / "back")


async def test_a_backup_waits_for_the_prune_and_is_whole(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    write(source / "big", 4_000_000, 1)
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        (source / "big").unlink()
        await engine.backup(source)
        await forget(engine, first)
        write(source / "big", 4_000_000, 1)  # its old chunks are being freed just now
        made = list[Summary]()

        async def back_up() -> None:
            made.append(await engine.backup(source))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.prune)
            nursery.start_soon(back_up)
        await comes_back(engine, made[0], source, tmp_path / "back")


async def dies_in_prune(home: Path, kept: MemoryPacks, life: Life) -> bool:
    async with opened(home) as engine:
        engine.packs = kept
        life.rule(engine.catalog.store)
        try:
            await engine.prune(stock=MortalStock(kept, life))
        except Died:
            return True
    return False


async def test_a_restore_finds_what_a_prune_moved_meanwhile(tmp_path: Path) -> None:
    source = tmp_path / "source"
    async with opened(tmp_path / "home") as engine:
        second = await mostly_wasted(engine, source)
        kept = engine.packs
        assert isinstance(kept, MemoryPacks)

        class Moving(MemoryPacks):
            async def get(self, pack_id: PackId) -> bytes:
                if pack_id in old:
                    engine.packs = kept
                    await engine.prune()
                return await super().get(pack_id)

        old = {pack.pack_id for pack in await engine.catalog.packs() if pack.kind == "data"}
        engine.packs = Moving(kept.packs)
        await comes_back(engine, second, source, tmp_path / "back")
        assert not old & set(kept.packs)


@pytest.mark.parametrize("after", [False, True])
async def test_a_prune_killed_at_any_durable_deed_is_finished_by_the_next(tmp_path: Path, *, after: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(30):
        write(source / f"{number}", 50_000, number)
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        for number in range(3, 30):
            (source / f"{number}").unlink()
        write(source / "new", 400_000, 77)
        second = await engine.backup(source)
        await forget(engine, first)
        kept = engine.packs
    assert isinstance(kept, MemoryPacks)
    deaths = 0
    while await dies_in_prune(tmp_path / "home", kept, Life(deaths, after=after)):
        deaths += 1
    assert deaths > 3
    async with opened(tmp_path / "home") as engine:
        engine.packs = kept
        assert {pack.pack_id for pack in await engine.catalog.packs()} == set(kept.packs)
        assert size_of(engine) < 2_000_000
        await comes_back(engine, second, source, tmp_path / "back")
