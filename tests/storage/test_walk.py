"""What a backup leaves out or could not read must be said, never guessed: silence is lost data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanobarter.core.limits import LIMITS
from nanobarter.storage import scan
from nanobarter.storage.browse import Listed, ls
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import File
from tests.storage.engine import KEYS, Engine, opened
from tests.storage.test_backup import plant


async def listed(engine: Engine, snapshot: Snapshot) -> list[Listed]:
    return await ls(snapshot, keys=KEYS, catalog=engine.catalog, source=engine.packs)


async def names(engine: Engine, source: Path, excludes: Excludes) -> set[str]:
    made = await engine.backup(source, excludes=excludes)
    top = os.fsencode(source) + b"/"
    lines = await listed(engine, made.snapshot)
    return {os.fsdecode(line.path.removeprefix(top)) for line in lines if line.path.startswith(top)}


def orchard(folder: Path) -> Path:
    for name in (
        "a.tmp",
        "keep.tmp",
        "notes",
        "build/out",
        "sub/build/in",
        "sub/x.tmp",
        "cache/CACHEDIR.TAG",
        "cache/big",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Signature: 8a477f597d28d172789f06886806bc55\n" if "TAG" in name else name)
    (folder / "marked").mkdir()
    (folder / "marked" / ".nobackup").touch()
    (folder / "marked" / "inner").touch()
    return folder


async def test_patterns_mean_what_they_mean_to_git(tmp_path: Path) -> None:
    source = orchard(tmp_path / "source")
    rules = Excludes(("*.tmp", "!keep.tmp", "/build/"), caches=False)
    async with opened(tmp_path / "home") as engine:
        kept = await names(engine, source, rules)
    assert {"keep.tmp", "notes", "sub/build/in", "cache/big", "marked/inner"} <= kept
    assert not kept & {"a.tmp", "sub/x.tmp", "build", "build/out"}


async def test_caches_and_marked_folders_keep_their_mark_alone(tmp_path: Path) -> None:
    source = orchard(tmp_path / "source")
    rules = Excludes(if_present=(".nobackup",), absolute=(source / "sub",))
    async with opened(tmp_path / "home") as engine:
        kept = await names(engine, source, rules)
    assert {"cache", "cache/CACHEDIR.TAG", "marked", "marked/.nobackup"} <= kept
    assert not kept & {"cache/big", "marked/inner", "sub", "sub/x.tmp"}


def never_resting(monkeypatch: pytest.MonkeyPatch, inode: int) -> None:
    """Let a file look different each time that it is looked at."""
    really, looks = scan.fingerprint, iter(range(10**6))

    def fingerprint(found: os.stat_result) -> tuple[int, int, int, int]:
        size, mtime, ctime, number = really(found)
        return (size, mtime, ctime + (next(looks) if number == inode else 0), number)

    monkeypatch.setattr(scan, "fingerprint", fingerprint)


async def test_a_file_that_shrinks_while_it_is_read_is_kept_as_far_as_it_went_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plant(tmp_path / "source")
    really, shrunk = scan.Extents.readinto, list[int]()

    def readinto(self: scan.Extents, buffer: memoryview) -> int:
        if self.size == 3_000_000 and self.at == 0:
            shrunk.append(1)
            os.truncate(source / "deep" / "large", 3_000_000 - len(shrunk) * 1000)
        return really(self, buffer)

    monkeypatch.setattr(scan.Extents, "readinto", readinto)
    os.truncate(source / "deep" / "large", 3_000_000)
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
        entry = next(line.entry for line in await listed(engine, made.snapshot) if line.path.endswith(b"/large"))
    assert done.lost == ()
    assert isinstance(entry, File)
    assert entry.size == (tmp_path / "back" / "deep" / "large").stat().st_size < 3_000_000


async def test_a_file_that_never_rests_is_said_and_read_again_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plant(tmp_path / "source")
    restless = source / "deep" / "large"
    really, read = scan.open_file, list[bytes]()

    def open_file(path: bytes) -> int:
        read.append(path)
        return really(path)

    async with opened(tmp_path / "home") as engine:
        with monkeypatch.context() as patch:
            never_resting(patch, restless.stat().st_ino)
            made = await engine.backup(source)
        assert [(one.path, one.trouble) for one in made.snapshot.problems] == [(os.fsencode(restless), "changed")]
        assert not made.complete
        monkeypatch.setattr(scan, "open_file", open_file)
        assert (await engine.backup(source)).complete
    assert read == [os.fsencode(restless)]


async def test_a_file_that_vanishes_before_its_turn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = plant(tmp_path / "source")
    really = scan.open_file

    def open_file(path: bytes) -> int:
        if path.endswith(b"/small"):
            os.unlink(path)  # noqa: PTH108 - bytes
        return really(path)

    monkeypatch.setattr(scan, "open_file", open_file)
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert [(one.path.rpartition(b"/")[2], one.trouble) for one in made.snapshot.problems] == [(b"small", "vanished")]
    assert not made.complete
    assert done.lost == ()


async def test_a_file_changed_just_before_is_not_trusted_to_be_unchanged(tmp_path: Path) -> None:
    # Its next change could carry the same time stamp and size.
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home", LIMITS) as engine:
        await engine.backup(source)
        assert not engine.catalog.listing_now(os.fsencode(source))


# Python itself may be out of the reach of nobody, so everything is imported, by a first run, before the change.
UNREADABLE = """
import os, sys, trio
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from tests.storage.engine import opened

async def main(source, home):
    async with opened(Path(home)) as engine:
        made = await engine.backup(Path(source))
        for one in made.snapshot.problems:
            print(one.path.rpartition(b"/")[2].decode(), one.trouble)
        print(made.complete, made.snapshot.problem_count)

trio.run(main, sys.argv[2], sys.argv[3] + "/first")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
trio.run(main, sys.argv[2], sys.argv[3] + "/second")
"""


def test_what_cannot_be_read_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    source, home = tmp_path / "source", tmp_path / "home"
    (source / "closed folder").mkdir(parents=True)
    home.mkdir()
    for name in ("closed", "open", "closed folder/inner"):
        (source / name).write_text(name)
    (source / "closed").chmod(0)
    (source / "closed folder").chmod(0)
    home.chmod(0o777)
    for path in (tmp_path, *(p for p in tmp_path.parents if p.name.startswith(("pytest-", "popen-")))):
        path.chmod(0o755)
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", UNREADABLE, str(here), str(source), str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    wanted = ["True 0", "closed unreadable", "closed folder unreadable", "False 2"]
    assert done.stdout.splitlines() == wanted, done.stderr


async def test_a_rotten_listing_has_the_files_read_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"file" * 1000)
    async with opened(tmp_path / "home") as engine:
        sound = await engine.backup(source)
        (kept,) = await engine.catalog.store.read(lambda db: db.execute("SELECT listing FROM storage_files").fetchone())
        for at in range(len(kept)):
            rotten = kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :]
            await engine.catalog.store.write(
                lambda db, row=rotten: db.execute("UPDATE storage_files SET listing = ?", (row,)).rowcount
            )
            assert engine.catalog.listing_now(os.fsencode(source)) == b""
        again = await engine.backup(source)
        assert again.snapshot.roots == sound.snapshot.roots
