"""From nothing, when every vault head is lost: the shares themselves say which packs they are of.

Every peer that can be reached is asked which leases the vault's key holds there, what lies under each, and for the
header of every share. Shares with one pack id are a pack; its index tells what is in it, and packs with a snapshot are
read whole. Costs a small request per share and one pack per snapshot or so, not the whole backup.

Nobody vouches for a header, so a peer may tell anything. What is believed: an index, because it is sealed under a key
that no peer has; and a body, because its hash is the pack's id. Where shares are forged, others are tried.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from nanobarter.core.errors import Malformed, PeerFault, Refused, Unreachable
from nanobarter.core.ids import Hash, LeaseId, NodeId, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.catalog_lines import ChunkLine
from nanobarter.storage.head import CatalogFile, PlacedPack, PlacedShare, read_catalog_file, unseal_part
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.packs import DATA, SNAPSHOT, OpenPack, PackIndex, open_pack, peek_index
from nanobarter.storage.ports import Pack, PackMissing, pack_id_of
from nanobarter.storage.publish import adopt
from nanobarter.storage.reading import PackReader, mask_secret
from nanobarter.storage.rebuild import snapshots_in
from nanobarter.storage.recovery import Reach, reader_for
from nanobarter.storage.share import HEADER_BYTES, ShareHeader, apply_mask, open_share, read_header
from nanobarter.storage.subsets import decoded
from nanobarter.storage.vault_asking import find_leases
from nanobarter.storage.vault_client import VaultClient


@dataclass(frozen=True)
class Seen:
    """One share that a peer says it has."""

    header: ShareHeader
    node: NodeId
    lease: LeaseId
    root: Hash


@dataclass
class Found:
    """What a search has found so far. ``lost`` are packs that cannot be had or are not what they should be."""

    peers: int = 0
    shares: int = 0
    packs: int = 0
    packs_read: int = 0
    snapshots: int = 0
    lost: list[tuple[PackId, str]] = field(default_factory=list[tuple[PackId, str]])
    policies: bytes = b""


class NothingHeld(Unreachable):
    """No peer that could be reached keeps anything for these keys."""


class Search:
    """One search over an empty store, which must be running. ``tell`` hears how far it is, and must not wait."""

    def __init__(
        self,
        *,
        keys: VaultKeys,
        network: Reach,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        tell: Callable[[Found], None] = lambda _found: None,
    ) -> None:
        self._keys, self._network, self._store = keys, network, store
        self._clock, self._entropy, self._limits = clock, entropy, limits
        self._tell = tell
        self._mask = mask_secret(keys)
        self._client = VaultClient(caller=network, holder=keys.signing, clock=clock, entropy=entropy, limits=limits)
        self.reader = reader_for(keys=keys, network=network, store=store, clock=clock, entropy=entropy, limits=limits)
        self._seen = dict[PackId, list[Seen]]()
        self._newest = -1
        self.found = Found()

    async def run(self, catalog: Catalog) -> Found:
        """Fill the catalog and the placements. Raises NothingHeld when no peer keeps anything."""
        await self._ask_everybody()
        if not self._seen:
            raise NothingHeld(f"{self.found.peers} peers answered, and none of them keeps anything for this phrase")
        gate = trio.CapacityLimiter(self._limits.share_packs_max)
        async with trio.open_nursery() as nursery:
            for pack_id in self._seen:
                nursery.start_soon(self._take_one, pack_id, catalog, gate)
        return self.found

    def source(self) -> "FoundPacks":
        """Return where the packs that were found come from."""
        return FoundPacks(self.reader, self)

    # -- the shares

    async def _ask_everybody(self) -> None:
        """Ask each node that is known, and those that become known meanwhile, in rounds."""
        asked = set[NodeId]()
        for _ in range(self._limits.recovery_rounds_max):
            fresh = {peer.node for peer in self._network.known()} | set(self._network.connected())
            fresh -= asked | {self._network.node_id}
            gate = trio.CapacityLimiter(self._limits.recovery_asks_parallel)
            async with trio.open_nursery() as nursery:
                for node in fresh:
                    nursery.start_soon(self._ask_one, node, asked, gate)
            await trio.sleep(self._limits.recovery_pause / SECOND)  # peers tell of theirs meanwhile

    async def _ask_one(self, node: NodeId, asked: set[NodeId], gate: trio.CapacityLimiter) -> None:
        async with gate:
            try:
                leases = await find_leases(
                    self._network, node, self._keys.signing,
                    clock=self._clock, entropy=self._entropy, limits=self._limits,
                )  # fmt: skip
                asked.add(node)  # who did not answer may be dialled by the next round
                self.found.peers += 1
                for lease in leases:
                    await self._look_under(node, lease.lease)
            except (Unreachable, PeerFault):
                return

    async def _look_under(self, node: NodeId, lease: LeaseId) -> None:
        after = b""
        gate = trio.CapacityLimiter(self._limits.recovery_headers_parallel)
        while self.found.shares < self._limits.recovery_shares_max:
            page = await self._client.list(node, lease, after)
            if isinstance(page, Refused):
                return
            async with trio.open_nursery() as nursery:
                for entry in page.entries:
                    if entry.committed and entry.size > HEADER_BYTES:
                        nursery.start_soon(self._look_at, node, lease, entry.share, gate)
            self._tell(self.found)
            if not page.more or not page.entries or page.entries[-1].share <= after:
                return
            after = page.entries[-1].share

    async def _look_at(self, node: NodeId, lease: LeaseId, root: Hash, gate: trio.CapacityLimiter) -> None:
        async with gate:
            try:
                front = await self._client.read(node, lease, root, 0, HEADER_BYTES)
                header = read_header(b"" if isinstance(front, Refused) else front)
            except (Unreachable, PeerFault, Malformed):
                return
        if header.vault == self._keys.vault_id:
            self._seen.setdefault(header.pack, []).append(Seen(header, node, lease, root))
            self.found.shares += 1

    # -- the packs

    async def _take_one(self, pack_id: PackId, catalog: Catalog, gate: trio.CapacityLimiter) -> None:
        async with gate:
            try:
                await self._take(pack_id, catalog)
            except (PackMissing, Malformed) as error:
                self.found.lost.append((pack_id, str(error)))
            self._tell(self.found)

    async def _take(self, pack_id: PackId, catalog: Catalog) -> None:
        whole: OpenPack | None = None
        index = await self._peek(pack_id)
        if index is None:
            body = await self.whole(pack_id)
            try:
                whole = await trio.to_thread.run_sync(open_pack, body, self._keys)
            except Malformed:
                self._take_catalog(unseal_part(self._keys, body))  # Malformed again when it is not that either
                return
            index = whole.index
        roles = {entry.role for entry in index.entries}
        kind = "data" if roles == {DATA} else "meta"
        header = self._shape(pack_id)[0].header
        placed = replace_kind(self._placed(pack_id), kind)
        await self._store.write(lambda db: adopt(db, (placed,)))
        known = Pack(pack_id, kind, b"", header.size, header.k, header.n)
        await catalog.record_pack(known, (ChunkLine(entry.chunk_id, entry.length) for entry in index.entries))
        self.found.packs += 1
        if SNAPSHOT in roles:
            if whole is None:
                whole = await trio.to_thread.run_sync(open_pack, await self.whole(pack_id), self._keys)
            for line in await trio.to_thread.run_sync(snapshots_in, pack_id, whole, self._keys):
                await catalog.add_snapshot(line)
                self.found.snapshots += 1

    def _take_catalog(self, part: bytes) -> None:
        """Keep the policies of the newest catalog that is in one piece; where packs are, the packs have told."""
        try:
            file: CatalogFile = read_catalog_file(part)
        except Malformed:
            return  # a part of a longer one
        if file.policies and len(file.packs) >= self._newest:
            self._newest, self.found.policies = len(file.packs), file.policies

    def _shape(self, pack_id: PackId) -> list[Seen]:
        """Return the shares of a pack that agree with most peers about what it is."""
        seen = self._seen[pack_id]
        votes = Counter((one.header.k, one.header.n, one.header.size) for one in seen)
        (shape, _), *_ = votes.most_common(1)
        return [one for one in seen if (one.header.k, one.header.n, one.header.size) == shape]

    def _placed(self, pack_id: PackId) -> PlacedPack:
        seen = self._shape(pack_id)
        header = seen[0].header
        shares = {(s.header.index, s.node): PlacedShare(s.header.index, s.node, s.lease, s.root) for s in seen}
        return PlacedPack(pack_id, "data", header.k, header.n, header.size, tuple(shares.values()))

    async def _peek(self, pack_id: PackId) -> PackIndex | None:
        """Return the index of a pack from the front of its first share, when a peer gives it."""
        for one in self._shape(pack_id):
            if one.header.index:
                continue
            wanted = self._limits.recovery_peek_bytes
            for _ in range(2):  # a long index is asked for again, with its length known
                length = min(HEADER_BYTES + wanted, HEADER_BYTES + one.header.size)
                try:
                    front = await self._client.read(one.node, one.lease, one.root, 0, length)
                    if isinstance(front, Refused):
                        break
                    plain = apply_mask(self._mask, pack_id, 0, front[HEADER_BYTES:])
                    found = peek_index(plain, self._keys)
                except (Unreachable, PeerFault, Malformed):
                    break
                if isinstance(found, PackIndex):
                    return found
                wanted = found
                if wanted + HEADER_BYTES > self._limits.vault_range_bytes_max:
                    break
        return None

    async def whole(self, pack_id: PackId) -> bytes:
        """Return a pack's body, whichever of its shares are forged. Raises PackMissing."""
        if pack_id not in self._seen:
            raise PackMissing(pack_id)
        shares, header, away = list[tuple[int, bytes]](), self._shape(pack_id)[0].header, 0
        k, n, size = header.k, header.n, header.k * header.size
        for one in self._shape(pack_id):
            try:
                raw = await self._client.get(one.node, one.lease, one.root, HEADER_BYTES + header.size)
                if isinstance(raw, Refused):
                    continue
                told, data = await trio.to_thread.run_sync(open_share, raw, self._mask)
            except (Unreachable, PeerFault, Malformed) as error:
                away += isinstance(error, Unreachable)
                continue
            if (told.pack, told.index) != (pack_id, one.header.index):
                continue
            shares.append((told.index, data))
            body = await trio.to_thread.run_sync(decoded, shares, k, n, size, pack_id, self._limits)
            if body is not None:
                self.found.packs_read += 1
                return body
        raise PackMissing(
            pack_id, f"{len(shares)} shares came back, and no {k} of them make it", later=len(shares) + away >= k
        )


def replace_kind(pack: PlacedPack, kind: str) -> PlacedPack:
    """Return the pack as one of this kind."""
    return PlacedPack(pack.pack, "meta" if kind == "meta" else "data", pack.k, pack.n, pack.share_size, pack.shares)


@dataclass
class FoundPacks:
    """Implements PackSource after a search: the quick way first and, where a share was forged, the sure one."""

    reader: PackReader
    search: Search

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body of a pack. Raises PackMissing."""
        try:
            body = await self.reader.get(pack_id)
            if await trio.to_thread.run_sync(pack_id_of, body) == pack_id:
                return body
        except PackMissing as error:
            if error.later:
                raise
        return await self.search.whole(pack_id)
