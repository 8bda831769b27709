"""Who looks into a snapshot must see just what a restore would give, and a check must see what is gone."""

import os
from pathlib import Path

import pytest

from nanobarter.storage.browse import with_reader
from nanobarter.storage.check import Checked, check
from nanobarter.storage.local import MemoryPacks
from nanobarter.storage.looking import compare, find_names, list_folder, sample_files
from nanobarter.storage.snapshot import Snapshot
from tests.storage.engine import Engine, opened
from tests.storage.test_backup import plant


async def paths_in(engine: Engine, snapshot: Snapshot, folder: bytes, rows: int = 1000) -> list[bytes]:
    found = await with_reader(
        engine.keys, engine.catalog, engine.packs, engine.limits, lambda r: list_folder(snapshot, folder, r, rows)
    )
    return [row.path for row in found.rows]


def files_of(folder: Path) -> set[bytes]:
    return {os.fsencode(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


async def checked(engine: Engine, *, read_data: bool) -> Checked:
    return await check(
        keys=engine.keys,
        catalog=engine.catalog,
        source=engine.packs,
        read_data=read_data,
        limits=engine.limits,
        progress=lambda _step: None,
    )


async def test_a_folder_lists_just_what_it_holds(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    top = os.fsencode(source)
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        assert await paths_in(engine, made.snapshot, b"") == [top]
        listed = await paths_in(engine, made.snapshot, top)
        assert sorted(listed) == sorted(os.path.join(top, name) for name in os.listdir(top))  # noqa: PTH118, PTH208
        assert await paths_in(engine, made.snapshot, top + b"/deep/er") == [top + b"/deep/er/text"]
        assert await paths_in(engine, made.snapshot, top + b"/small") == [top + b"/small"]
        assert await paths_in(engine, made.snapshot, top + b"/absent") == []
        assert len(await paths_in(engine, made.snapshot, top, rows=3)) == 3


async def test_what_is_searched_and_sampled_is_there(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)

        async def found(pattern: bytes) -> set[bytes]:
            done = await with_reader(
                engine.keys, engine.catalog, engine.packs, engine.limits,
                lambda reader: find_names(made.snapshot, pattern, reader, 1000),
            )  # fmt: skip
            return {row.path.removeprefix(os.fsencode(source)) for row in done.rows}

        assert await found(b"*x[tT]") == {b"/deep/er/text"}
        assert await found(b"*/deep/*") == {b"/deep/large", b"/deep/er", b"/deep/er/text", b"/deep/again"}
        sample = await with_reader(
            engine.keys, engine.catalog, engine.packs, engine.limits,
            lambda reader: sample_files(made.snapshot, 5, lambda below: below - 1, reader),
        )  # fmt: skip
        assert len({one.path for one in sample}) == 5
        assert {one.path for one in sample} <= files_of(source)


async def test_a_difference_names_each_change_once(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        (source / "empty").unlink()
        (source / "deep" / "large").write_bytes(b"other")
        (source / "new").mkdir()
        (source / "new" / "x").touch()
        (source / "small").chmod(0o600)
        second = await engine.backup(source)
        changes = await with_reader(
            engine.keys, engine.catalog, engine.packs, engine.limits,
            lambda reader: list(compare(first.snapshot, second.snapshot, reader)),
        )  # fmt: skip
    told = {change.path.removeprefix(os.fsencode(source)): change.kind for change in changes}
    assert told == {
        b"": "attributes", b"/empty": "removed", b"/deep/large": "changed", b"/deep/again": "attributes",
        b"/new": "added", b"/new/x": "added", b"/small": "attributes",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["data", "meta"])
async def test_a_check_sees_what_is_gone(tmp_path: Path, kind: str) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        well = await checked(engine, read_data=True)
        assert (well.read_packs, well.unreadable, well.damaged, well.missing) == (well.packs, (), (), 0)
        gone = next(pack.pack_id for pack in await engine.catalog.packs() if pack.kind == kind)
        assert isinstance(engine.packs, MemoryPacks)
        del engine.packs.packs[gone]
        found = await checked(engine, read_data=True)
        assert [pack_id for pack_id, _ in found.damaged] == [gone]
        assert [snapshot for snapshot, _ in found.unreadable] == ([made.snapshot_id] if kind == "meta" else [])
        if kind == "data":
            assert (await checked(engine, read_data=False)).damaged == ()
            await engine.catalog.forget_pack(gone)
            assert (await checked(engine, read_data=False)).missing > 0


async def test_a_check_names_every_snapshot_that_needs_a_tree_that_is_gone(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = [await engine.backup(source)]
        gone = next(pack.pack_id for pack in await engine.catalog.packs() if pack.kind == "meta")
        for number in range(2):
            (source / f"new {number}").write_text("the folders below are as they were")
            made.append(await engine.backup(source))
        assert isinstance(engine.packs, MemoryPacks)
        del engine.packs.packs[gone]
        found = await checked(engine, read_data=False)
        assert {snapshot for snapshot, _ in found.unreadable} == {one.snapshot_id for one in made}
        assert not any("freed" in why for _, why in found.unreadable)


async def test_rotten_rows_of_the_index_are_mended_from_the_packs(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        (source / "more").write_bytes(b"more" * 9000)
        await engine.backup(source)
        question = "SELECT chunk_id, pack_id, length FROM storage_chunks JOIN storage_packs USING (pack) ORDER BY 1"
        sound = await engine.catalog.store.read(lambda db: db.execute(question).fetchall())
        for rot in (
            "UPDATE storage_chunks SET chunk_id = CAST(zeroblob(32) AS BLOB) WHERE chunk_id = ?",
            "UPDATE storage_chunks SET pack = 1 + (pack = 1) WHERE chunk_id = ?",  # another one, whichever it is in
            "UPDATE storage_chunks SET length = length + 1 WHERE chunk_id = ?",
            "DELETE FROM storage_chunks WHERE chunk_id = ?",
        ):
            await engine.catalog.store.write(lambda db, rot=rot: db.execute(rot, (sound[0][0],)).rowcount)
            assert (await checked(engine, read_data=True)).mended > 0
            assert await engine.catalog.store.read(lambda db: db.execute(question).fetchall()) == sound
            again = await checked(engine, read_data=True)
            assert (again.mended, again.missing, again.unreadable) == (0, 0, ())
        assert (await engine.restore(made.snapshot, tmp_path / "back")).lost == ()
