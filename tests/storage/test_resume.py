"""A restore that was cut off must go on without fetching all again, and without touching what is not its own."""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.ids import PackId, sha256
from nanobarter.core.units import SECOND, Span
from nanobarter.storage.backup import Summary
from nanobarter.storage.local import MemoryPacks
from nanobarter.storage.patience import PatientSource
from nanobarter.storage.ports import PackMissing
from nanobarter.storage.restore import Restored
from nanobarter.storage.resume import MARKS, begun_in, digest_of, part_name
from tests.storage.engine import Engine, Silent, opened
from tests.storage.restore_crashes import sweep
from tests.storage.test_backup import plant, plant_sparse, rsync_says


@dataclass
class Counted(Silent):
    """Counts what is fetched, and dies at the n-th time."""

    left: int = 1_000_000
    got: list[PackId] = field(default_factory=list[PackId])

    async def get(self, pack_id: PackId) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise LocalFault("the machine died")
        self.got.append(pack_id)
        return await super().get(pack_id)


def counted(engine: Engine) -> Counted:
    assert isinstance(engine.packs, MemoryPacks)
    engine.packs = packs = Counted(engine.packs.packs)
    return packs


async def again(engine: Engine, made: Summary, target: Path) -> Restored:
    return await engine.restore(made.snapshot, target)


def large(source: Path) -> Path:
    plant(source)
    plant_sparse(source)
    (source / "zz huge").write_bytes(random.Random(8).randbytes(14_000_000))
    return source


