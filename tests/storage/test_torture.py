"""What a folder can hold at worst must come back, as a tool that we did not write sees it; what cannot must be said.

Large folders: ``python -m tests.storage.size``.
"""

import errno
import os
import struct
from pathlib import Path

import pytest

from tests.storage.engine import opened
from tests.storage.test_backup import plant, plant_sparse, rsync_says

NONE = 2**32 - 1
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, who)
    for tag, rights, who in [
        (1, 6, 2**32 - 1),
        (2, 4, 12345),
        (4, 4, 2**32 - 1),
        (16, 4, 2**32 - 1),
        (32, 0, 2**32 - 1),
    ]
)
"""Owner rw, user 12345 r, group r, mask r, others nothing: as acl(5) lays it out in system.posix_acl_access."""


def set_or_skip(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            pytest.skip(f"this file system takes no {name}")
        raise


def dig(folder: Path, depth: int) -> None:
    """Make a path of so many folders with a file at its end, deeper than any one call could name."""
    at = os.open(folder, os.O_DIRECTORY)
    for number in range(depth):
        name = f"level {number} of a path that is long"
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("the end", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


async def test_acls_and_attributes_come_back(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    plant_sparse(source)
    (source / "acl").write_text("for some eyes\n")
    set_or_skip(source / "acl", "system.posix_acl_access", ACL)
    set_or_skip(source / "deep", "system.posix_acl_default", ACL)
    set_or_skip(source / "acl", "user.long", bytes(range(256)) * 8)
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert (made.complete, done.lost) == (True, ())
    assert rsync_says(source, tmp_path / "back") == ""
    assert os.getxattr(tmp_path / "back" / "acl", "system.posix_acl_access") == ACL


async def test_a_deep_path_comes_back(tmp_path: Path) -> None:
    (source := tmp_path / "source").mkdir()
    dig(source, 80)  # about 2,700 bytes
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert (made.complete, done.lost) == (True, ())
    assert rsync_says(source, tmp_path / "back") == ""


async def test_a_path_that_no_call_can_name_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    (source / "very deep").mkdir()
    dig(source / "very deep", 140)  # more than the 4,096 bytes of PATH_MAX
    async with opened(tmp_path / "home") as engine:
        made = await engine.backup(source)
        done = await engine.restore(made.snapshot, tmp_path / "back")
    assert not made.complete
    assert [problem.detail for problem in made.snapshot.problems] == [os.strerror(errno.ENAMETOOLONG)]
    assert done.lost == ()
    assert (tmp_path / "back" / "small").read_bytes() == (source / "small").read_bytes()
