"""Whether the file of a ``Store`` is what it was left as: what SQLite alone does not tell.

SQLite has no checksum over its pages, so ``quick_check`` finds a torn tree but not a changed amount. A small file
beside the database, ``NAME.sum``, says how it was left, in one line:

    closed LENGTH BLAKE3    nobody has it open, and these were its length and its hash
    closing                 its log was being folded in when the writer died
    open                    the writer died; the log must be there
    hurt WHAT               SQLite found it damaged while it was in use

The log (``NAME-wal``) is a chain of checksums, and SQLite drops without a word whatever follows the first frame that
does not fit. That is right for the one commit that a crash has torn. But each commit is synced before the next begins
(``synchronous=FULL``), so where two commits follow a broken frame, something that was promised is lost. Source of the
format: sqlite.org/fileformat2.html, section 4.
"""

import struct
from pathlib import Path
from typing import Final

from blake3 import blake3

from nanobarter.core.durable import write_durably

_CHUNK: Final = 8 * 1024 * 1024
_SUM_BYTES_MAX: Final = 4096
_WAL_BYTES_MAX: Final = 256 * 1024 * 1024  # longer ones are trusted: walking the chain takes about 15 s per GiB
_HEADER: Final = 32
_FRAME: Final = 24
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
_PAGE_MIN, _PAGE_MAX = 512, 65536
_MASK: Final = 0xFFFFFFFF
_TORN_COMMITS: Final = 1  # what a crash may leave unfinished

Sums = tuple[int, int]


def sum_path(path: Path) -> Path:
    """Return where it is written how a database was left."""
    return path.with_name(path.name + ".sum")


def wal_path(path: Path) -> Path:
    """Return where SQLite keeps the log of a database."""
    return path.with_name(path.name + "-wal")


def left_problem(path: Path) -> str:
    """Return what is wrong with a database that nobody has open, as a clause; empty when nothing is seen.

    Reads the whole file when it was closed. A database of which nothing was written down is not judged.
    """
    try:
        how, _, what = sum_path(path).read_bytes()[:_SUM_BYTES_MAX].decode("ascii", "replace").strip().partition(" ")
    except FileNotFoundError:
        return ""
    if not path.exists() or not path.stat().st_size:  # SQLite would take an empty one for new, and drop its log
        return "it is empty" if path.exists() else "it is gone"
    if how == "hurt":
        return what or "SQLite found it damaged"
    if how == "closed" and what != _digest(path):
        return "its bytes are not those that it had when it was closed"
    wal = wal_path(path)
    length = wal.stat().st_size if wal.exists() else 0
    if length < _HEADER + _FRAME:
        return f"its log {wal.name} is gone or empty, and with it what was written last" if how == "open" else ""
    return wal_problem(wal)


def lost_commits(path: Path) -> bool:
    """Tell whether what was committed last is lost with the log, though the rest of the file may be sound."""
    wal = wal_path(path)
    length = wal.stat().st_size if wal.exists() else 0
    if length < _HEADER + _FRAME:
        return sum_path(path).exists() and sum_path(path).read_bytes().startswith(b"open")
    return bool(wal_problem(wal))


def wal_problem(wal: Path) -> str:
    """Return what is wrong with a log, as a clause; empty when at most the last commit is torn."""
    if wal.stat().st_size > _WAL_BYTES_MAX:
        return ""
    raw = wal.read_bytes()
    if len(raw) < _HEADER + _FRAME:
        return ""
    magic, _, size, _, *rest = struct.unpack(">8I", raw[:_HEADER])
    order = _MAGIC.get(magic, "")
    sums = _add(order, (0, 0), raw[:24]) if order else (0, 0)
    if not order or sums != (rest[2], rest[3]) or not _PAGE_MIN <= size <= _PAGE_MAX:
        return f"the beginning of its log {wal.name} is damaged"
    lost = _commits_behind_the_break(raw, size, order, sums)
    return f"its log {wal.name} is damaged: {lost} commits in it cannot be read" if lost > _TORN_COMMITS else ""


def _commits_behind_the_break(raw: bytes, size: int, order: str, sums: Sums) -> int:
    salts, broken, commits = raw[16:24], False, 0
    for at in range(_HEADER, len(raw) - _FRAME - size + 1, _FRAME + size):
        head = raw[at : at + _FRAME]
        if not broken:
            if head[8:16] != salts:
                # Left over from before the log began anew; or its salts are what is damaged: then others follow.
                broken = True
                continue
            sums = _add(order, sums, head[:8] + raw[at + _FRAME : at + _FRAME + size])
            broken = sums != struct.unpack(">2I", head[16:24])
        if broken and head[8:16] == salts and head[4:8] != b"\0\0\0\0":
            commits += 1
    return commits


def _add(order: str, sums: Sums, data: bytes) -> Sums:
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    one, two = sums
    for even, odd in zip(words, words, strict=True):
        one = (one + even + two) & _MASK
        two = (two + odd + one) & _MASK
    return one, two


# -- writing it down; each returns once it is on disk


def note_open(path: Path) -> None:
    """Note that the database is in use, once its log is there."""
    write_durably(sum_path(path), b"open\n")


def note_closing(path: Path) -> None:
    """Note that the log is about to be folded in."""
    write_durably(sum_path(path), b"closing\n")


def note_closed(path: Path) -> None:
    """Note length and hash of a database whose log is folded in."""
    write_durably(sum_path(path), f"closed {_digest(path)}\n".encode())


def note_hurt(path: Path, what: str) -> None:
    """Note that SQLite found the database damaged."""
    line = " ".join(what.encode("ascii", "replace").decode("ascii").split())[:200]
    write_durably(sum_path(path), f"hurt {line}\n".encode())


def forget(path: Path) -> None:
    """Say no more how the database is left; that needs no room on the disk."""
    sum_path(path).unlink(missing_ok=True)


def _digest(path: Path) -> str:
    hasher, length = blake3(max_threads=1), 0
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            hasher.update(piece)
            length += len(piece)
    return f"{length} {hasher.hexdigest()}"
