"""The one SQLite file of a node, behind a small port: one writer with group commit, many short readers.

Record, then speak: ``write`` returns only after the change is on disk (WAL, ``synchronous=FULL``). Changes that
wait while a commit runs share the next one, each in a savepoint of its own, so that one that fails undoes only
itself. A component brings its tables as ordered migrations; released ones are never edited.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.limits import LIMITS, Limits

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]

APPLICATION_ID: Final = 0x6E626172  # "nbar": tells our file from any other SQLite file
_HINT_RESTORE: Final = "move this home away, make a new one, and restore the folders by the phrase: nbctl restore"


@dataclass(frozen=True)
class Migration:
    """One step of a component's tables. ``version`` counts from 1 without gaps."""

    component: str
    version: int
    sql: str


@dataclass
class _Outcome:
    """What came of one change."""

    result: Any = None
    error: Exception | None = None


@dataclass
class _Waiting:
    """Changes of one caller, each of which stands or falls alone."""

    changes: Sequence[Change[Any]]
    done: trio.Event = field(default_factory=trio.Event)
    outcomes: list[_Outcome] = field(default_factory=list[_Outcome])


class Store:
    """Durable state. Open it with ``Store.open``; run ``run`` in the nursery before calling ``write``."""

    def __init__(self, writer: sqlite3.Connection, path: Path, limits: Limits) -> None:
        self._writer = writer
        self._path = path
        self._limits = limits
        self._readers = [_connect(path)]
        self._queue_in, self._queue_out = trio.open_memory_channel[_Waiting](limits.store_queue_max)
        self._stopped = False
        self._late = trio.Lock()

    @classmethod
    def open(cls, path: Path, migrations: Iterable[Migration], limits: Limits = LIMITS) -> "Store":
        """Open or make the file, check it, and bring its tables up to date.

        Raises LocalFault when the file is damaged or the disk refuses it, UsageError when it was made by a
        newer version. Nothing is changed in either case.
        """
        try:
            writer = _connect(path)
            writer.execute("PRAGMA journal_mode = WAL")
            found = writer.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise LocalFault(f"the database {path} is damaged: {found}", hint=_HINT_RESTORE)
            mark = writer.execute("PRAGMA application_id").fetchone()[0]
            if mark not in (0, APPLICATION_ID):
                raise LocalFault(f"{path} is a database of another program", hint="choose another home")
            _migrate(writer, path, list(migrations))
        except sqlite3.DatabaseError as error:
            raise _fault(path, error) from error
        return cls(writer, path, limits)

    def close(self) -> None:
        """Close the file. Changes that were not answered are undone."""
        for connection in (*self._readers, self._writer):
            connection.close()

    def write_now(self, change: Change[T]) -> T:
        """Make one change durable, blocking: for start-up, tools and tests, not beside a running ``run``."""
        waiting = _Waiting([change])
        _commit(self._writer, [waiting], self._path)
        return _result(waiting.outcomes[0])

    def read_now(self, question: Change[T]) -> T:
        """Answer from the last commit, blocking. For short look-ups; long ones use ``read``."""
        try:
            reader = self._readers.pop()
        except IndexError:  # all are in use by other threads; trio bounds their number
            reader = _connect(self._path)
        try:
            return question(reader)
        except sqlite3.DatabaseError as error:
            raise _fault(self._path, error) from error
        finally:
            self._readers.append(reader)

    async def read(self, question: Change[T]) -> T:
        """Answer from the last commit, in a worker thread."""
        return await trio.to_thread.run_sync(self.read_now, question)

    async def write(self, change: Change[T]) -> T:
        """Run a change in a transaction and return its result once it is durable.

        The change runs in a worker thread; what it raises undoes it alone and is raised here. A cancelled
        caller does not undo a change already queued. After ``run`` was cancelled a change still becomes durable,
        alone: the last words of a task that ends in a shield must not wait for a writer that is gone.
        """
        return _result((await self._write([change]))[0])

    async def write_all(self, changes: Sequence[Change[T]]) -> list[T | Exception]:
        """Run many changes as ``write`` does, in one commit, and return for each its result or what it raised."""
        return [o.result if o.error is None else o.error for o in await self._write(changes)]

    async def _write(self, changes: Sequence[Change[Any]]) -> list[_Outcome]:
        waiting = _Waiting(changes)
        if self._stopped:
            async with self._late:
                await trio.to_thread.run_sync(_commit, self._writer, [waiting], self._path)
        else:
            await self._queue_in.send(waiting)
            await waiting.done.wait()
        return waiting.outcomes

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve ``write`` until cancelled: everything that waits goes into one commit with one fsync.

        What waits when it is cancelled is still committed.
        """
        self._stopped = False
        task_status.started()
        try:
            async for first in self._queue_out:
                await self._commit_batch([first])
        finally:
            self._stopped = True
            with trio.CancelScope(shield=True):
                async with self._late:
                    while await self._commit_batch([]):
                        pass

    async def _commit_batch(self, batch: list[_Waiting]) -> bool:
        """Commit ``batch`` and what else waits; tell whether there was anything."""
        size = sum(len(waiting.changes) for waiting in batch)
        while size < self._limits.store_batch_max:
            try:
                batch.append(self._queue_out.receive_nowait())
            except trio.WouldBlock:
                break
            size += len(batch[-1].changes)
        if batch:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_commit, self._writer, batch, self._path)
            for waiting in batch:
                waiting.done.set()
        return bool(batch)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _result(outcome: _Outcome) -> Any:
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


def _commit(writer: sqlite3.Connection, batch: list[_Waiting], path: Path) -> None:
    """Run the changes in one transaction. A failed commit fails them all; a failed change only itself."""
    try:
        writer.execute("BEGIN IMMEDIATE")
        for waiting in batch:
            waiting.outcomes = [_try_alone(writer, change, path) for change in waiting.changes]
        writer.execute("COMMIT")
    except sqlite3.Error as error:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        for waiting in batch:
            waiting.outcomes = [_Outcome(error=_fault(path, error)) for _ in waiting.changes]


def _try_alone(writer: sqlite3.Connection, change: Change[Any], path: Path) -> _Outcome:
    writer.execute("SAVEPOINT change")
    try:
        outcome = _Outcome(change(writer))
        writer.execute("RELEASE change")
    except Exception as error:  # noqa: BLE001 - handed to the caller who asked for the change
        outcome = _Outcome(error=_fault(path, error) if _is_disk_trouble(error) else error)
        writer.execute("ROLLBACK TO change")
        writer.execute("RELEASE change")
    return outcome


def _is_disk_trouble(error: Exception) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError
    )


def _fault(path: Path, error: Exception) -> LocalFault:
    text = str(error)
    if "full" in text:
        return LocalFault(f"the disk that holds {path} is full", hint="free some space, then start again")
    if "malformed" in text or "not a database" in text:
        return LocalFault(f"the database {path} is damaged: {text}", hint=_HINT_RESTORE)
    return LocalFault(f"the database {path} cannot be used: {text}", hint="check the disk and the file's owner")


def _migrate(writer: sqlite3.Connection, path: Path, migrations: list[Migration]) -> None:
    writer.execute("BEGIN IMMEDIATE")
    try:
        writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        writer.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"
        )
        have = dict(writer.execute("SELECT component, version FROM schema_versions").fetchall())
        for component in {m.component for m in migrations}:
            steps = sorted((m for m in migrations if m.component == component), key=lambda m: m.version)
            newest = steps[-1].version
            _refuse_newer(path, component, have.get(component, 0), newest)
            for step in steps[have.get(component, 0) :]:
                for statement in _statements(step.sql):
                    writer.execute(statement)
            writer.execute(
                "INSERT INTO schema_versions VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version",
                (component, newest),
            )
        writer.execute("COMMIT")
    except BaseException:
        writer.execute("ROLLBACK")
        raise


def _refuse_newer(path: Path, component: str, have: int, newest: int) -> None:
    if have > newest:
        raise UsageError(
            f"{path} was written by a newer nanobarter ({component} {have} > {newest})", hint="update nanobarter"
        )


def _statements(sql: str) -> list[str]:
    """Split a migration at the semicolons that end statements (``executescript`` would commit by itself)."""
    statements, held = list[str](), ""
    for piece in sql.split(";"):
        held += piece + ";"
        if sqlite3.complete_statement(held):
            statements.append(held)
            held = ""
    return [s for s in statements if s.strip(" \n;")]
