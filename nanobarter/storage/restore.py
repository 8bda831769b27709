"""Restore: a snapshot back into a folder, content and everything else that was kept. Start here.

The tree may come from an enemy and the target may hold links: every file is opened below the target, one name
at a time, without following a link (``places``). Each chunk is checked against its id. What cannot be restored is
reported and the rest goes on (``restorer``). One that was cut off goes on where it was (``resume``, ``filling``).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from nanobarter.core.errors import UsageError
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.storage.browse import Step, join_path, walk_entry, with_reader
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.places import Parts, Places
from nanobarter.storage.ports import PackSource
from nanobarter.storage.restorer import Lost, Restorer
from nanobarter.storage.resume import Mark
from nanobarter.storage.snapshot import Root, Snapshot
from nanobarter.storage.tree import Directory


@dataclass(frozen=True)
class Restored:
    """What a restore did. ``lost`` is empty when everything asked for is back.

    Of the files ``kept_files`` were there already, as an earlier attempt had left them. ``away``: the same restore
    may bring more later.
    """

    files: int
    directories: int
    written_bytes: int
    lost: tuple[Lost, ...]
    kept_files: int = 0
    kept_bytes: int = 0
    away: bool = False


@dataclass
class _Job:
    snapshot: Snapshot
    target: Path
    paths: Sequence[bytes]
    mark: Mark
    overwrite: bool
    limits: Limits
    tick: Callable[[int, int], None]
    done: list[Restorer] = field(default_factory=list[Restorer])
    met: set[bytes] = field(default_factory=set[bytes])

    def run(self, reader: ChunkReader) -> Restored:
        for root in _chosen(self.snapshot, self.paths):
            self._root(root, reader)
        absent = [path for path in self.paths if path not in self.met]
        if absent and not self.met:
            self.mark.remove()
            raise UsageError("none of the paths is in the snapshot", hint="look for them with nbctl find")
        away = any(one.away for one in self.done)
        if not away:
            self.mark.remove()
        return Restored(
            files=sum(one.files for one in self.done),
            directories=sum(one.directories for one in self.done),
            written_bytes=sum(one.filler.fetched for one in self.done),
            lost=(
                *(Lost(path, "is not in the snapshot") for path in absent),
                *(lost for one in self.done for lost in one.lost),
            ),
            kept_files=sum(one.kept_files for one in self.done),
            kept_bytes=sum(one.filler.kept for one in self.done),
            away=away,
        )

    def _root(self, root: Root, reader: ChunkReader) -> None:
        base = _base_of(self.snapshot, root)
        top = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        places = Places(top)
        restorer = Restorer(
            reader=reader,
            places=places,
            overwrite=self.overwrite,
            resumed=self.mark.resumed,
            digest=self.mark.digest,
            limits=self.limits,
            tick=self.tick,
            path_of=lambda parts: join_path(root.path, parts[len(base) :]),
            finish=self.mark.remove,
        )
        self.done.append(restorer)

        def keep(parts: Parts) -> bool:
            here = join_path(root.path, parts)
            self.met |= {path for path in self.paths if _is_in(here, path)}
            return not self.paths or any(meets(here, path) for path in self.paths)

        keep(())

        try:
            for depth in range(1, len(base) + isinstance(root.entry, Directory)):
                with suppress(FileExistsError):
                    os.mkdir(base[depth - 1], 0o700, dir_fd=places.handle(base[: depth - 1]))
            restorer.run(_moved(walk_entry(root.entry, reader.meta, keep), base))
        finally:
            places.close()
            os.close(top)


async def restore(  # noqa: PLR0913 - the ports, by name
    snapshot: Snapshot,
    target: Path,
    *,
    keys: VaultKeys,
    catalog: Catalog,
    source: PackSource,
    overwrite: bool = False,
    paths: Sequence[bytes] = (),
    limits: Limits = LIMITS,
    progress: Callable[[int, int], None] | None = None,
) -> Restored:
    """Bring a snapshot, or some absolute paths of it, back into the folder ``target``.

    A snapshot of one folder becomes the target itself; of several, or of a file, they appear below it by their
    paths or name. ``progress`` gets (files, bytes) in the event loop's thread and must not wait. A restore of the
    same paths of the same snapshot that was cut off goes on: what is there is checked and not fetched again. Raises
    UsageError, with nothing written, when the target holds anything else and ``overwrite`` is not given, or when a
    path is not in the snapshot.
    """
    mark = Mark.set(target, snapshot, paths, overwrite=overwrite)

    def tick(files: int, written: int) -> None:
        trio.from_thread.check_cancelled()
        if progress is not None:
            trio.from_thread.run_sync(progress, files, written)

    job = _Job(snapshot, target, paths, mark, overwrite, limits, tick)
    return await with_reader(keys, catalog, source, limits, job.run)


def _chosen(snapshot: Snapshot, paths: Sequence[bytes]) -> list[Root]:
    return [root for root in snapshot.roots if not paths or any(meets(root.path, path) for path in paths)]


def meets(one: bytes, other: bytes) -> bool:
    """Tell whether one path is the other, or above or below it."""
    first, second = one.rstrip(b"/") + b"/", other.rstrip(b"/") + b"/"
    return first.startswith(second) or second.startswith(first)


def _is_in(one: bytes, other: bytes) -> bool:
    return (one.rstrip(b"/") + b"/").startswith(other.rstrip(b"/") + b"/")


def _base_of(snapshot: Snapshot, root: Root) -> Parts:
    """Return where below the target a root goes."""
    if len(snapshot.roots) > 1:
        return tuple(part for part in root.path.split(b"/") if part not in (b"", b".", b".."))
    return () if isinstance(root.entry, Directory) else (root.entry.name,)


def _moved(steps: Iterator[Step], base: Parts) -> Iterator[Step]:
    return (Step(step.kind, base + step.parts, step.entry, step.detail, step.away) for step in steps)