async def test_a_restore_killed_at_any_pack_goes_on_and_fetches_little_twice(tmp_path: Path) -> None:
    source = large(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        everything = len(await engine.catalog.packs())
        assert everything > 5
        for cut in range(1, everything, 2):
            target = tmp_path / f"back{cut}"
            packs = counted(engine)
            packs.left = cut
            with pytest.raises(LocalFault, match="died"):
                await again(engine, made, target)
            assert begun_in(target) == digest_of(made.snapshot)
            packs.left, packs.got = 1_000_000, []
            done = await again(engine, made, target)
            # Trees are read again; of the data only packs that were not used up, with those on the way when it died.
            assert len(packs.got) <= everything - cut + 1 + engine.limits.storage_fetches_max
            assert done.lost == ()
            assert rsync_says(source, target) == ""
            assert not list(target.glob(MARKS + "*"))
            if cut >= everything - 2:
                assert done.kept_bytes > 5_000_000
                assert done.kept_bytes + done.written_bytes > 16_000_000


async def test_files_that_look_like_marks_come_back_as_others_do(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    (source / MARKS.rstrip("-")).write_text("mine")
    (source / MARKS).write_text("mine too")
    for size in range(6):
        (source / f"large {size}").write_bytes(random.Random(size).randbytes(3_000_000))
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        counted(engine).left = len(await engine.catalog.packs()) - 1
        with pytest.raises(LocalFault):
            await again(engine, first, target)
        left = list(target.glob(MARKS + "?*"))
        assert len(left) == 1
        (source / left[0].name).write_bytes(left[0].read_bytes())  # somebody keeps a folder that was half restored
        made = await engine.backup(source)
        packs = counted(engine)
        await again(engine, made, tmp_path / "whole")
        packs.left, packs.got = len(packs.got) - 1, []
        with pytest.raises(LocalFault):
            await again(engine, made, tmp_path / "other")
        assert (tmp_path / "other" / left[0].name).exists()
        assert begun_in(tmp_path / "other") == digest_of(made.snapshot)
        packs.left = 1_000_000
        done = await again(engine, made, tmp_path / "other")
        assert done.lost == ()
        assert done.kept_bytes > 0
        assert rsync_says(source, tmp_path / "other") == ""
        done = await engine.restore(made.snapshot, tmp_path / "other", overwrite=True)
        assert done.lost == ()
        assert rsync_says(source, tmp_path / "other") == ""


async def test_a_finished_part_of_a_large_file_is_not_fetched_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "huge").write_bytes(random.Random(8).randbytes(30_000_000))
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        packs = counted(engine)
        everything = len(await engine.catalog.packs())
        packs.left = everything - 1
        with pytest.raises(LocalFault, match="died"):
            await again(engine, made, tmp_path / "back")
        assert not (tmp_path / "back" / "huge").exists()  # half a file would look like the file
        packs.left, packs.got = 1_000_000, []
        done = await again(engine, made, tmp_path / "back")
        assert done.kept_bytes > 5_000_000
        assert len(packs.got) < everything - 1
    assert rsync_says(source, tmp_path / "back") == ""


async def test_what_somebody_changed_meanwhile_is_never_replaced(tmp_path: Path) -> None:
    source = large(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        packs = counted(engine)
        packs.left = len(await engine.catalog.packs()) - 1
        with pytest.raises(LocalFault):
            await again(engine, made, tmp_path / "back")
        packs.left = 1_000_000
        (tmp_path / "back" / "small").unlink()
        (tmp_path / "back" / "small").write_text("mine now")
        (tmp_path / "back" / "mine too").write_text("mine")
        done = await again(engine, made, tmp_path / "back")
        lost = {one.path.rpartition(b"/")[2]: one.detail for one in done.lost}
    assert "another file is there" in lost.pop(b"small")
    assert lost == {}
    assert (tmp_path / "back" / "small").read_text() == "mine now"
    assert (tmp_path / "back" / "mine too").read_text() == "mine"


async def test_another_restore_does_not_go_on_in_a_half_done_folder(tmp_path: Path) -> None:
    source = large(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        (source / "empty").write_text("later")
        other = await engine.backup(source)
        packs = counted(engine)
        packs.left = 3
        with pytest.raises(LocalFault):
            await again(engine, made, tmp_path / "back")
        packs.left = 1_000_000
        with pytest.raises(UsageError, match="another restore"):
            await again(engine, other, tmp_path / "back")
        with pytest.raises(UsageError, match="another restore"):
            await engine.restore(made.snapshot, tmp_path / "back", paths=(os.fsencode(source / "small"),))


async def test_an_overwrite_fetches_no_data_that_is_there(tmp_path: Path) -> None:
    source = large(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        await again(engine, made, tmp_path / "back")
        (tmp_path / "back" / "small").write_text("changed")
        done = await engine.restore(made.snapshot, tmp_path / "back", overwrite=True)
        assert done.written_bytes < 1000
    assert rsync_says(source, tmp_path / "back") == ""


async def test_a_missing_pack_can_be_had_later_by_the_same_command(tmp_path: Path) -> None:
    source = large(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        packs = counted(engine)
        data = [pack.pack_id for pack in await engine.catalog.packs() if pack.kind == "data"]
        away = packs.packs.pop(data[0])
        first = await again(engine, made, tmp_path / "back")
        assert first.away
        assert first.lost
        packs.packs[data[0]] = away
        second = await again(engine, made, tmp_path / "back")
    assert (second.lost, second.away) == ((), False)
    assert rsync_says(source, tmp_path / "back") == ""


@dataclass
class Away:
    """A source whose holders are away until a time, or for good."""

    until: float
    later: bool = True
    tries: int = 0

    async def get(self, pack_id: PackId) -> bytes:
        await trio.lowlevel.checkpoint()
        self.tries += 1
        if trio.current_time() < self.until:
            raise PackMissing(pack_id, "1 of the 2 shares needed came back", later=self.later)
        return b"body"


def patient(source: Away, told: list[str], seconds: int = 60) -> PatientSource:
    return PatientSource(
        source, Span(seconds * SECOND), lambda why, left: told.append(f"{why} {left:.0f}"), lambda: None
    )


PACK = PackId(sha256(b"pack"))


async def test_holders_who_are_away_for_a_moment_are_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    told = list[str]()
    assert await patient(Away(trio.current_time() + 40), told).get(PACK) == b"body"
    assert told[0].endswith("came back 60")
    assert len(told) < 10


async def test_a_holder_who_is_gone_for_good_costs_one_wait_and_not_one_per_pack(
    autojump_clock: trio.testing.MockClock,
) -> None:
    source = patient(Away(float("inf")), [])
    began = trio.current_time()
    for number in range(100):
        with pytest.raises(PackMissing):
            await source.get(PackId(sha256(b"%d" % number)))
    assert trio.current_time() - began == pytest.approx(60)


async def test_what_cannot_come_later_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    source = Away(float("inf"), later=False)
    with pytest.raises(PackMissing):
        await patient(source, []).get(PACK)
    assert source.tries == 1


_FILES = st.dictionaries(st.sampled_from("abcdefgh"), st.binary(max_size=300), max_size=8)


@settings(deadline=None, max_examples=12)
@given(files=_FILES.filter(bool), there=_FILES)
async def test_without_overwrite_no_file_that_is_there_ever_changes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], there: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "source").mkdir()
    for name, data in files.items():
        (folder / "source" / name).write_bytes(data)
    async with opened(folder / "home") as engine:
        made = await engine.backup(folder / "source")
        packs = counted(engine)
        packs.left = 0
        with pytest.raises(LocalFault):
            await again(engine, made, folder / "back")
        packs.left = 1_000_000
        for name, data in there.items():
            (folder / "back" / name).write_bytes(data)
        done = await again(engine, made, folder / "back")
    for name, data in there.items():
        assert (folder / "back" / name).read_bytes() == data
    for name in files.keys() - there.keys():
        assert (folder / "back" / name).read_bytes() == files[name]
    assert {one.path.rpartition(b"/")[2].decode() for one in done.lost} == {
        name for name in files.keys() & there.keys() if files[name] != there[name]
    }


async def test_a_restore_killed_at_any_change_of_the_disk_is_made_right_by_the_same_command(tmp_path: Path) -> None:
    assert await sweep(tmp_path, first=2, step=23) > 4


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_file_under_the_name_of_an_unfinished_one_is_not_touched(tmp_path: Path, *, overwrite: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    (source / "letter").write_text("dear reader")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        taken = target / os.fsdecode(part_name(digest_of(made.snapshot), b"letter"))
        if overwrite:  # it stands in the way of a first attempt
            target.mkdir()
            taken.write_text("mine")
        else:  # or was put there, as a link, while the restore was cut off
            packs = counted(engine)
            packs.left = 0
            with pytest.raises(LocalFault):
                await again(engine, made, target)
            packs.left = 1_000_000
            (tmp_path / "elsewhere").write_text("mine")
            taken.hardlink_to(tmp_path / "elsewhere")
        done = await engine.restore(made.snapshot, target, overwrite=overwrite)
    assert done.lost == ()
    assert taken.read_text() == "mine"
    assert (target / "letter").read_text() == "dear reader"
