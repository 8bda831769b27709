"""A restore must not harm what is there, must not be led astray, and must say what it could not bring back."""

import errno
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.ids import PackId
from nanobarter.core.system import SystemEntropy
from nanobarter.storage.browse import ls
from nanobarter.storage.catalog_lines import ChunkLine
from nanobarter.storage.chunks import ChunkId, ChunkIds
from nanobarter.storage.local import MemoryPacks
from nanobarter.storage.packs import DATA, TREE, Piece, Sealer, make_piece
from nanobarter.storage.ports import Pack
from nanobarter.storage.snapshot import Root, Snapshot
from nanobarter.storage.tree import EMPTY, Content, Directory, Entry, File, Node, Symlink
from tests.storage.engine import KEYS, Engine, opened
from tests.storage.test_backup import plant, rsync_says
from tests.storage.test_tree import PLAIN, SNAPSHOT

IDS = ChunkIds(KEYS)


async def test_a_restore_refuses_a_folder_that_holds_anything(tmp_path: Path) -> None:
    source, target = plant(tmp_path / "source"), tmp_path / "target"
    target.mkdir()
    (target / "mine").touch()
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        with pytest.raises(UsageError, match="not empty"):
            await engine.restore(made.snapshot, target)
        assert os.listdir(target) == ["mine"]  # noqa: PTH208 - the names alone


async def test_an_overwrite_replaces_what_it_has_and_leaves_the_rest(tmp_path: Path) -> None:
    source, target = plant(tmp_path / "source"), tmp_path / "target"
    outside = tmp_path / "outside"
    outside.mkdir()
    (target / "empty").mkdir(parents=True)
    (target / "mine").touch()
    (target / "small").write_bytes(b"older")
    (target / "deep").symlink_to(outside)  # must not be followed
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, target, overwrite=True)
        assert [one.path.rpartition(b"/")[2] for one in done.lost] == [b"empty"]  # a folder is never replaced by a file
        (target / "empty").rmdir()
        again = await engine.restore(made.snapshot, target, overwrite=True)
    assert again.lost == ()
    assert not list(outside.iterdir())
    assert (target / "mine").exists()
    (target / "mine").unlink()
    os.utime(target, ns=(0, source.stat().st_mtime_ns))
    assert rsync_says(source, target) == ""


