"""The mark in a restore's target, by which the same command knows that it may go on there.

It is written before anything else and removed when all is back. Without it a restore never touches a folder that
holds anything; with it, files are still believed only by their content. Its name carries the digest of the snapshot,
so that no file in the snapshot can have the same name, not even the mark of another restore.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from blake3 import blake3

from nanobarter.core.canonical import encode
from nanobarter.core.errors import UsageError
from nanobarter.storage.snapshot import Snapshot

MARKS: Final = ".nanobarter-restore-"
"""How the name of every mark begins; the digest of its snapshot follows."""
_PART: Final = b".nanobarter-part-"
_WORDS: Final = "A restore into this folder is not finished. The same command goes on where it stopped."
_MARK_BYTES_MAX: Final = 1024 * 1024


def part_name(digest: str, name: bytes, other: int = 0) -> bytes:
    """Return the name that a file has until it is whole; ``other`` names where that one is taken.

    It hangs on the digest of the snapshot, so that no file in the snapshot can have it.
    """
    made = _PART + blake3(digest.encode() + b"/" + name).hexdigest(length=8).encode()
    return made + b"-%d" % other if other else made


def digest_of(snapshot: Snapshot) -> str:
    """Return what tells a snapshot from another in a mark."""
    return blake3(encode(snapshot)).hexdigest(length=16)


def mark_name(digest: str) -> str:
    """Return the name of the mark of a snapshot with this digest."""
    return MARKS + digest


def begun_in(target: Path) -> str:
    """Return the digest of the snapshot whose restore into this folder is not finished; empty when there is none."""
    found = list[tuple[int, str]]()
    with suppress(OSError):
        for path in target.glob(MARKS + "*"):
            if digest := _digest_in(path):
                found.append((path.lstat().st_ctime_ns, digest))
    # A mark is written before anything else: a later one is only a file that came back, of a folder kept half restored.
    return min(found)[1] if found else ""


def _digest_in(path: Path) -> str:
    """Return what a mark is for; empty for a file that only looks like one."""
    digest = str(_read(path).get("snapshot", ""))
    return digest if path.name == mark_name(digest) else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            found = json.loads(file.read(_MARK_BYTES_MAX))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


@dataclass
class Mark:
    """The mark of one restore. ``resumed``: it was there, so that files may be there too."""

    path: Path
    resumed: bool

    @classmethod
    def set(cls, target: Path, snapshot: Snapshot, paths: Sequence[bytes], *, overwrite: bool) -> "Mark":
        """Make the target ready. Raises UsageError when it holds what is not to be touched."""
        digest = digest_of(snapshot)
        mark = target / mark_name(digest)
        says = {"what": _WORDS, "snapshot": digest, "paths": [path.hex() for path in sorted(paths)]}
        try:
            target.mkdir(parents=True, exist_ok=True)
            if {**_read(mark), "what": _WORDS} == says:
                return cls(mark, resumed=True)
            if not overwrite and any(target.iterdir()):
                if begun_in(target):
                    raise UsageError(
                        f"another restore into {target} is not finished",
                        hint="finish it with its own command, choose a new folder, or say --overwrite",
                    )
                raise UsageError(f"{target} is not empty", hint="choose a new folder, or say --overwrite")
            _write(mark, json.dumps(says, indent=1).encode())
        except OSError as error:
            raise UsageError(f"{target} cannot be used: {error.strerror}", hint="choose another folder") from None
        return cls(mark, resumed=False)

    @property
    def digest(self) -> str:
        """What tells the snapshot from another."""
        return self.path.name.removeprefix(MARKS)

    def remove(self) -> None:
        """All is back."""
        with suppress(OSError):
            self.path.unlink()


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
