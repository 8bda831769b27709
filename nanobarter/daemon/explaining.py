"""Explaining one path: what the rules say of it, which snapshots have it, and which peers proved what they hold."""

import json
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import PackId, show_node
from nanobarter.core.pathtext import path_bytes, received
from nanobarter.core.units import Instant
from nanobarter.daemon.explain_verdict import kind_of, look, mtime_ns_of, names_in, read_start, verdict_of
from nanobarter.daemon.facade_explain import (
    Explained,
    ExplainPack,
    ExplainRule,
    ExplainShare,
    ExplainSnapshot,
)
from nanobarter.daemon.jobs import Say, shown
from nanobarter.daemon.restoring import supply_of
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import LOOK_PATIENCE_MS
from nanobarter.storage import placements as rows
from nanobarter.storage.browse import with_reader
from nanobarter.storage.explain import LeftOut, Place, is_below, place_in, why_left_out
from nanobarter.storage.health import PackHealth, by_pack
from nanobarter.storage.placements import Placement
from nanobarter.storage.snapshot import Snapshot, open_snapshot
from nanobarter.storage.tree import File

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

SNAPSHOTS_MAX: Final = 100  # the newest are read; older ones are found with restore --at
PACKS_MAX: Final = 100  # of a large file; the others are counted


class ExplainJob:
    """One question about one path, asked of a running node."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def run(self, text: str) -> AsyncGenerator[Progress | Explained]:
        """Yield progress and at last the answer. Raises UsageError for a path that is none."""
        return self._node.jobs.events(lambda say: self._work(text, say))

    async def _work(self, sent: str, say: Say) -> Explained:
        text = received(sent)
        if not text.startswith("/") or "\0" in text:
            raise UsageError(f"{text!r} is not an absolute path", hint="write it from the root: /home/...")
        path = path_bytes(text.rstrip("/") or "/")
        disk = await trio.to_thread.run_sync(look, path)
        folder = max(
            (f for f in map(os.fsencode, self._node.folders.paths) if is_below(f, path)), key=len, default=None
        )
        left_out = None if folder is None else await trio.to_thread.run_sync(self._left_out, folder, path)
        read = await self._snapshots(path, say)
        newest = next((place for _, place in read if place.entry is not None), None)
        packs, total = await self._packs(newest) if newest else ((), 0)
        verdict, why = verdict_of(disk, folder, left_out, [place for _, place in read])
        return Explained(
            path=shown(path),
            verdict=verdict,
            why=why,
            on_disk=disk.kind,
            folder=shown(folder) if folder is not None else "",
            rule=None if left_out is None else self._rule(left_out),
            snapshots=tuple(row for row, _ in read),
            packs=packs,
            pack_count=total,
            below_threshold=sum(pack.verdict in ("below", "lost") for pack in packs) + await self._lost_trees(read),
            oldest_proof=min((p.oldest_proof for p in packs if p.oldest_proof is not None), default=None),
        )

    async def _lost_trees(self, read: Sequence[tuple[ExplainSnapshot, Place]]) -> int:
        """Return how many packs of trees are lost when the folders above the path cannot be read for that."""
        if not any(place.lost for _, place in read):
            return 0
        health = await trio.to_thread.run_sync(self._node.auditor.health)
        return sum(one.row.kind == "meta" and one.verdict == "lost" for one in health)

    # -- the rules

    def _left_out(self, folder: bytes, path: bytes) -> LeftOut | None:
        return why_left_out(
            self._node.excludes,
            folder,
            path,
            is_directory=lambda at: os.path.isdir(at) and not os.path.islink(at),  # noqa: PTH112, PTH114 - bytes
            names_in=names_in,
            read_start=read_start,
        )

    def _rule(self, found: LeftOut) -> ExplainRule:
        at = shown(found.at)
        if found.kind == "marker":
            return ExplainRule(rule=f"the folder says by its file {shown(found.marker)} that it is a cache", at=at)
        if found.kind == "never":
            return ExplainRule(rule="the node's own home is never backed up", at=at)
        pattern = self._node.excludes.patterns[found.pattern]
        line = line_of_pattern(self._node.home.config_path, pattern)
        return ExplainRule(rule=f"exclude = {json.dumps(pattern, ensure_ascii=False)}", at=at, line=line)

    # -- the snapshots

    async def _snapshots(self, path: bytes, say: Say) -> list[tuple[ExplainSnapshot, Place]]:
        node = self._node
        named = [(line, open_snapshot(line.body, node.vault_keys)) for line in await node.catalog.snapshots()]
        asked = [pair for pair in named if any(is_below(root.path, path) for root in pair[1].roots)]
        asked = sorted(asked, key=lambda pair: pair[0].started, reverse=True)[:SNAPSHOTS_MAX]
        if not asked:
            return []
        say(Progress(phase="reading snapshots", total=len(asked), unit="snapshots"))
        source = supply_of(node).patient(LOOK_PATIENCE_MS, say)
        places = await with_reader(
            node.vault_keys,
            node.catalog,
            source,
            node.limits,
            lambda reader: [place_in(snapshot, path, reader) for _, snapshot in asked],
        )
        return [
            (_row(line.snapshot_id.hex(), snapshot, place), place)
            for (line, snapshot), place in zip(asked, places, strict=True)
        ]

    # -- the packs

    async def _packs(self, place: Place) -> tuple[tuple[ExplainPack, ...], int]:
        node = self._node
        placed = by_pack(await node.store.read(rows.all_placements))
        health = {one.row.pack_id: one for one in node.auditor.health()}
        chosen = sorted(place.packs, key=lambda pair: _safety(health, pair[0]))  # the worst first: they are asked after
        told = tuple(_pack(pack, count, health, placed.get(pack, ()) if pack else ()) for pack, count in chosen)
        return told[:PACKS_MAX], len(told)


def _safety(health: dict[PackId, PackHealth], pack: PackId | None) -> float:
    one = health.get(pack) if pack else None
    return -1 if one is None else one.proven / one.row.n


def _pack(
    pack: PackId | None, count: int, health: dict[PackId, PackHealth], placed: Sequence[Placement]
) -> ExplainPack:
    one = health.get(pack) if pack else None
    if pack is None or one is None:
        return ExplainPack(pack=pack.hex() if pack else "", pieces=count)
    return ExplainPack(
        pack=pack.hex(),
        pieces=count,
        k=one.row.k,
        n=one.row.n,
        proven=one.proven,
        verdict=one.verdict,
        oldest_proof=one.oldest_proof,
        shares=tuple(
            ExplainShare(
                node=show_node(p.node),
                index=p.index,
                state=p.state,
                proven=p.last_proof_at if p.last_proof_at > Instant(0) else None,
                silent_since=p.silent_since,
            )
            for p in placed
        ),
    )


def _row(snapshot_id: str, snapshot: Snapshot, place: Place) -> ExplainSnapshot:
    entry = place.entry
    return ExplainSnapshot(
        snapshot_id=snapshot_id,
        at=snapshot.started,
        present=entry is not None,
        kind="" if entry is None else kind_of(entry),
        size_bytes=entry.size if isinstance(entry, File) else 0,
        changed=mtime_ns_of(entry) // 1_000_000 if entry is not None else 0,
        trouble=place.trouble,
        lost=place.lost,
        away=place.away,
    )


def line_of_pattern(config: Path, pattern: str) -> int:
    """Return the line of the config that has an exclude pattern; 0 when it is there no more."""
    try:
        lines = config.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    forms = (json.dumps(pattern, ensure_ascii=False), f"'{pattern}'")
    begun = False
    for number, line in enumerate(lines, 1):
        begun = begun or line.lstrip().startswith("exclude")
        if begun and any(form in line for form in forms):
            return number
    return 0
