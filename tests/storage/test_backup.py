"""What a folder held must come back, whole and as it was: content, names, links, times, holes."""

import os
import random
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.storage.engine import opened


def rsync_says(source: Path, target: Path) -> str:
    """Return what rsync, which we did not write, would still change in the target."""
    rsync = shutil.which("rsync")
    if rsync is None:
        pytest.skip("rsync is not installed")
    flags = ["-naHAX", "--checksum", "--delete", "--itemize-changes"]
    done = subprocess.run([rsync, *flags, f"{source}/", f"{target}/"], capture_output=True, text=True, check=True)
    return done.stdout


def plant(folder: Path, seed: int = 1) -> Path:
    draw = random.Random(seed)
    (folder / "empty folder").mkdir(parents=True)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "empty").touch()
    (folder / "small").write_bytes(b"small content, the needle")
    (folder / "deep" / "large").write_bytes(draw.randbytes(3_000_000))
    (folder / "deep" / "er" / "text").write_text("many words " * 50_000)
    raw = os.fsencode(folder)
    for name in (b"new\nline", b"not \xff\xfe utf-8", b" ", b"-rf", b"\\", "ü".encode(), b"x" * 255):
        with open(os.path.join(raw, name), "wb") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(name)
    os.link(folder / "small", folder / "deep" / "again")
    (folder / "dangling").symlink_to("../nowhere")
    (folder / "loop").symlink_to(".")
    (folder / "small").chmod(0o4711)
    (folder / "deep").chmod(0o1751)
    os.utime(folder / "empty", ns=(0, -(10**9) * 86_400 * 365 * 20 + 123_456_789))
    os.utime(folder / "deep" / "large", ns=(0, 2**33 * 10**9 + 1))
    os.utime(folder / "dangling", ns=(0, 10**18), follow_symlinks=False)
    os.utime(folder / "deep" / "er", ns=(0, 1_234_567_890_123_456_789))
    return folder


def plant_sparse(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.seek(5 << 20)
        file.write(b"middle" * 1000)
        file.truncate(12 << 20)
    with (folder / "hole only").open("wb") as file:
        file.truncate(3 << 20)


async def test_a_torture_tree_comes_back_as_rsync_sees_it(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    plant_sparse(source)
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert made.complete
    assert (done.lost, done.files) == ((), made.progress.files)
    assert rsync_says(source, tmp_path / "back") == ""
    for name in ("sparse", "hole only"):
        back = (tmp_path / "back" / name).stat()
        assert back.st_blocks <= (source / name).stat().st_blocks + 16


async def test_a_second_backup_stores_no_data_again_and_reads_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        first = await engine.backup(source)
        before = {pack.pack_id for pack in await engine.catalog.packs()}
        monkeypatch.setattr("nanobarter.storage.scan.open_file", unexpected)
        second = await engine.backup(source)
        new = [pack.kind for pack in await engine.catalog.packs() if pack.pack_id not in before]
    assert new == ["meta"]  # the snapshot alone
    assert second.progress.new_bytes == 0
    assert second.snapshot.roots == first.snapshot.roots
    assert len({line.pack_id for line in (first, second)}) == 2


def unexpected(path: bytes) -> int:
    raise AssertionError(f"{path!r} is unchanged and was opened")


async def test_a_changed_byte_is_seen_though_size_and_mtime_are_forged(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    async with opened(tmp_path / "home") as engine:
        await engine.backup(source)
        found = (source / "small").stat()
        (source / "small").write_bytes(b"small content, THE needle")
        os.utime(source / "small", ns=(found.st_atime_ns, found.st_mtime_ns))
        made = await engine.backup(source)
        await engine.restore(made.snapshot, tmp_path / "back")
    assert (tmp_path / "back" / "small").read_bytes() == b"small content, THE needle"


async def test_fifos_and_sockets_are_skipped_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = plant(tmp_path / "source")
    monkeypatch.chdir(source)  # a socket's path must be short
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
    assert made.complete
    said = [(one.path.rpartition(b"/")[2], one.trouble) for one in made.snapshot.problems]
    assert said == [(b"fifo", "skipped"), (b"socket", "skipped")]
    assert made.progress.skipped == 2
