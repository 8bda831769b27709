"""A database that is not what it should be: how it is looked at without touching it, and what is told of it."""

import sqlite3
import urllib.parse
from contextlib import closing
from pathlib import Path
from typing import Final

from nanobarter.core import soundness
from nanobarter.core.errors import Damaged, LocalFault

HINT_REBUILD: Final = "set it aside and make it anew from what can be read and from peers: nbctl rebuild"


def problem_of(path: Path, *, guarded: bool = True, thorough: bool = False) -> str:
    """Return what is wrong with a database that nobody has open, as a clause; empty when nothing is seen.

    The file is only read, its log is not folded in. ``thorough`` also compares indexes with their tables.
    """
    if guarded and (problem := soundness.left_problem(path)):
        return problem
    if not path.exists():
        return ""
    try:
        with closing(open_to_read(path)) as reader:
            check = "integrity_check(1)" if thorough else "quick_check(1)"
            found = reader.execute(f"PRAGMA {check}").fetchone()[0]
    except sqlite3.DatabaseError as error:
        fault = fault_of(path, error)
        if isinstance(fault, Damaged):
            return str(error)
        raise fault from error
    return "" if found == "ok" else " ".join(found.split())


def open_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing, its log included. Raises sqlite3.DatabaseError."""
    name = urllib.parse.quote(str(path.absolute()))
    return sqlite3.connect(f"file:{name}?mode=ro", uri=True, isolation_level=None, timeout=30)


def fault_of(path: Path, error: Exception) -> LocalFault:
    """Return what trouble with a database means for its owner."""
    text = str(error)
    if "full" in text:
        return LocalFault(f"the disk that holds {path} is full", hint="free some space, then start again")
    if "malformed" in text or "not a database" in text:
        return Damaged(f"the database {path} is damaged: {text}", hint=HINT_REBUILD)
    return LocalFault(f"the database {path} cannot be used: {text}", hint="check the disk and the file's owner")
