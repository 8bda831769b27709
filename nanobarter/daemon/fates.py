"""What became of the snapshots: told in lists, and before a restore, from what peers have proven and not by hope."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import trio

from nanobarter.core.ids import Hash
from nanobarter.core.units import show_size
from nanobarter.daemon.facade_backup import SnapshotRow, Snapshots
from nanobarter.daemon.jobs import Say, shown
from nanobarter.daemon.shape import Progress
from nanobarter.storage.browse import with_reader
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.geometry import for_peers
from nanobarter.storage.losses import Fate, Lacking, Missing, Present, fates, lacking_of, missing_of
from nanobarter.storage.restore import meets
from nanobarter.storage.snapshot import Snapshot, open_snapshot

if TYPE_CHECKING:
    from nanobarter.daemon.restoring import Supply
    from nanobarter.daemon.services import Node

LOOK_SECONDS: Final = 20.0  # for the trees of all snapshots; what is not known by then is called unknown
FORETELL_SECONDS: Final = 60.0  # for that of one before its restore, which goes on then all the same
_FATES_KEPT: Final = 10_000


class Fates:
    """The fates of one node's snapshots. While no pack is lacking it costs one look at the rows."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._lacking = Lacking()
        self._known = dict[Hash, Fate]()  # under these lacking packs

    async def lacking(self) -> Lacking:
        """Return the packs that cannot be had, as of the last audits."""
        stored = [pack.pack_id for pack in await self._node.catalog.packs()]
        return lacking_of(stored, await trio.to_thread.run_sync(self._node.auditor.health))

    async def snapshots(self) -> Snapshots:
        """List what can be restored, oldest first, with what became of it.

        Raises RefusedError while none is known and a rebuilt node fetches their index.
        """
        node = self._node
        lines = sorted(await node.catalog.snapshots(), key=lambda line: line.started)
        if not lines:
            node.rebuilding.demand()
        named = [(line, open_snapshot(line.body, node.vault_keys)) for line in lines]
        told = await self._of(named)
        return Snapshots(snapshots=tuple(snapshot_row(*one, told.get(one[0].snapshot_id, "whole")) for one in named))

    async def _of(self, named: Sequence[tuple[SnapshotLine, Snapshot]]) -> dict[Hash, Fate]:
        lacking = await self.lacking()
        if not lacking:
            return {}
        if lacking != self._lacking or len(self._known) > _FATES_KEPT:
            self._lacking, self._known = lacking, {}
        asked = [one for one in named if one[0].snapshot_id not in self._known]
        found = dict[Hash, Fate]()

        def work(reader: ChunkReader) -> None:
            told = fates((snapshot for _, snapshot in asked), reader, lacking, trio.from_thread.check_cancelled)
            for (line, _), fate in zip(asked, told, strict=True):
                found[line.snapshot_id] = fate

        node = self._node
        with trio.move_on_after(LOOK_SECONDS):
            await with_reader(node.vault_keys, node.catalog, Present(node.placer, lacking), node.limits, work)
        self._known |= {snapshot: fate for snapshot, fate in found.items() if fate != "unknown"}
        return {line.snapshot_id: self._known.get(line.snapshot_id, "unknown") for line, _ in named}


def snapshot_row(line: SnapshotLine, snapshot: Snapshot, fate: Fate = "whole") -> SnapshotRow:
    """Return a snapshot as it is listed."""
    return SnapshotRow(
        snapshot_id=line.snapshot_id.hex(),
        at=snapshot.started,
        files=snapshot.stats.files,
        size_bytes=snapshot.stats.seen_bytes,
        outcome="complete" if snapshot.complete else "partial",
        thin=for_peers(snapshot.n).thin,
        unread=sum(p.trouble != "skipped" for p in snapshot.problems),
        folders=tuple(shown(root.path) for root in snapshot.roots),
        fate=fate,
    )


async def foretell(snapshot: Snapshot, paths: Sequence[bytes], supply: "Supply", say: Say) -> None:
    """Say before a restore what of it cannot be had, so that nobody waits for what is lost."""
    lacking = await supply.lacking() if supply.lacking is not None else Lacking()
    if not lacking:
        return
    say(Progress(phase="looking for what is lost"))
    found = list[Missing]()

    def wanted(path: bytes) -> bool:
        return not paths or any(meets(path, one) for one in paths)

    def work(reader: ChunkReader) -> None:
        found.append(missing_of(snapshot, reader, lacking, wanted, trio.from_thread.check_cancelled))

    with trio.move_on_after(FORETELL_SECONDS):
        await with_reader(supply.keys, supply.catalog, Present(supply.source, lacking), supply.limits, work)
    for phase, note in _told(found[0]) if found else ():
        say(Progress(phase=phase, note=note))


def _told(missing: Missing) -> Iterator[tuple[str, str]]:
    gone = _counted(missing.gone_files, missing.gone_folders)
    if gone:
        first = ", ".join(shown(path) for path in missing.first)
        yield "lost", f"{gone}, {show_size(missing.gone_bytes)} in files: no peer can bring them back; first: {first}"
    away = _counted(missing.away_files, missing.away_folders)
    if away:
        yield "away", f"{away}: they are with peers who are silent or have not proven them yet"


def _counted(files: int, folders: int) -> str:
    told = [f"{files} files"] if files else []
    return " and ".join([*told, f"all below {folders} folders"] if folders else told)
