"""What a node keeps of its snapshots: forgetting by name or policy, and giving back the space of what was forgotten."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from nanobarter.core.errors import Unreachable, UsageError
from nanobarter.core.ids import Hash
from nanobarter.daemon.jobs import LISTED_MAX, Say, shown
from nanobarter.daemon.restoring import pick_snapshot
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import ForgetRow, Forgotten, Pruned
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.geometry import high_k
from nanobarter.storage.marks import NotMarked
from nanobarter.storage.prune import Pruned as Swept
from nanobarter.storage.prune import Step, prune
from nanobarter.storage.retention import Dated, Keep, holds_back, kept_by, parse_keep, show_keep
from nanobarter.storage.snapshot import Snapshot, open_snapshot
from nanobarter.translator.behaviour import forgets_too_soon, reached_back

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

_log = logging.getLogger(__name__)
Named = tuple[SnapshotLine, Snapshot]


class ForgetJob:
    """Forgets snapshots. What they held stays with the peers until a prune."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def run(self, snapshots: Sequence[str], keep: str, *, dry_run: bool) -> AsyncGenerator[Progress | Forgotten]:
        """Yield progress and at last the result. Raises UsageError for a policy or a name that means nothing."""
        return self._node.jobs.events(lambda say: self._work(snapshots, keep, say, dry_run=dry_run))

    async def _work(self, wanted: Sequence[str], keep: str, say: Say, *, dry_run: bool) -> Forgotten:
        node = self._node
        node.rebuilding.demand()
        named = [(line, open_snapshot(line.body, node.vault_keys)) for line in await node.catalog.snapshots()]
        if wanted and keep:
            raise UsageError("snapshots are named or chosen by a policy, not both", hint="leave one of them out")
        policy = None if wanted else self._policy(keep)
        reasons = self._named(wanted, named) if policy is None else kept_by(map(_dated, named), policy)
        gone = [line.snapshot_id for line, _ in named if line.snapshot_id not in reasons]
        published = True
        if gone and not dry_run:
            await node.catalog.forget_snapshots(gone)
            say(Progress(phase="publishing the catalog"))
            try:
                await node.publish_catalog()
            except Unreachable as error:
                _log.warning("the catalog without %d snapshots could not be published yet: %s", len(gone), error)
                published = False
        rows = [_row(line, snapshot, reasons.get(line.snapshot_id, ())) for line, snapshot in named]
        return Forgotten(
            forgotten=tuple(row for row, (line, _) in zip(rows, named, strict=True) if line.snapshot_id in gone),
            kept=tuple(row for row, (line, _) in zip(rows, named, strict=True) if line.snapshot_id not in gone),
            policy=show_keep(policy) if policy else "",
            dry_run=dry_run,
            published=published,
            warning=await self._warning(policy) if gone and policy is not None else "",
        )

    async def _warning(self, policy: Keep) -> str:
        node = self._node
        reached = reached_back(await node.restores.known())
        return forgets_too_soon(reached, holds_back(policy, node.config.backup.every), show_keep(policy))

    def _policy(self, text: str) -> Keep:
        try:
            policy = parse_keep(text or self._node.config.backup.keep)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            raise UsageError(what, hint=remedy) from None
        if policy is None:
            raise UsageError(
                "no policy says what may be forgotten",
                hint="name snapshots, or say --keep 'daily 7, weekly 4', or set keep in [backup] of config.toml",
            )
        return policy

    def _named(self, wanted: Sequence[str], named: Sequence[Named]) -> dict[Hash, tuple[str, ...]]:
        lines = [line for line, _ in named]
        gone = {pick_snapshot(lines, text, self._node.vault_keys)[0].snapshot_id for text in wanted}
        return {line.snapshot_id: ("not named",) for line in lines if line.snapshot_id not in gone}


def _dated(named: Named) -> Dated:
    line, snapshot = named
    return Dated(line.snapshot_id, line.started, tuple(root.path for root in snapshot.roots))


