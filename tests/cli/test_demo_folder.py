"""At stake: the demo's verdict. A comparison that overlooks a difference would call a loss a success."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nanobarter.cli.demo_folder import copy_folder, differences, survey
from nanobarter.core.errors import UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "one").write_text("one")
    (root / "a" / "two").write_text("two")
    (root / "empty").touch()
    (root / "new\nline").write_text("n")
    (root / "link").symlink_to("nowhere")
    os.link(root / "a" / "one", root / "hard")
    with open(os.fsencode(root) + b"/\xff\xfe", "w") as odd:  # noqa: PTH123 - a name that is no text
        odd.write("odd")
    (root / "a" / "b").chmod(0o500)
    os.utime(root / "a", ns=(1, 1_234_567_890_123_456_789))
    return root


def test_a_copy_is_the_same(tree: Path, tmp_path: Path) -> None:
    copied = copy_folder(tree, tmp_path / "copy", is_default=False)
    assert (copied.files, copied.unread) == (7, ())
    assert differences(survey(tree), survey(tmp_path / "copy")) == []


CHANGES: dict[str, Callable[[Path], object]] = {
    "a/one: content changed": lambda root: _rewrite(root / "a" / "one", "eno"),
    "a/two: mode changed": lambda root: (root / "a" / "two").chmod(0o777),
    "a/two: mtime_ns changed": lambda root: os.utime(root / "a" / "two", ns=(1, 1)),
    "a: mtime_ns changed": lambda root: os.utime(root / "a", ns=(1, 1)),
    "empty: missing": lambda root: _quietly(root, (root / "empty").unlink),
    "more: was not there": lambda root: _quietly(root, (root / "more").touch),
    "link: mtime_ns, content changed": lambda root: _quietly(root, lambda: _relink(root / "link")),
    "hard: first changed": lambda root: _quietly(root, lambda: _unshare(root / "hard")),
}


@pytest.mark.parametrize("told", CHANGES)
def test_every_kind_of_change_is_seen(tree: Path, tmp_path: Path, told: str) -> None:
    before = survey(tree)
    CHANGES[told](tree)
    assert told in differences(before, survey(tree))


def test_what_cannot_be_copied_is_named(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tree / "pipe")
    copied = copy_folder(tree, tmp_path / "copy", is_default=False)
    assert copied.unread == (f"{tree}/pipe: neither file, folder nor link",)
    with pytest.raises(UsageError, match="is not a folder that can be read"):
        copy_folder(tree / "empty", tmp_path / "copy2", is_default=False)


def _rewrite(path: Path, text: str) -> None:
    found = path.stat()
    path.write_text(text)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _quietly(folder: Path, change: Callable[[], object]) -> None:
    found = folder.stat()
    change()
    os.utime(folder, ns=(found.st_atime_ns, found.st_mtime_ns))


def _relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def _unshare(path: Path) -> None:
    data, found = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
