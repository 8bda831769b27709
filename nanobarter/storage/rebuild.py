"""A lost or damaged catalog, made again from the packs themselves: each names its chunks, snapshots among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.ids import PackId
from nanobarter.core.keys import Signed
from nanobarter.storage.catalog import Catalog, StoredPack
from nanobarter.storage.catalog_lines import ChunkLine, SnapshotLine
from nanobarter.storage.fetch import fetch_pack
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.packs import SNAPSHOT, OpenPack
from nanobarter.storage.ports import Pack, PackMissing, PackSource
from nanobarter.storage.snapshot import SNAPSHOT_MAX, open_snapshot, snapshot_id_of


@dataclass(frozen=True)
class Rebuilt:
    """What was found, and the packs that could not be read, with the reason."""

    packs: int
    snapshots: int
    lost: tuple[tuple[PackId, str], ...]


async def rebuild(catalog: Catalog, packs: Sequence[StoredPack], *, keys: VaultKeys, source: PackSource) -> Rebuilt:
    """Read every pack and put what it holds into the catalog. Slow: it fetches all that is stored.

    A snapshot may name packs that are lost; restoring it tells which files that costs.
    """
    found, snapshots, lost = 0, 0, list[tuple[PackId, str]]()
    for stored in packs:
        try:
            pack = await fetch_pack(source, stored.pack_id, keys)
            lines = await trio.to_thread.run_sync(snapshots_in, stored.pack_id, pack, keys)
        except (PackMissing, Malformed, Unreachable) as error:
            lost.append((stored.pack_id, str(error)))
            continue
        chunks = (ChunkLine(entry.chunk_id, entry.length) for entry in pack.index.entries)
        known = Pack(stored.pack_id, stored.kind, b"", stored.share_size, stored.k, stored.n)
        await catalog.record_pack(known, chunks)
        for line in lines:
            await catalog.add_snapshot(line)
        found += 1
        snapshots += len(lines)
    return Rebuilt(found, snapshots, tuple(lost))


def snapshots_in(pack_id: PackId, pack: OpenPack, keys: VaultKeys) -> list[SnapshotLine]:
    """Return the snapshots that a pack holds. Raises Malformed for one that this vault did not make."""
    lines = list[SnapshotLine]()
    for entry in pack.index.entries:
        if entry.role == SNAPSHOT:
            body = pack.chunk(entry.chunk_id)
            snapshot = open_snapshot(body, keys)
            snapshot_id = snapshot_id_of(decode(body, Signed, size_max=SNAPSHOT_MAX))
            lines.append(SnapshotLine(snapshot_id, snapshot.started, pack_id, entry.chunk_id, body))
    return lines
