"""Restores of a node: which snapshot is meant, from where its packs come, and what a person is told at the end."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from nanobarter.core.errors import UsageError
from nanobarter.core.limits import Limits
from nanobarter.core.pathtext import path_bytes, printable, received
from nanobarter.core.units import Span, span_between
from nanobarter.daemon.fates import foretell
from nanobarter.daemon.jobs import LISTED_MAX, Say, shown
from nanobarter.daemon.restores import is_newest
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import RestoreDone, RestoreWish
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.losses import Lacking
from nanobarter.storage.patience import PatientSource
from nanobarter.storage.ports import PackSource
from nanobarter.storage.restore import Restored, meets, restore
from nanobarter.storage.resume import begun_in, digest_of
from nanobarter.storage.snapshot import Snapshot, open_snapshot
from nanobarter.translator.behaviour import forgets_too_soon

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

Named = tuple[SnapshotLine, Snapshot]


def pick_snapshot(lines: Sequence[SnapshotLine], wanted: str, keys: VaultKeys) -> Named:
    """Return the snapshot whose id begins so, or the newest when nothing is named.

    Raises UsageError when there is none, or more than one.
    """
    if not lines:
        raise UsageError("there is no snapshot to restore", hint="make one: nbctl backup")
    found = [line for line in lines if line.snapshot_id.hex().startswith(wanted.lower())] if wanted else []
    if wanted and len(found) != 1:
        what = "no snapshot begins" if not found else f"{len(found)} snapshots begin"
        raise UsageError(f"{what} with {wanted!r}", hint="list them: nbctl snapshots")
    line = found[0] if wanted else max(lines, key=lambda line: line.started)
    return line, open_snapshot(line.body, keys)


def choose_snapshot(
    lines: Sequence[SnapshotLine],
    keys: VaultKeys,
    *,
    wanted: str = "",
    at: int = 0,
    paths: Sequence[bytes] = (),
    begun: str = "",
) -> Named:
    """Return the snapshot that is meant: the named one, else the one whose restore was begun, else the newest.

    The newest until ``at`` (0: of all) of the folders that hold the paths, if some are given. Raises UsageError.
    """
    if wanted:
        return pick_snapshot(lines, wanted, keys)
    named = [(line, open_snapshot(line.body, keys)) for line in lines]
    if begun and not at:
        for line, snapshot in named:
            if digest_of(snapshot) == begun:
                return line, snapshot
    if at:
        named = [(line, snapshot) for line, snapshot in named if line.started <= at]
    found = [one for one in named if not paths or any(meets(r.path, p) for r in one[1].roots for p in paths)]
    if not found:
        if lines and (at or paths):
            raise UsageError(f"no snapshot{' of then' if at else ''} holds that", hint="list them: nbctl snapshots")
        return pick_snapshot([], "", keys)
    return max(found, key=lambda one: one[0].started)


@dataclass(frozen=True)
class Supply:
    """Where packs come from, and how a peer that failed gets another chance."""

    keys: VaultKeys
    catalog: Catalog
    source: PackSource
    again: Callable[[], None]
    limits: Limits
    scanned: bool = False
    """Whether it was put together from shares, without a head."""
    lacking: Callable[[], Awaitable[Lacking]] | None = None
    """Tells which packs cannot be had, where audits have seen to it."""

    def patient(self, patience_ms: int, say: Say) -> PatientSource:
        """Return the source that waits so long for peers who are away, and says so."""

        def waiting(why: str, left: float) -> None:
            say(Progress(phase="waiting for peers who are away", note=f"{why}; {left:.0f} s more"))

        return PatientSource(self.source, Span(patience_ms), waiting, self.again)


async def restore_wish(wish: RestoreWish, supply: Supply, say: Say) -> RestoreDone:
    """Restore what is wished. Raises UsageError for words that mean nothing."""
    started, target = trio.current_time(), Path(received(wish.target))
    if "\0" in str(target) or not target.is_absolute():
        hint = "write it from the root: /home/..."
        raise UsageError(f"the target {wish.target!r} is not an absolute path", hint=hint)
    paths = [_path(text) for text in wish.paths]
    lines = await supply.catalog.snapshots()
    line, snapshot = choose_snapshot(
        lines, supply.keys, wanted=wish.snapshot, at=wish.at, paths=paths, begun=begun_in(target)
    )
    await foretell(snapshot, paths, supply, say)
    total = 0 if paths else snapshot.stats.seen_bytes

    def moved(files: int, size_bytes: int) -> None:
        say(Progress(phase="restoring", done=size_bytes, total=total, unit="bytes", note=f"{files} files"))

    restored = await restore(
        snapshot,
        target,
        keys=supply.keys,
        catalog=supply.catalog,
        source=supply.patient(wish.patience_ms, say),
        overwrite=wish.overwrite,
        paths=paths,
        limits=supply.limits,
        progress=moved,
    )
    return _told(line, target, restored, trio.current_time() - started)


def _path(text: str) -> bytes:
    if not text.startswith("/") or "\0" in received(text):
        raise UsageError(f"{text!r} is not an absolute path", hint="write it as it was backed up: /home/...")
    return path_bytes(text.rstrip("/")) or b"/"


def _told(line: SnapshotLine, target: Path, restored: Restored, seconds: float) -> RestoreDone:
    return RestoreDone(
        snapshot_id=line.snapshot_id.hex(),
        target=printable(str(target)),
        files=restored.files,
        size_bytes=restored.written_bytes + restored.kept_bytes,
        kept_files=restored.kept_files,
        kept_bytes=restored.kept_bytes,
        problem_count=len(restored.lost),
        problems=tuple(f"{shown(lost.path)}: {lost.detail}" for lost in restored.lost[:LISTED_MAX]),
        unfinished=restored.away,
        seconds=round(seconds, 3),
    )


def supply_of(node: "Node") -> Supply:
    """Return where a running node gets packs from."""
    return Supply(
        node.vault_keys, node.catalog, node.placer, node.reader.forgive, node.limits, lacking=node.fates.lacking
    )


class RestoreJob:
    """One restore on a running node."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def run(self, wish: RestoreWish) -> AsyncGenerator[Progress | RestoreDone]:
        """Yield progress and at last the result. Raises UsageError."""
        return self._node.jobs.events(lambda say: self._work(wish, say))

    async def _work(self, wish: RestoreWish, say: Say) -> RestoreDone:
        done, node = await restore_wish(wish, supply_of(self._node), say), self._node
        lines = await node.catalog.snapshots()
        line = next((line for line in lines if line.snapshot_id.hex() == done.snapshot_id), None)
        if done.files and line is not None:
            newest = is_newest(line, open_snapshot(line.body, node.vault_keys), lines, node.vault_keys)
            await node.restores.note(line.started, newest=newest)
            backup = node.config.backup
            back, holds = Span(0 if newest else span_between(line.started, node.clock.now())), backup.holds
            return replace(done, warning=forgets_too_soon(back, holds, backup.keep))
        return done
