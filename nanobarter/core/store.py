"""The one SQLite file of a node, behind a small port: one writer with group commit, many short readers.

Record, then speak: ``write`` returns only after the change is on disk (WAL, ``synchronous=FULL``). Changes that
wait while a commit runs share the next one, each in a savepoint of its own, so that one that fails undoes only
itself. A component brings its tables as ordered migrations; released ones are never edited.

A guarded store also writes down how it leaves its file (``soundness``), and refuses one that is not as it was left.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import trio

from nanobarter.core import soundness
from nanobarter.core.damage import HINT_REBUILD, fault_of, problem_of
from nanobarter.core.errors import Damaged, LocalFault
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.migrations import APPLICATION_ID, Migration, migrate

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]


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


@dataclass
class _File:
    """The database file. ``hurt``: what SQLite said of it when it found it damaged."""

    path: Path
    guarded: bool = False
    hurt: str = ""

    def fault(self, error: Exception) -> LocalFault:
        found = fault_of(self.path, error)
        if isinstance(found, Damaged):
            self.hurt = self.hurt or str(error)
        return found


class Store:
    """Durable state. Open it with ``Store.open``; run ``run`` in the nursery before calling ``write``."""

    def __init__(self, writer: sqlite3.Connection, file: _File, limits: Limits) -> None:
        self._writer = writer
        self._file = file
        self._path = path = file.path
        self._limits = limits
        self._readers = [_connect(path)]
        self._queue_in, self._queue_out = trio.open_memory_channel[_Waiting](limits.store_queue_max)
        self._stopped = False
        self._late = trio.Lock()

    @classmethod
    def open(
        cls, path: Path, migrations: Iterable[Migration], limits: Limits = LIMITS, *, guarded: bool = False
    ) -> "Store":
        """Open or make the file, check it, and bring its tables up to date.

        Raises Damaged when the file is damaged or, if ``guarded``, not as it was left; LocalFault when the disk
        refuses it, UsageError when it was made by a newer version. Nothing is changed in any of these cases.
        """
        try:
            if problem := problem_of(path, guarded=guarded):
                raise Damaged(f"the database {path} is damaged: {problem}", hint=HINT_REBUILD)
            writer = _connect(path)
            writer.execute("PRAGMA journal_mode = WAL")
            mark = writer.execute("PRAGMA application_id").fetchone()[0]
            if mark not in (0, APPLICATION_ID):
                raise LocalFault(f"{path} is a database of another program", hint="choose another home")
            if guarded:  # the file stays as it was noted until the note says that it is in use
                writer.execute("PRAGMA wal_autocheckpoint = 0")
            migrate(writer, path, list(migrations))
            if guarded:
                soundness.note_open(path)
                writer.execute("PRAGMA wal_autocheckpoint = 1000")
        except sqlite3.DatabaseError as error:
            raise fault_of(path, error) from error
        return cls(writer, _File(path, guarded), limits)

    def close(self) -> None:
        """Close the file. Changes that were not answered are undone."""
        for connection in self._readers:
            connection.close()
        self._readers.clear()
        if self._file.guarded:
            self._note_end()
        self._writer.close()

    def _note_end(self) -> None:
        """Write down how the file is left. Where that fails, the next start judges it less strictly."""
        with suppress(OSError, sqlite3.Error):
            if self._file.hurt:
                soundness.note_hurt(self._path, self._file.hurt)
                return
            try:
                soundness.note_closing(self._path)
            except OSError:  # a full disk: SQLite drops its log at the end all the same, and "open" would be a lie
                soundness.forget(self._path)
                raise
            (busy, _, _) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                soundness.note_closed(self._path)

    def write_now(self, change: Change[T]) -> T:
        """Make one change durable, blocking: for start-up, tools and tests, not beside a running ``run``."""
        waiting = _Waiting([change])
        _commit(self._writer, [waiting], self._file)
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
            raise self._file.fault(error) from error
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
                await trio.to_thread.run_sync(_commit, self._writer, [waiting], self._file)
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
                await trio.to_thread.run_sync(_commit, self._writer, batch, self._file)
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


def _commit(writer: sqlite3.Connection, batch: list[_Waiting], file: _File) -> None:
    """Run the changes in one transaction. A failed commit fails them all; a failed change only itself."""
    try:
        writer.execute("BEGIN IMMEDIATE")
        for waiting in batch:
            waiting.outcomes = [_try_alone(writer, change, file) for change in waiting.changes]
        writer.execute("COMMIT")
    except sqlite3.Error as error:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        for waiting in batch:
            waiting.outcomes = [_Outcome(error=file.fault(error)) for _ in waiting.changes]


def _try_alone(writer: sqlite3.Connection, change: Change[Any], file: _File) -> _Outcome:
    writer.execute("SAVEPOINT change")
    try:
        outcome = _Outcome(change(writer))
        writer.execute("RELEASE change")
    except Exception as error:  # noqa: BLE001 - handed to the caller who asked for the change
        outcome = _Outcome(error=file.fault(error) if _is_disk_trouble(error) else error)
        writer.execute("ROLLBACK TO change")
        writer.execute("RELEASE change")
    return outcome


def _is_disk_trouble(error: Exception) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError
    )
