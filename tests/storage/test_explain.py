"""Who asks why a file is not in the backup must hear the rule that the backup obeys, and never another one."""

import os
import stat
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.storage.browse import with_reader
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.explain import LeftOut, Place, place_in, why_left_out
from nanobarter.storage.local import MemoryPacks
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import File
from tests.storage.engine import Engine, Silent, opened
from tests.storage.test_backup import plant

PATTERNS = ["*.tmp", "cache/", "!keep.tmp", "/a", "b/c", "**/d", "a/*", "!a/b"]
TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"


def why(excludes: Excludes, folder: Path, path: Path) -> LeftOut | None:
    def names_in(at: bytes) -> set[bytes]:
        return set(os.listdir(at)) if os.path.isdir(at) else set()  # noqa: PTH112, PTH208 - bytes

    return why_left_out(
        excludes,
        os.fsencode(folder),
        os.fsencode(path),
        is_directory=os.path.isdir,
        names_in=names_in,
        read_start=lambda at: Path(os.fsdecode(at)).read_bytes()[:64],
    )


async def place(engine: Engine, snapshot: Snapshot, path: Path) -> Place:
    return await with_reader(
        engine.keys, engine.catalog, engine.packs, engine.limits, lambda r: place_in(snapshot, os.fsencode(path), r)
    )


def walked(excludes: Excludes, top: Path) -> set[Path]:
    """Return what a walk over the folder keeps, by the rules that the walk asks."""
    kept, todo = set[Path](), [top]
    while todo:
        folder = todo.pop()
        names = set(os.listdir(os.fsencode(folder)))  # noqa: PTH208 - bytes
        marker = excludes.only_marker(names, lambda name, at=folder: (at / os.fsdecode(name)).read_bytes()[:64])
        for name in names if marker is None else {marker}:
            path = folder / os.fsdecode(name)
            is_directory = stat.S_ISDIR(path.lstat().st_mode)
            relative = os.fsencode(path.relative_to(top))
            if not excludes.leaves_out(os.fsencode(path), relative, directory=is_directory):
                kept.add(path)
                todo += [path] if is_directory else []
    return kept


@given(st.lists(st.sampled_from(PATTERNS), max_size=5))
def test_what_is_told_to_be_left_out_is_what_a_walk_leaves_out(patterns: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for path in ("a/b/c", "a/x.tmp", "b/c/e", "cache/f", "keep.tmp", "z.tmp", "d/d", "old/CACHEDIR.TAG", "old/g"):
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(TAG)
        excludes = Excludes(tuple(patterns), absolute=(top / "b" / "c" / "e",))
        kept = walked(excludes, top)
        for path in top.rglob("*"):
            told = why(excludes, top, path)
            assert (told is None) == (path in kept), (path, told)
            assert told is None or path == Path(os.fsdecode(told.at)) or Path(os.fsdecode(told.at)) in path.parents


def test_the_rule_that_is_named_is_the_last_that_matches() -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        (top / "cache").mkdir()
        excludes = Excludes(("*.tmp", "!keep.tmp", "*p", "cache/"))
        assert why(excludes, top, top / "keep.tmp") == LeftOut("pattern", os.fsencode(top / "keep.tmp"), pattern=2)
        inside = why(excludes, top, top / "cache" / "deep" / "file")
        assert inside == LeftOut("pattern", os.fsencode(top / "cache"), pattern=3)


async def test_a_path_is_found_in_the_packs_that_hold_its_pieces(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        assert isinstance(engine.packs, MemoryPacks)
        large = await place(engine, made.snapshot, source / "deep" / "large")
        assert isinstance(large.entry, File)
        kinds = {pack.pack_id: pack.kind for pack in await engine.catalog.packs()}
        assert {kinds[pack] for pack, _ in large.packs if pack} == {"data"}
        assert sum(count for _, count in large.packs) == len(large.entry.content.ids) > 1
        folder = await place(engine, made.snapshot, source / "deep")
        assert {kinds[pack] for pack, _ in folder.packs if pack} == {"meta"}
        assert await place(engine, made.snapshot, source / "absent") == Place()
        for pack in [pack for pack, kind in kinds.items() if kind == "meta"]:
            del engine.packs.packs[pack]
        lost = await place(engine, made.snapshot, source / "deep" / "large")
        assert (lost.lost, lost.away) == (str(source), False)
        engine.packs = Silent(engine.packs.packs)
        assert (await place(engine, made.snapshot, source / "deep" / "large")).away