def _row(line: SnapshotLine, snapshot: Snapshot, reasons: tuple[str, ...]) -> ForgetRow:
    return ForgetRow(
        snapshot_id=line.snapshot_id.hex(),
        at=line.started,
        folders=tuple(shown(root.path) for root in snapshot.roots),
        files=snapshot.stats.files,
        size_bytes=snapshot.stats.seen_bytes,
        reasons=reasons,
    )


class PruneJob:
    """Frees what no snapshot needs, here and at the peers."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def run(self, *, dry_run: bool) -> AsyncGenerator[Progress | Pruned]:
        """Yield progress and at last the result; nothing is freed while a snapshot cannot be read."""
        return self._node.jobs.events(lambda say: self._work(say, dry_run=dry_run))

    async def _work(self, say: Say, *, dry_run: bool) -> Pruned:
        node, started = self._node, trio.current_time()
        node.rebuilding.demand()
        if node.catalog.turn.locked():
            say(Progress(phase="waiting for the backup that runs"))
        try:
            swept = await prune(
                keys=node.vault_keys,
                catalog=node.catalog,
                stock=node.placer,
                geometry=await self._geometry(),
                entropy=node.entropy,
                publish=node.publish_catalog,
                limits=node.limits,
                progress=lambda step: say(_progress(step)),
                dry=dry_run,
            )
        except NotMarked as error:
            return Pruned(dry_run=dry_run, short=_why_not(error), seconds=round(trio.current_time() - started, 3))
        waiting = 0
        if not dry_run:
            say(Progress(phase="asking peers to delete"))
            waiting = await node.placer.tidy(resting_too=True)  # a person asks: who was away may be back
        return _told(swept, waiting, trio.current_time() - started, dry_run=dry_run)

    async def _geometry(self) -> tuple[int, int]:
        """Return the code of packs made anew: today's or, without any peer, that of the newest pack."""
        node = self._node
        try:
            found = node.placer.geometry()
        except Unreachable:
            packs = await node.catalog.packs()
            return (packs[-1].k, packs[-1].n) if packs else (1, 1)
        return (high_k(found.k) if node.config.backup.durability == "high" else found.k, found.n)


def _progress(step: Step) -> Progress:
    return Progress(phase=step.phase, done=step.done, total=step.total, unit=step.unit)


def _why_not(error: NotMarked) -> str:
    again = "run it again when its peers are back" if error.later else "it is lost; nbctl forget takes it away"
    return f"{error}, so nothing was freed; {again}"


def _told(swept: Swept, waiting: int, seconds: float, *, dry_run: bool) -> Pruned:
    return Pruned(
        dry_run=dry_run,
        packs=swept.packs,
        unused=swept.unused,
        emptied=swept.emptied,
        stray=swept.stray,
        new_packs=swept.new_packs,
        freed_bytes=max(swept.freed_bytes, 0),
        waiting_shares=waiting,
        missing_chunks=swept.missing_chunks,
        unread=tuple(f"pack {pack_id.hex()[:16]}: {why}" for pack_id, why in swept.unread[:LISTED_MAX]),
        short=swept.short,
        seconds=round(seconds, 3),
    )


async def keep_by_policy(node: "Node") -> None:
    """After a scheduled backup: forget what the config's policy does not keep, and free its space."""
    if parse_keep(node.config.backup.keep) is None:
        return
    async with aclosing(ForgetJob(node).run((), "", dry_run=False)) as events:
        forgotten = [event async for event in events if isinstance(event, Forgotten)]
    if not any(one.forgotten for one in forgotten):
        return
    for one in forgotten:
        if one.warning:
            _log.warning("snapshots were forgotten: %s", one.warning)
    async with aclosing(PruneJob(node).run(dry_run=False)) as events:
        async for event in events:
            if isinstance(event, Pruned):
                _log.info("freed %d bytes of %d packs", event.freed_bytes, event.unused + event.emptied)
