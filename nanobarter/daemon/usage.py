"""What the plan is made for: the folders, what is kept of older versions, and what changes, read now and then."""

from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.ports import Clock
from nanobarter.core.units import MINUTE, Instant, Span, after
from nanobarter.daemon.holdings import Folders
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.snapshot import Snapshot, open_snapshot
from nanobarter.translator.behaviour import Backup, Use, use_of

_READ_AGAIN: Final = Span(10 * MINUTE)  # the keeper looks with every bid that is heard


@dataclass
class Usage:
    """Measures the folders, and remembers for a while what the catalog tells of older versions and changes."""

    folders: Folders
    catalog: Catalog
    keys: VaultKeys
    clock: Clock
    _stored: int = 0
    _backups: list[Backup] = field(default_factory=list[Backup])
    _again_at: Instant = Instant(0)

    async def look(self, *, anew: bool = False) -> Use:
        """Return what is to be kept, as far as it was seen."""
        size, now = (await self.folders.measure(anew=anew)).size_bytes, self.clock.now()
        if anew or now >= self._again_at:
            self._stored = sum(pack.k * pack.share_size for pack in await self.catalog.packs())
            lines = await self.catalog.snapshots()
            self._backups = [_backup(line, open_snapshot(line.body, self.keys)) for line in lines]
            self._again_at = after(now, _READ_AGAIN)
        return use_of(size, self._stored, self._backups, now)


def _backup(line: SnapshotLine, snapshot: Snapshot) -> Backup:
    folders = tuple(sorted(root.path for root in snapshot.roots))
    return Backup(line.started, snapshot.stats.packed_bytes, snapshot.stats.seen_bytes, folders)
