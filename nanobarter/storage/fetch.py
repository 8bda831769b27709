"""From chunk ids back to chunks: packs fetched ahead, opened once, every chunk checked against its id.

The reading happens in a worker thread (``ChunkReader``), the fetching in the event loop (``Fetcher``). Memory is
bounded by the packs kept open and the packs under way.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

import trio

from nanobarter.core.errors import Malformed, NanobarterError
from nanobarter.core.ids import PackId
from nanobarter.core.limits import Limits
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.chunks import ChunkId, ChunkIds
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.packs import OpenPack, open_pack
from nanobarter.storage.ports import PackMissing, PackSource, pack_id_of


async def fetch_pack(source: PackSource, pack_id: PackId, keys: VaultKeys) -> OpenPack:
    """Return a pack, opened. Raises PackMissing when the source has none, Malformed when its bytes are not it."""
    body = await source.get(pack_id)

    def check() -> OpenPack:
        if pack_id_of(body) != pack_id:
            raise Malformed(f"pack {pack_id.hex()[:16]} came back with other bytes")
        return open_pack(body, keys)

    return await trio.to_thread.run_sync(check)


@dataclass
class _Coming:
    done: trio.Event = field(default_factory=trio.Event)
    pack: OpenPack | None = None
    error: NanobarterError | None = None


@dataclass
class Fetcher:
    """Fetches packs, some of them before they are needed."""

    source: PackSource
    keys: VaultKeys
    limits: Limits
    nursery: trio.Nursery
    coming: dict[PackId, _Coming] = field(default_factory=dict[PackId, _Coming])
    refused: int = 0

    def want(self, pack_id: PackId) -> bool:
        """Begin to fetch a pack that will be needed, unless enough are under way. Tells whether it comes."""
        if pack_id in self.coming:
            return True
        if len(self.coming) >= self.limits.storage_fetches_max and not self._make_room():
            return False
        self.coming[pack_id] = coming = _Coming()
        self.nursery.start_soon(self._fetch, pack_id, coming)
        return True

    def _make_room(self) -> bool:
        """Drop a pack that came long ago and was not asked for, as when its file was a further name of another."""
        self.refused += 1
        done = next((pack_id for pack_id, coming in self.coming.items() if coming.done.is_set()), None)
        if self.refused <= self.limits.storage_lookahead_max or done is None:
            return False
        self.refused = 0
        del self.coming[done]
        return True

    async def _fetch(self, pack_id: PackId, coming: _Coming) -> None:
        try:
            coming.pack = await fetch_pack(self.source, pack_id, self.keys)
        except NanobarterError as error:
            coming.error = error
        finally:
            coming.done.set()

    async def get(self, pack_id: PackId) -> OpenPack:
        """Return a pack, which may be on its way already. Raises as ``fetch_pack``."""
        coming = self.coming.get(pack_id)
        if coming is None:
            return await fetch_pack(self.source, pack_id, self.keys)
        await coming.done.wait()
        self.coming.pop(pack_id, None)
        self.refused = 0
        if coming.pack is None:
            raise coming.error or PackMissing(pack_id, "the fetch was cancelled")
        return coming.pack


@dataclass
class ChunkReader:
    """Brings chunks back, by id; called from one worker thread."""

    catalog: Catalog
    fetcher: Fetcher
    ids: ChunkIds
    limits: Limits
    held: OrderedDict[PackId, OpenPack] = field(default_factory=OrderedDict[PackId, OpenPack])
    size: int = 0
    asked: PackId | None = None

    def data(self, chunk_id: ChunkId) -> bytes:
        """Return a piece of a file. Raises PackMissing or Malformed when it cannot be had as it was."""
        raw = self._chunk(chunk_id)
        if self.ids.data(raw) != chunk_id:
            raise Malformed(f"chunk {chunk_id.hex()[:16]} is not what its id says")
        return raw

    def meta(self, chunk_id: ChunkId) -> bytes:
        """Return a metadata chunk. Raises as ``data``."""
        raw = self._chunk(chunk_id)
        if self.ids.meta(raw) != chunk_id:
            raise Malformed(f"chunk {chunk_id.hex()[:16]} is not what its id says")
        return raw

    def length(self, chunk_id: ChunkId) -> int | None:
        """Return the length of a chunk, without fetching it; None when the catalog does not know it."""
        return self.catalog.length_now(chunk_id)

    def expect(self, chunk_id: ChunkId) -> None:
        """Say that a chunk will be needed soon."""
        pack_id = self.catalog.pack_of_now(chunk_id)
        if pack_id is None or pack_id in self.held or pack_id == self.asked:
            return
        if trio.from_thread.run_sync(self.fetcher.want, pack_id):
            self.asked = pack_id

    def _chunk(self, chunk_id: ChunkId) -> bytes:
        tried: PackId | None = None
        while True:
            pack_id = self.catalog.pack_of_now(chunk_id)
            if pack_id is None:
                raise Malformed(f"no known pack holds chunk {chunk_id.hex()[:16]}")
            try:
                return self._pack(pack_id).chunk(chunk_id)
            except PackMissing:
                if pack_id == tried or pack_id == self.catalog.pack_of_now(chunk_id):
                    raise
                tried = pack_id  # a prune moved the chunk between the two looks

    def _pack(self, pack_id: PackId) -> OpenPack:
        pack = self.held.get(pack_id)
        if pack is None:
            pack = trio.from_thread.run(self.fetcher.get, pack_id)
            self.held[pack_id] = pack
            self.size += len(pack.body)
            while self.size > self.limits.storage_open_bytes_max and len(self.held) > 1:
                _, dropped = self.held.popitem(last=False)
                self.size -= len(dropped.body)
        else:
            self.held.move_to_end(pack_id)
        return pack
