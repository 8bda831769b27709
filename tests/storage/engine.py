"""A vault with its engine, catalog and packs, for the tests of the engine."""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from nanobarter.core.ids import PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import Span
from nanobarter.storage.backup import Summary, backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.catalog_lines import SnapshotLine
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.local import DirectoryPacks, MemoryPacks
from nanobarter.storage.ports import PackMissing, PackSink
from nanobarter.storage.prune import PackStock, Pruned, prune
from nanobarter.storage.restore import Restored, restore
from nanobarter.storage.snapshot import Snapshot, open_snapshot
from nanobarter.storage.tables import MIGRATIONS

KEYS = VaultKeys.from_seed(bytes(range(64)))
QUICK = replace(LIMITS, storage_racy=Span(0))


class Silent(MemoryPacks):
    """Packs of which those that are not here are at peers who are silent."""

    async def get(self, pack_id: PackId) -> bytes:
        try:
            return await super().get(pack_id)
        except PackMissing:
            raise PackMissing(pack_id, later=True) from None


@dataclass
class Engine:
    """Backs up and restores with short calls."""

    catalog: Catalog
    packs: MemoryPacks | DirectoryPacks = field(default_factory=MemoryPacks)
    geometry: tuple[int, int] = (2, 5)
    limits: Limits = QUICK
    keys: VaultKeys = KEYS
    published: bytes = b""

    def snapshot(self, line: SnapshotLine) -> Snapshot:
        return open_snapshot(line.body, self.keys)

    async def backup(
        self,
        *roots: Path,
        sink: PackSink | None = None,
        excludes: Excludes | None = None,
        lost: Collection[PackId] = (),
    ) -> Summary:
        async def lost_packs() -> Collection[PackId]:
            return lost

        return await backup(
            roots=roots,
            keys=self.keys,
            catalog=self.catalog,
            sink=sink or self.packs,
            geometry=self.geometry,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            host="here",
            excludes=excludes,
            lost=lost_packs,
            limits=self.limits,
        )

    async def restore(
        self, snapshot: Snapshot, target: Path, *, overwrite: bool = False, paths: tuple[bytes, ...] = ()
    ) -> Restored:
        return await restore(
            snapshot,
            target,
            keys=self.keys,
            catalog=self.catalog,
            source=self.packs,
            overwrite=overwrite,
            paths=paths,
            limits=self.limits,
        )

    async def prune(self, *, stock: PackStock | None = None, dry: bool = False) -> Pruned:
        return await prune(
            keys=self.keys,
            catalog=self.catalog,
            stock=stock or self.packs,
            geometry=self.geometry,
            entropy=SystemEntropy(),
            publish=self.publish,
            limits=self.limits,
            dry=dry,
        )

    async def publish(self) -> None:
        self.published = await self.catalog.export()


def open_store(folder: Path) -> Store:
    """Open or make the store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Store.open(folder / "store", MIGRATIONS)


@asynccontextmanager
async def opened(folder: Path, limits: Limits = QUICK) -> AsyncGenerator[Engine]:
    """Open the engine's store in a folder; closing it is a restart."""
    store = open_store(folder)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            yield Engine(Catalog(store), limits=limits)
            nursery.cancel_scope.cancel()
    finally:
        store.close()
