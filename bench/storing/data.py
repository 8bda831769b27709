"""What is backed up: made on the machine that measures, from its own files and from seeded chance.

``mixed`` is what people have: thousands of small files of the system, large ones, archives, and copies that differ
a little. ``tree`` is 2,005 small files. ``many`` is 100,000 tiny ones. Equal on equal machines, and the same for all
who are compared. ``made`` works in a process of its own: a process that measures others must stay small, since Linux
counts the memory of whoever starts a process as that process's own.
"""

import io
import os
import random
import stat
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import zstandard

from bench.storing.cost import run
from nanobarter.core.units import MIB

_ROOTS: Final = ("/usr/lib", "/usr/share", "/usr/include", "/usr/bin", "/usr/local")
_SMALL_PARTS: Final = 0.62  # of the size are files of the system; the rest is archives and near-duplicates
_ARCHIVE_PARTS: Final = 0.2
_LARGE: Final = MIB
_FILE_MAX: Final = 32 * MIB
_TREE_WORDS: Final = 2000


def made(what: str, folder: Path, *numbers: int) -> None:
    """Make data by the function of this name, in another process. Raises Failed."""
    run([sys.executable, "-m", "bench.storing.data", what, str(folder), *map(str, numbers)])


def mixed(folder: Path, *, files: int, size: int) -> None:
    """Fill a folder with about so many files and bytes: of the system, archives of them, and near-duplicates."""
    luck = random.Random(1)
    found = sorted(_system_files())
    luck.shuffle(found)
    small = [path for path, length in found if length < _LARGE][: files - 100]
    large = [path for path, length in found if length >= _LARGE]
    written, copies = 0, list[Path]()
    for number, source in enumerate((*small, *large)):
        if written >= size * _SMALL_PARTS:
            break
        target = folder / f"system {number % 97}" / f"{number} {Path(source).name[:80]}"
        copied = _copy(source, target)
        written += copied
        if copied >= _LARGE:
            copies.append(target)
    archives = _archives(folder / "archives", sorted(folder.rglob("*")), round(size * _ARCHIVE_PARTS), luck)
    written += sum(path.stat().st_size for path in archives)
    originals = [*archives, *copies]
    for number, original in enumerate(originals * 8):
        if written >= size:
            break
        target = folder / "nearly the same" / f"{number} {original.name}"
        written += _write(target, _edited(original.read_bytes(), luck, 3))


def edit(folder: Path) -> int:
    """Put 1000 bytes into one file in a hundred, the larger the likelier; return into how many."""
    luck = random.Random(2)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    weights = [path.stat().st_size for path in paths]
    chosen = sorted(set(luck.choices(paths, weights, k=max(len(paths) // 100, 1))))
    for path in chosen:
        path.write_bytes(_edited(path.read_bytes(), luck, 1))
    return len(chosen)


def tree(folder: Path, *, files: int, size: int) -> None:
    """Fill a folder with so many small files of text and noise, about so many bytes in all."""
    luck = random.Random(3)
    words = [luck.randbytes(luck.randrange(2, 9)).hex() for _ in range(_TREE_WORDS)]
    lengths = [luck.lognormvariate(0, 1.6) for _ in range(files)]
    scale = size / sum(lengths)
    for number, part in enumerate(lengths):
        length = int(part * scale)
        body = luck.randbytes(length) if number % 3 == 0 else " ".join(luck.choices(words, k=length // 10 + 1)).encode()
        _write(folder / f"folder {number % 53}" / f"file {number}", body[:length])


def many(folder: Path, *, files: int) -> None:
    """Fill a folder with tiny files, a hundred in each of its folders."""
    luck = random.Random(4)
    for number in range(files):
        _write(folder / f"{number // 10_000}" / f"{number // 100}" / f"file {number}", luck.randbytes(100))


def noise(path: Path, size: int) -> None:
    """Write one file of random bytes, which no program has seen before."""
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - start)))


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _system_files() -> Iterator[tuple[str, int]]:
    for root in _ROOTS:
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118 - a hundred thousand of them
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode) and 0 < found.st_size < _FILE_MAX and os.access(path, os.R_OK):
                    yield path, found.st_size


def _copy(source: str, target: Path) -> int:
    return _write(target, Path(source).read_bytes())


def _write(target: Path, body: bytes) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(body)
    return len(body)


def _archives(folder: Path, paths: Sequence[Path], size: int, luck: random.Random) -> list[Path]:
    """Write .tar.zst archives of these files, a few MiB each, until there are so many bytes."""
    folder.mkdir()
    made, written, paths = list[Path](), 0, [path for path in paths if path.is_file()]
    while written < size:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for path in luck.sample(paths, min(len(paths), 400)):
                tar.add(path, arcname=path.name)
        made.append(folder / f"{len(made)}.tar.zst")
        written += _write(made[-1], zstandard.compress(plain.getvalue(), 1))
    return made


def _edited(body: bytes, luck: random.Random, edits: int) -> bytes:
    changed = bytearray(body)
    for _ in range(edits):
        at = luck.randrange(len(changed) + 1)
        changed[at:at] = luck.randbytes(1000)
    return bytes(changed)


if __name__ == "__main__":
    _, what, where, *counts = sys.argv
    numbers = [int(count) for count in counts]
    match what:
        case "mixed":
            mixed(Path(where), files=numbers[0], size=numbers[1])
        case "tree":
            tree(Path(where), files=numbers[0], size=numbers[1])
        case "many":
            many(Path(where), files=numbers[0])
        case _:
            edit(Path(where))
