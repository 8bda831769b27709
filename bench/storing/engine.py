"""The engine as a process of its own, with the packs or their shares on this disk: ``... engine WHAT SOURCE WORK``.

WHAT is ``backup`` or ``restore``. With ``--shares`` every pack becomes 10-of-20 shares as peers keep them: coded,
masked, named by their root, in files that are synced. ``--lost`` restores from the last ten, that is without any
share that holds data as it is.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from nanobarter.core.heap import share_heap
from nanobarter.core.ids import PackId
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.storage import erasure
from nanobarter.storage.backup import backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.local import DirectoryPacks
from nanobarter.storage.ports import Pack, PackMissing
from nanobarter.storage.reading import mask_secret
from nanobarter.storage.restore import restore
from nanobarter.storage.share import make_share, open_share
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.tables import MIGRATIONS

K: Final = 10
N: Final = 20
_KEYS: Final = VaultKeys.from_seed(bytes(64))


@dataclass
class DirectoryShares:
    """Keeps each share of a pack as a file. A PackSink and a PackSource; ``lost`` of the shares are not there."""

    folder: Path
    lost: int = 0

    def __post_init__(self) -> None:
        self._mask = mask_secret(_KEYS)

    async def put(self, pack: Pack) -> None:
        """Keep all shares of a pack, synced."""
        await trio.to_thread.run_sync(self._put, pack)

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body from the first shares that are not lost."""
        return await trio.to_thread.run_sync(self._get, pack_id)

    def _put(self, pack: Pack) -> None:
        folder = self.folder / pack.pack_id.hex()
        folder.mkdir(parents=True, exist_ok=True)
        for index, piece in enumerate(erasure.encode(pack.body, pack.k, pack.n)):
            share = make_share(_KEYS.vault_id, pack.pack_id, index, (pack.k, pack.n), piece, self._mask)
            with (folder / str(index)).open("wb") as file:
                file.write(share.raw)
                file.flush()
                os.fsync(file.fileno())

    def _get(self, pack_id: PackId) -> bytes:
        folder, found, size = self.folder / pack_id.hex(), dict[int, bytes](), 0
        if not folder.is_dir():
            raise PackMissing(pack_id)
        for index in range(self.lost, self.lost + K):
            header, found[index] = open_share((folder / str(index)).read_bytes(), self._mask)
            size = header.size * header.k
        return erasure.decode(found, K, N, size)


async def _run(asked: argparse.Namespace) -> None:
    source, work = Path(asked.source), Path(asked.work)
    store = Store.open(work / "store", MIGRATIONS)
    packs = DirectoryShares(work / "packs", K if asked.lost else 0) if asked.shares else DirectoryPacks(work / "packs")
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            catalog = Catalog(store)
            if asked.what == "backup":
                done = await backup(
                    roots=[source],
                    keys=_KEYS,
                    catalog=catalog,
                    sink=packs,
                    geometry=(K, N),
                    clock=SystemClock(),
                    entropy=SystemEntropy(),
                    host="bench",
                )
                if not done.complete:
                    raise SystemExit(f"not all was read: {done.snapshot.problems[:3]}")
            else:
                snapshot = open_snapshot((await catalog.snapshots())[-1].body, _KEYS)
                back = await restore(snapshot, work / "out", keys=_KEYS, catalog=catalog, source=packs)
                if back.lost:
                    raise SystemExit(f"{len(back.lost)} paths were not restored: {back.lost[:3]}")
            nursery.cancel_scope.cancel()
    finally:
        store.close()


def main() -> None:
    """Do what the command line says."""
    share_heap()
    parser = argparse.ArgumentParser(prog="python -m bench.storing.engine")
    parser.add_argument("what", choices=("backup", "restore"))
    parser.add_argument("source")
    parser.add_argument("work")
    parser.add_argument("--shares", action="store_true")
    parser.add_argument("--lost", action="store_true")
    trio.run(_run, parser.parse_args())


if __name__ == "__main__":
    main()
