"""What a backup will cost is told from this size: a file that counts twice would ask for space that nobody needs."""

from pathlib import Path

from nanobarter.storage.excludes import Excludes
from nanobarter.storage.measuring import FolderSize, measure


def test_a_file_counts_once_and_not_when_it_is_left_out(tmp_path: Path) -> None:
    outer, inner, home = tmp_path / "outer", tmp_path / "outer" / "inner", tmp_path / "outer" / "home"
    for folder in (inner / "deep", home):
        folder.mkdir(parents=True)
    for number, file in enumerate((outer / "a", inner / "b", inner / "deep" / "c", inner / "x.tmp", home / "d")):
        file.write_bytes(b"x" * 10**number)
    excludes = Excludes(("*.tmp",), absolute=(home,))
    assert measure([outer], excludes) == FolderSize(111, 3)
    assert measure([inner, outer, outer], excludes) == FolderSize(111, 3)
    assert measure([inner, outer], Excludes()) == FolderSize(11111, 5)
    assert measure([tmp_path / "absent"], excludes) == FolderSize()
