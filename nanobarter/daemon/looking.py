"""Looking at what is kept: listings, differences, checks, and drills that restore a sample and compare it."""

import filecmp
import os
import stat
import tempfile
from collections.abc import AsyncGenerator, Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import trio

from nanobarter.core.errors import UsageError
from nanobarter.core.pathtext import path_bytes
from nanobarter.daemon.jobs import LISTED_MAX, Say, shown
from nanobarter.daemon.restoring import choose_snapshot, supply_of
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import (
    LOOK_PATIENCE_MS,
    PATIENCE_MS,
    Checked,
    Differences,
    Drilled,
    Listing,
    ListRow,
)
from nanobarter.storage.browse import Listed, with_reader
from nanobarter.storage.check import check
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.looking import Found, compare, find_names, list_folder, sample_files
from nanobarter.storage.prune import Step
from nanobarter.storage.restore import restore
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import Device, Directory, File

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

ROWS_MAX: Final = 10_000  # of one answer; a listing of everything is a restore
_NANO: Final = 1_000_000_000
T = TypeVar("T")
Kind = Literal["file", "folder", "link", "device"]


class LookJob:
    """Answers about snapshots of one node; trees are fetched from peers."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def ls(self, snapshot: str, path: str) -> AsyncGenerator[Progress | Listing]:
        """List a folder of a snapshot."""
        where = path_bytes(path.rstrip("/"))
        return self._found(snapshot, where, lambda one, reader: list_folder(one, where, reader, ROWS_MAX))

    def find(self, snapshot: str, pattern: str) -> AsyncGenerator[Progress | Listing]:
        """List what matches a pattern."""
        return self._found(snapshot, b"", lambda one, reader: find_names(one, path_bytes(pattern), reader, ROWS_MAX))

    def _found(
        self, wanted: str, path: bytes, look: Callable[[Snapshot, ChunkReader], Found]
    ) -> AsyncGenerator[Progress | Listing]:
        async def work(say: Say) -> Listing:
            node = self._node
            paths = [path] if path else []
            lines = await node.catalog.snapshots()
            try:
                line, snapshot = choose_snapshot(lines, node.vault_keys, wanted=wanted, paths=paths)
            except UsageError:
                if wanted or not paths or not lines:
                    raise
                return Listing(snapshot_id="")  # no snapshot holds the path: an answer, and no wrong question
            found = await self._read(lambda reader: look(snapshot, reader), say)
            return Listing(
                snapshot_id=line.snapshot_id.hex(),
                rows=tuple(map(_row, found.rows)),
                more=found.more,
                lost=tuple(shown(one.path) for one in found.lost[:LISTED_MAX]),
                gone=tuple(shown(one.path) for one in found.lost[:LISTED_MAX] if not one.away),
            )

        return self._node.jobs.events(work)

    async def _read(self, work: Callable[[ChunkReader], T], say: Say) -> T:
        node = self._node
        source = supply_of(node).patient(LOOK_PATIENCE_MS, say)
        return await with_reader(node.vault_keys, node.catalog, source, node.limits, work)

    def diff(self, one: str, other: str) -> AsyncGenerator[Progress | Differences]:
        """Tell what differs between two snapshots."""

        async def work(say: Say) -> Differences:
            lines = await self._node.catalog.snapshots()
            first, old = choose_snapshot(lines, self._node.vault_keys, wanted=one)
            second, new = choose_snapshot(lines, self._node.vault_keys, wanted=other)
            found = await self._read(lambda reader: list(islice(compare(old, new, reader), ROWS_MAX + 1)), say)
            return Differences(
                old=first.snapshot_id.hex(),
                new=second.snapshot_id.hex(),
                changes=tuple((change.kind, shown(change.path)) for change in found[:ROWS_MAX]),
                more=len(found) > ROWS_MAX,
            )

        return self._node.jobs.events(work)

    def check(self, *, read_data: bool) -> AsyncGenerator[Progress | Checked]:
        """Check snapshots, catalog and, when asked, every byte at the peers."""

        async def work(say: Say) -> Checked:
            node, started = self._node, trio.current_time()

            def moved(step: Step) -> None:
                say(Progress(phase=step.phase, done=step.done, total=step.total, unit=step.unit))

            # What took hours to fetch is worth a wait; trees alone are asked for again in a moment.
            source = supply_of(node).patient(PATIENCE_MS if read_data else LOOK_PATIENCE_MS, say)
            done = await check(
                keys=node.vault_keys,
                catalog=node.catalog,
                source=source,
                read_data=read_data,
                limits=node.limits,
                progress=moved,
            )
            health = await node.proofs.health()
            return Checked(
                snapshots=done.snapshots,
                packs=done.packs,
                read_packs=done.read_packs,
                unreadable=tuple(why for _, why in done.unreadable),
                damaged=tuple(f"pack {pack_id.hex()[:16]}: {why}" for pack_id, why in done.damaged[:LISTED_MAX]),
                missing_chunks=done.missing,
                mended=done.mended,
                below_threshold=health.below_threshold,
                seconds=round(trio.current_time() - started, 3),
            )

        return self._node.jobs.events(work)

    def drill(self, snapshot: str, files: int) -> AsyncGenerator[Progress | Drilled]:
        """Restore a random sample over the network to a scratch place, compare it, and throw it away."""
        return self._node.jobs.events(lambda say: self._noted(snapshot, files, say))

    async def _noted(self, wanted: str, count: int, say: Say) -> Drilled:
        """Drill, and remember how it ended; that nothing came back at all is an end too."""
        drills = self._node.drills
        try:
            done = await self._drill(wanted, count, say)
        except UsageError:
            raise  # nothing was tried
        except Exception as error:
            await drills.note("", 0, 0, 1, (str(error),))
            raise
        await drills.note(done.snapshot_id, done.files, done.compared, done.problem_count, done.problems)
        return done

    async def _drill(self, wanted: str, count: int, say: Say) -> Drilled:
        node, started = self._node, trio.current_time()
        lines = await node.catalog.snapshots()
        line, snapshot = choose_snapshot(lines, node.vault_keys, wanted=wanted)

        def dice(below: int) -> int:
            return int.from_bytes(node.entropy.token(8), "big") % below

        say(Progress(phase="drawing files"))
        chosen = await self._read(lambda reader: sample_files(snapshot, count, dice, reader), say)
        with tempfile.TemporaryDirectory(prefix="drill-", dir=node.home.path) as scratch:
            target = Path(scratch) / "back"
            done = await restore(
                snapshot,
                target,
                keys=node.vault_keys,
                catalog=node.catalog,
                source=supply_of(node).patient(PATIENCE_MS, say),
                paths=[one.path for one in chosen],
                limits=node.limits,
                progress=lambda files, _size: say(Progress(phase="restoring", done=files, total=len(chosen))),
            )
            compared = await trio.to_thread.run_sync(_compare, snapshot, chosen, target)
        problems = [f"{shown(lost.path)}: {lost.detail}" for lost in done.lost]
        problems += [f"{shown(path)}: it is not as it is on the disk" for path, same in compared if not same]
        return Drilled(
            snapshot_id=line.snapshot_id.hex(),
            files=done.files,
            size_bytes=done.written_bytes,
            compared=len(compared),
            problem_count=len(problems),
            problems=tuple(problems[:LISTED_MAX]),
            seconds=round(trio.current_time() - started, 3),
        )


def _compare(snapshot: Snapshot, chosen: list[Listed], target: Path) -> list[tuple[bytes, bool]]:
    """Compare restored files with those on the disk that have not changed since, byte by byte."""
    compared = list[tuple[bytes, bool]]()
    for one in chosen:
        root = next(root for root in snapshot.roots if one.path.startswith(root.path))
        single = len(snapshot.roots) == 1 and isinstance(root.entry, Directory)
        inside = one.path[len(root.path) :] if single else one.path
        if len(snapshot.roots) == 1 and not single:
            inside = root.entry.name
        back = os.path.join(os.fsencode(target), inside.lstrip(b"/"))  # noqa: PTH118 - a path of bytes
        try:
            if _is_unchanged(one):
                compared.append((one.path, filecmp.cmp(one.path, back, shallow=False)))
        except OSError:
            continue  # gone from the disk, or not back, which the restore tells
    return compared


def _is_unchanged(one: Listed) -> bool:
    found, entry = os.lstat(one.path), one.entry
    then = entry.attributes.mtime_s * _NANO + entry.attributes.mtime_ns
    return (
        stat.S_ISREG(found.st_mode)
        and isinstance(entry, File)
        and (found.st_size, found.st_mtime_ns)
        == (
            entry.size,
            then,
        )
    )


def _row(line: Listed) -> ListRow:
    entry = line.entry
    kind: Kind = "link"
    if isinstance(entry, File):
        kind = "file"
    elif isinstance(entry, Directory):
        kind = "folder"
    elif isinstance(entry, Device):
        kind = "device"
    return ListRow(
        path=shown(line.path),
        kind=kind,
        mode=entry.attributes.mode,
        owner=shown(entry.attributes.user) or str(entry.attributes.uid),
        size_bytes=entry.size if isinstance(entry, File) else 0,
        changed=entry.attributes.mtime_s * 1000 + entry.attributes.mtime_ns // 1_000_000,
    )
