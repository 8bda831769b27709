"""``nbctl rebuild``: a damaged database is set aside under a dated name, and a fresh one takes its place.

The new file is made beside the old one and takes its name only when it is complete; what a crash leaves in between is
named by the next start, and the same command goes on. A daemon then fetches the rest from peers (``rebuilding``).
"""

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nanobarter.core.damage import open_to_read, problem_of
from nanobarter.core.durable import sync_entry
from nanobarter.core.errors import Damaged, LocalFault, NanobarterError, UsageError
from nanobarter.core.keys import identity_of
from nanobarter.core.salvage import Wreck
from nanobarter.core.soundness import lost_commits, sum_path, wal_path
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.daemon import rebuild_state
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home
from nanobarter.daemon.rebuild_state import Rebuilt
from nanobarter.daemon.salvage import Ground, Saved, fill
from nanobarter.daemon.services_barter import pledge_of
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.mint.audit import audit
from nanobarter.translator import ledger_audit

_REBUILDING: Final = "state.db.rebuilding"
_ASIDE: Final = "state.db.damaged-"
_SUFFIXES: Final = ("", "-wal", "-shm", ".sum")


@dataclass(frozen=True)
class Rebuild:
    """What was wrong, where the damaged file is now (None where there was none), and what was saved of it."""

    problem: str
    aside: Path | None
    saved: Saved


def examine(home: Home) -> str:
    """Return what is wrong with the database of a home whose daemon does not run; empty when nothing is found.

    Looks closer than a start does: at indexes, at the mint's books, and at the ledger.
    """
    try:
        home.check_database()
    except Damaged:
        return "it is gone"
    path = home.state_path
    if problem := problem_of(path, thorough=True):
        return problem
    if not path.exists():
        return ""
    try:
        with closing(open_to_read(path)) as db:
            wrong = [f"the mint's books are wrong: {finding.problem}" for finding in audit(db)]
            wrong += [f"the ledger is wrong: {bad.told}" for bad in ledger_audit.audit(db)]
    except sqlite3.OperationalError:
        return ""  # tables of an older version, which the next start brings up to date
    except (sqlite3.Error, NanobarterError) as error:
        return f"the books of mint and ledger cannot be read: {error}"
    return wrong[0] if wrong else ""


def rebuild(home: Home, config: Config, now: Instant) -> Rebuild:
    """Make the database of a home anew. The daemon must not run; call it with the home locked.

    Raises UsageError when nothing is wrong, LocalFault when the disk refuses.
    """
    problem = examine(home)
    if not problem:
        raise UsageError("nothing is wrong with the database of this home", hint="start the daemon: nbctl up")
    try:
        return _rebuild(home, config, now, problem)
    except OSError as error:
        raise LocalFault(f"cannot rebuild {home.state_path}: {error.strerror}", hint="check the disk") from None


def give_up_snapshots(home: Home) -> None:
    """Let a rebuilt home go on without the index of its former backups. The daemon must not run.

    Raises UsageError when it does not wait for one.
    """
    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    try:
        state = store.read_now(rebuild_state.rebuilt)
        if state is None or state.index == "here":
            raise UsageError("this home does not wait for an index", hint="start the daemon: nbctl up")
        store.write_now(lambda db: rebuild_state.keep(db, Rebuilt(state.at, state.why, "here", state.notes)))
    finally:
        store.close()


def _rebuild(home: Home, config: Config, now: Instant, problem: str) -> Rebuild:
    path, fresh = home.state_path, home.path / _REBUILDING
    _remove(fresh)
    source = path if path.exists() else _last_aside(home)
    wreck = Wreck(source or path)
    newest = path.exists() and not lost_commits(path)
    seed = home.read_seed()
    ground = Ground(home, identity_of(seed), seed, pledge_of(config), now, problem, newest)
    store = Store.open(fresh, ALL_TABLES)
    try:
        saved = store.write_now(lambda db: fill(db, wreck, ground))
    finally:
        store.close()
        wreck.close()
    aside = _set_aside(home, now)
    fresh.replace(path)
    # Last: until then it is on record that the file under this name is damaged.
    with suppress(FileNotFoundError):
        sum_path(path).replace(sum_path(aside))
    sync_entry(home.path)
    return Rebuild(problem, aside if source else None, saved)


def _set_aside(home: Home, now: Instant) -> Path:
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    aside = home.path / f"{_ASIDE}{stamp}"
    while aside.exists():
        aside = aside.with_name(aside.name + "+")
    path = home.state_path
    with suppress(FileNotFoundError):  # first, so that a log never stands beside a database that is not its own
        wal_path(path).replace(wal_path(aside))
    with suppress(FileNotFoundError):
        path.replace(aside)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    sync_entry(home.path)
    return aside


def _last_aside(home: Home) -> Path | None:
    """Return the file that was set aside last: a rebuild that was cut off goes on from it."""
    found = [p for p in home.path.glob(f"{_ASIDE}*") if not p.name.endswith(_SUFFIXES[1:])]
    return max(found, key=lambda p: p.name, default=None)


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
