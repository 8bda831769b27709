"""Folders as people have them: links, holes, odd names, old times, modes and attributes."""

import os
from pathlib import Path

DIARY_LINE = "Dear diary, today number {:05d} I hid the silver under the third plum tree."
SECRET_NAMES = ("diary of ada", "plum trees")
LONG_NAME = "n" * 255


def odd_folder(root: Path) -> Path:
    """Make a folder of everything that a backup must bring back."""
    trees = root / SECRET_NAMES[1]
    for folder in (root, trees, root / "deep" / "er" / "est", root / "empty folder", root / "closed", root / "public"):
        folder.mkdir(parents=True, exist_ok=True)
    diary = "\n".join(DIARY_LINE.format(day) for day in range(20_000))
    (root / SECRET_NAMES[0]).write_text(diary)
    (trees / "blob").write_bytes(os.urandom(3_141_592))
    (root / "deep" / "er" / "est" / "note").write_text("deep\n")
    (root / "empty").touch()
    (root / "-rf").write_text("a name like an option\n")
    (root / "new\nline and  spaces ").write_text("odd\n")
    (root / "back\\slash *?[x] $HOME").write_text("globs\n")
    (root / LONG_NAME).write_text("long\n")
    write(os.fsencode(root) + b"/caf\xe9 \xff\xfe", b"not UTF-8\n")
    (root / "dangling").symlink_to(os.fsdecode(b"nowhere/\xff"))
    (root / "loop a").symlink_to("loop b")
    (root / "loop b").symlink_to("loop a")
    (root / "self").symlink_to("self")
    (root / "to a folder").symlink_to(SECRET_NAMES[1])
    (root / "absolute").symlink_to("/etc/hostname")
    os.link(root / SECRET_NAMES[0], trees / "second name")
    os.link(trees / "blob", root / "deep" / "third name")
    os.link(root / "loop a", root / "deep" / "link with two names", follow_symlinks=False)
    with (root / "sparse").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
        file.seek(32 * 1024 * 1024)
        file.write(b"an island")
    (root / "program").write_text("#!/bin/sh\n")
    (root / "closed" / "inside").write_text("in\n")
    _attributes(root)
    _modes(root)
    _times(root)
    return root


def write(path: bytes, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, content)
    os.close(descriptor)


def _attributes(root: Path) -> None:
    try:
        os.setxattr(root / "program", "user.comment", b"\x00any bytes\xff")
        os.setxattr(root / "deep", "user.on-a-folder", b"")
    except OSError:
        pass  # this file system takes none; the comparison then has nothing to compare


def _modes(root: Path) -> None:
    (root / "program").chmod(0o4755)
    (root / "empty").chmod(0o400)
    (root / "-rf").chmod(0o666)
    (root / "public").chmod(0o1777)
    (root / "closed").chmod(0o555)
    (root / "deep").chmod(0o700)


def _times(root: Path) -> None:
    old = {"empty": -1_000_000_000_000_000_001, "-rf": 1, "program": 4_000_000_000_123_456_789, "public": 0}
    for name, at in old.items():
        os.utime(root / name, ns=(at, at))
    os.utime(root / "dangling", ns=(7, 86_400_000_000_007), follow_symlinks=False)
    os.utime(root / "deep" / "er", ns=(1, 999_999_999_999_999_999))


def attributes(root: Path) -> dict[bytes, dict[str, bytes]]:
    """Return the extended attributes of everything under a folder."""
    found = dict[bytes, dict[str, bytes]]()
    for folder, names, leaves in os.walk(os.fsencode(root)):
        for name in [*names, *leaves]:
            path = os.path.join(folder, name)  # noqa: PTH118 - as above
            if listed := os.listxattr(path, follow_symlinks=False):
                inside = path.removeprefix(os.fsencode(root))
                found[inside] = {key: os.getxattr(path, key, follow_symlinks=False) for key in listed}
    return found