async def test_a_missing_pack_costs_its_files_only(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        await engine.backup(source)
        (source / "later").write_bytes(random.Random(9).randbytes(200_000))
        known = {pack.pack_id for pack in await engine.catalog.packs()}
        made = await engine.backup(source)
        assert isinstance(engine.packs, MemoryPacks)
        for pack in await engine.catalog.packs():
            if pack.kind == "data" and pack.pack_id not in known:
                del engine.packs.packs[pack.pack_id]
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert [one.path for one in done.lost] == [os.fsencode(source / "later")]
    assert not (tmp_path / "back" / "later").exists()  # half a file would look like the file
    assert (tmp_path / "back" / "small").read_bytes() == (source / "small").read_bytes()


async def test_changed_bytes_of_a_source_are_never_written(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")

    class Liar(MemoryPacks):
        async def get(self, pack_id: PackId) -> bytes:
            body = bytearray(await super().get(pack_id))
            body[len(body) // 2] ^= 1
            return bytes(body)

    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        assert isinstance(engine.packs, MemoryPacks)
        engine.packs = Liar(engine.packs.packs)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert done.lost
    assert all("other bytes" in one.detail for one in done.lost)
    assert not list((tmp_path / "back").iterdir())


async def test_a_broken_source_is_raised_as_one_error(tmp_path: Path) -> None:
    class Broken(MemoryPacks):
        async def get(self, pack_id: PackId) -> bytes:
            raise LocalFault(f"the disk under {pack_id.hex()} is gone")

    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(plant(tmp_path / "source"))
        engine.packs = Broken()
        with pytest.raises(LocalFault, match="is gone"):
            await engine.restore(made.snapshot, tmp_path / "back")


async def test_parts_of_a_snapshot_come_back_alone(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        wanted = os.fsencode(source / "deep" / "er")
        await engine.restore(made.snapshot, tmp_path / "back", paths=(wanted,))
        found = sorted(str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*"))
        assert found == ["deep", "deep/er", "deep/er/text"]
        with pytest.raises(UsageError, match="none of the paths"):
            await engine.restore(made.snapshot, tmp_path / "none", paths=(b"/not/there",))


async def test_several_roots_and_a_single_file_come_back_by_their_paths(tmp_path: Path) -> None:
    one, other = plant(tmp_path / "one"), tmp_path / "lonely"
    other.write_bytes(b"alone")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(one, other)
        await engine.restore(made.snapshot, tmp_path / "back")
        single = await engine.backup(other)
        await engine.restore(single.snapshot, tmp_path / "back 2")
    below = tmp_path / "back" / tmp_path.relative_to("/")
    assert (below / "lonely").read_bytes() == b"alone"
    assert rsync_says(one, below / "one") == ""
    assert (tmp_path / "back 2" / "lonely").read_bytes() == b"alone"


async def plant_packs(engine: Engine, entries: list[Entry], data: dict[ChunkId, bytes]) -> Snapshot:
    """Return a snapshot of one folder made by hand, as an enemy with the keys could."""
    node = encode(Node(tuple(entries)))
    pieces = [make_piece(IDS.meta(node), TREE, node)]
    pieces += [make_piece(chunk_id, DATA, raw) for chunk_id, raw in data.items()]
    await keep(engine, pieces)
    root = Root(b"/hostile", Directory(b"hostile", PLAIN, Content(0, (IDS.meta(node),))))
    return msgspec.structs.replace(SNAPSHOT, roots=(root,))


async def keep(engine: Engine, pieces: list[Piece]) -> None:
    sealer = Sealer(KEYS.hpke_public, KEYS.vault_id, SystemEntropy())
    pack: Pack = sealer.seal(pieces, "meta", share_size=65536, k=2, n=5)
    await engine.packs.put(pack)
    await engine.catalog.record_pack(pack, [ChunkLine(piece.chunk_id, piece.length) for piece in pieces])


async def test_content_that_is_not_what_its_id_says_is_lost(tmp_path: Path) -> None:
    wrong = IDS.data(b"right")
    entry = File(b"f", PLAIN, 5, Content(0, (wrong,)))
    async with opened(tmp_path / "home") as engine:
        snapshot = await plant_packs(engine, [entry], {wrong: b"wrong"})
        done = await engine.restore(snapshot, tmp_path / "back")
    assert [one.path for one in done.lost] == [b"/hostile/f"]
    assert not (tmp_path / "back" / "f").exists()


@pytest.mark.parametrize(("size", "holes"), [(4, ()), (6, ()), (5, ((0, 2),)), (2**61, ())])
async def test_content_of_another_length_is_lost(tmp_path: Path, size: int, holes: tuple[tuple[int, int], ...]) -> None:
    right = IDS.data(b"right")
    entry = File(b"f", PLAIN, size, Content(0, (right,)), holes)
    async with opened(tmp_path / "home") as engine:
        snapshot = await plant_packs(engine, [entry], {right: b"right"})
        done = await engine.restore(snapshot, tmp_path / "back")
    assert [one.path for one in done.lost] == [b"/hostile/f"]
    assert not (tmp_path / "back" / "f").exists()


async def test_a_link_in_the_target_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inner = encode(Node((File(b"planted", PLAIN, 0, EMPTY),)))
    folder = Directory(b"link", PLAIN, Content(0, (IDS.meta(inner),)))
    async with opened(tmp_path / "home") as engine:
        await keep(engine, [make_piece(IDS.meta(inner), TREE, inner)])
        snapshot = await plant_packs(engine, [Symlink(b"a", PLAIN, os.fsencode(outside)), folder], {})
        (tmp_path / "back").mkdir()
        (tmp_path / "back" / "link").symlink_to(outside)
        done = await engine.restore(snapshot, tmp_path / "back", overwrite=True)
    assert done.lost == ()
    assert not list(outside.iterdir())
    assert (tmp_path / "back" / "link" / "planted").exists()
    assert not (tmp_path / "back" / "link").is_symlink()


NAMES = (
    st.binary(min_size=1, max_size=12)
    .map(lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"-"))
    .filter(lambda name: name not in (b".", b".."))
)
SECONDS = st.integers(-(2**31), 2**33)
FILES = st.tuples(
    st.just("file"),
    st.binary(max_size=200) | st.integers(1, 40).map(lambda i: b"long " * 10_000 * i),
    st.integers(0, 0o777),
    SECONDS,
)
LINKS = st.tuples(st.just("link"), st.binary(min_size=1, max_size=20).filter(lambda raw: b"\0" not in raw))
TREES = st.recursive(
    st.dictionaries(NAMES, FILES | LINKS, max_size=4),
    lambda inner: st.dictionaries(NAMES, FILES | LINKS | inner, max_size=4),
    max_leaves=8,
)


def grow(path: bytes, tree: dict[bytes, Any]) -> None:
    os.mkdir(path)  # noqa: PTH102 - bytes
    for name, what in tree.items():
        below = path + b"/" + name
        if isinstance(what, dict):
            grow(below, what)  # pyright: ignore[reportUnknownArgumentType]
        elif what[0] == "link":
            os.symlink(what[1], below)  # noqa: PTH211 - bytes
        else:
            with open(below, "wb") as file:  # noqa: PTH123 - bytes
                file.write(what[1])
            os.chmod(below, what[2])  # noqa: PTH101 - bytes
            os.utime(below, ns=(0, what[3] * 10**9 + 7))


def shape(path: bytes) -> object:
    """Return everything of a tree that can be compared."""
    found = os.lstat(path)
    facts = (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns)
    if os.path.islink(path):  # noqa: PTH114 - bytes
        return (*facts, os.readlink(path))  # noqa: PTH115 - bytes
    if os.path.isdir(path):  # noqa: PTH112 - bytes
        return (*facts, {name: shape(path + b"/" + name) for name in os.listdir(path)})  # noqa: PTH208 - bytes
    with open(path, "rb") as file:  # noqa: PTH123 - bytes
        return (*facts, found.st_nlink, file.read())


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


@given(tree=TREES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_tree_comes_back_and_lists_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[bytes, Any]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    source = folder / "source"
    grow(os.fsencode(source), tree)

    async def round_trip() -> list[bytes]:
        async with opened(folder / "home") as engine:
            made = await engine.backup(source)
            done = await engine.restore(made.snapshot, folder / "back")
            assert done.lost == ()
            lines = await ls(made.snapshot, keys=KEYS, catalog=engine.catalog, source=engine.packs)
            return [line.path for line in lines]

    paths = trio.run(round_trip)
    assert shape(os.fsencode(source)) == shape(os.fsencode(folder / "back"))
    walked = [os.path.join(at, name) for at, *kinds in os.walk(os.fsencode(source)) for some in kinds for name in some]  # noqa: PTH118 - bytes
    assert sorted(paths) == sorted([os.fsencode(source), *walked])


async def test_attributes_of_files_folders_and_lists_of_access_come_back(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    try:
        os.setxattr(source / "small", "user.colour", b"\x00blue")
        os.setxattr(source / "deep", "user.note", b"")
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            pytest.skip("the file system of the tests has no extended attributes")
        raise
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert done.lost == ()
    assert os.getxattr(tmp_path / "back" / "small", "user.colour") == b"\x00blue"
    assert rsync_says(source, tmp_path / "back") == ""
