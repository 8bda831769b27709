"""The publisher: after a backup, the catalog goes out as packs, and the head to every holder of a lease.

Record, then speak: the head is in the store before it is sent. Packs of the last two heads are kept, since a holder
that was away still hands out the older one.
"""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import NodeId, PackId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant
from nanobarter.storage import placements as rows
from nanobarter.storage.geometry import body_bytes_max, share_size_for
from nanobarter.storage.head import (
    PART_OVERHEAD,
    CatalogFile,
    HeadPlain,
    NodeAddress,
    PlacedPack,
    PlacedShare,
    make_head,
    part_bytes,
    seal_part,
)
from nanobarter.storage.health import by_pack
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import HeldLease, LeaseBook
from nanobarter.storage.placement import Placer
from nanobarter.storage.placements import PlacedPackRow, Placement
from nanobarter.storage.ports import Pack, pack_id_of
from nanobarter.storage.reading import PackReader
from nanobarter.storage.share import HEADER_BYTES

_HEADS_KEPT: Final = 2
_ADDRESSES_MAX: Final = 64
_PACKS_BYTES_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Published:
    """A head and who keeps it. ``failed``: holders that could not be reached; ``catch_up`` tries them again."""

    sequence: int
    kept_by: tuple[NodeId, ...]
    failed: tuple[tuple[NodeId, str], ...]


class Publisher:
    """Publishes the catalog of one vault."""

    def __init__(
        self,
        *,
        store: Store,
        keys: VaultKeys,
        leases: LeaseBook,
        placer: Placer,
        reader: PackReader,
        entropy: Entropy,
        limits: Limits = LIMITS,
    ) -> None:
        self._store = store
        self._keys = keys
        self._leases = leases
        self._placer = placer
        self._reader = reader
        self._client = reader.client
        self._directory = reader.directory
        self._clock = reader.clock
        self._entropy = entropy
        self._limits = limits
        self._one_at_a_time = trio.Lock()
        self._have = set[NodeId]()  # who has the last head, as far as this life of the node knows

    async def publish(
        self, catalog: bytes, policies: bytes = b"", replaced: Collection[PackId] = frozenset()
    ) -> Published:
        """Store the engine's catalog, where all packs are and the text of the policies, then tell every holder.

        Packs that were ``replaced`` are still at peers, until the head that does without them is out.

        Returns when each holder was asked once, and does not wait for stragglers when half of them have it. Raises
        NotPlaced when the catalog found too few peers; the head before stays good.
        """
        async with self._one_at_a_time:
            needed = list[PackId]()
            plain = await self._store_text(0, await self._catalog_file(catalog, policies, replaced), needed)
            sequence = await self._next_sequence()
            head = make_head(self._keys, sequence, self._clock.now(), plain, self._entropy)
            while len(encode(head)) > self._limits.vault_head_bytes_max:
                if plain.level + 1 >= self._limits.recovery_levels_max:
                    raise InvariantBroken(f"the head of {len(encode(plain))} bytes does not fit after four levels")
                plain = await self._store_text(plain.level + 1, encode(plain), needed)
                head = make_head(self._keys, sequence, self._clock.now(), plain, self._entropy)
            await self._store.write(lambda db: keep_head(db, sequence, head, needed))
            self._have = set[NodeId]()
            told = await self._tell(sequence, head, {lease.issuer for lease in self._leases.live()})
            if told.kept_by:
                await self._drop_old_packs()
            return told

    def holders(self) -> list[NodeAddress]:
        """Return who has the published head, those first that are known to have the newest; none before the first."""
        if self._store.read_now(last_head) is None:
            return []
        nodes = dict.fromkeys([*self._have, *(lease.issuer for lease in self._leases.live())])
        return self._located(nodes)

    async def catch_up(self) -> None:
        """Send the present head to the holders that missed it, new ones too, as far as they answer soon."""
        async with self._one_at_a_time:
            found = await self._store.read(last_head)
            rests = self._reader.rests
            missed = {lease.issuer for lease in self._leases.live() if not rests.mute(lease.issuer)} - self._have
            if found is not None and missed:
                with trio.move_on_after(self._limits.share_patience / SECOND):
                    await self._tell(*found, missed)

    async def _next_sequence(self) -> int:
        """Return one above the last, and not below the clock: a vault that lost its store still goes forward."""
        found = await self._store.read(last_head)
        return max(found[0] + 1 if found else 1, self._clock.now())

    async def _catalog_file(self, catalog: bytes, policies: bytes, replaced: Collection[PackId]) -> bytes:
        placed = by_pack(await self._store.read(lambda db: rows.in_state(db, "held")))
        wanted = await self._store.read(rows.all_packs)
        packs = [row for row in wanted if row.kind != "catalog" and row.pack_id not in replaced]
        leases = tuple(lease.contract for lease in self._leases.live())
        where = tuple(placed_pack(row, placed.get(row.pack_id, [])) for row in packs)
        file = CatalogFile(catalog, where, leases, policies)
        return await trio.to_thread.run_sync(encode, file)

    async def _store_text(self, level: int, text: bytes, needed: list[PackId]) -> HeadPlain:
        """Place a text as packs; return the head that leads to it. The packs' ids are added to ``needed``."""
        geometry = self._placer.geometry()
        k, n = max(1, geometry.k // 2), geometry.n  # worth more redundancy than what it leads to
        step = part_bytes(min(body_bytes_max(k), self._limits.catalog_pack_bytes_max))
        packs = list[PlacedPack]()
        for at in range(0, len(text), step):
            part = text[at : at + step]
            share_size = share_size_for(k, len(part) + PART_OVERHEAD)
            body = await trio.to_thread.run_sync(seal_part, self._keys, part, k * share_size)
            pack = Pack(pack_id_of(body), "meta", body, share_size, k, n)
            row = await self._placer.place(pack, "catalog")
            held = await self._store.read(lambda db, wanted=pack.pack_id: rows.of_pack(db, wanted))
            packs.append(placed_pack(row, held))
            needed.append(pack.pack_id)
        return HeadPlain(level, len(text), tuple(packs), self._addresses(packs))

    def _addresses(self, packs: list[PlacedPack]) -> tuple[NodeAddress, ...]:
        nodes = dict.fromkeys(share.node for pack in packs for share in pack.shares)
        nodes |= dict.fromkeys(lease.issuer for lease in self._leases.live())
        return tuple(self._located(nodes)[:_ADDRESSES_MAX])

    def _located(self, nodes: Iterable[NodeId]) -> list[NodeAddress]:
        found = list[NodeAddress]()
        for node in nodes:
            address = self._directory.address_of(node)
            if address is not None and address.port:
                found.append(NodeAddress(node, address.host, address.port))
        return found

    async def _tell(self, sequence: int, head: Signed, nodes: set[NodeId]) -> Published:
        kept, failed = list[NodeId](), list[tuple[NodeId, str]]()
        holders = {lease.issuer: lease for lease in self._leases.live() if lease.issuer in nodes}
        patience = self._limits.share_patience / SECOND
        awaited = {node for node in holders if not self._reader.rests.mute(node)} or set(holders)

        async def tell(lease: HeldLease) -> None:
            # A peer that failed lately is asked like the others, and waited for no longer than a sign of life takes.
            span = self._limits.sign_timeout if self._reader.rests.resting(lease.issuer) else self._limits.call_timeout
            no: Refused | None = Refused(Reason.BUSY, "it failed lately, and does not answer")
            try:
                with trio.move_on_after(span / SECOND):
                    no = await self._client.put_head(lease.issuer, lease.lease_id, head)
            except (Unreachable, PeerFault) as error:
                no = Refused(Reason.BUSY, str(error))
            if no is None:
                kept.append(lease.issuer)
                self._have.add(lease.issuer)
            else:
                failed.append((lease.issuer, no.detail))
            awaited.discard(lease.issuer)
            if not awaited:
                nursery.cancel_scope.cancel()
            if 2 * len(kept) >= len(holders):  # one that hangs must not hold up who waits for the backup's end
                nursery.cancel_scope.deadline = min(nursery.cancel_scope.deadline, trio.current_time() + patience)

        async with trio.open_nursery() as nursery:
            for lease in holders.values():
                nursery.start_soon(tell, lease)
        late = set(holders) - set(kept) - {node for node, _ in failed}
        failed += [(node, "it did not answer in time") for node in late]
        return Published(sequence, tuple(kept), tuple(failed))

    async def _drop_old_packs(self) -> None:
        placed = by_pack(await self._store.read(lambda db: rows.in_state(db, "held")))
        packs = await self._store.read(rows.all_packs)
        lost = {row.pack_id for row in packs if len(placed.get(row.pack_id, ())) < row.k}
        needed = await self._store.write(lambda db: trim_heads(db, lost))
        for row in await self._store.read(rows.all_packs):
            if row.kind == "catalog" and row.pack_id not in needed:
                await self._placer.remove(row.pack_id)


def placed_pack(row: PlacedPackRow, placements: list[Placement]) -> PlacedPack:
    """Return a pack as heads and catalogs name it."""
    held = [PlacedShare(p.index, p.node, p.lease_id, p.root) for p in placements if p.state == "held"]
    return PlacedPack(row.pack_id, row.kind, row.k, row.n, row.share_size, tuple(held))


def keep_head(db: sqlite3.Connection, sequence: int, head: Signed, packs: list[PackId]) -> None:
    """Record a head before it is sent."""
    db.execute(
        "INSERT OR REPLACE INTO storage_heads_published VALUES (?, ?, ?)",
        (sequence, encode(head), encode(tuple(packs))),
    )


def last_head(db: sqlite3.Connection) -> tuple[int, Signed] | None:
    """Return the newest head and its sequence."""
    row = db.execute("SELECT sequence, head FROM storage_heads_published ORDER BY sequence DESC LIMIT 1").fetchone()
    return (row[0], decode(row[1], Signed, size_max=_PACKS_BYTES_MAX)) if row else None


def trim_heads(db: sqlite3.Connection, lost: Collection[PackId]) -> set[PackId]:
    """Forget all but the last heads, and older ones that need a lost pack; return the packs that the rest need."""
    db.execute(
        "DELETE FROM storage_heads_published WHERE sequence NOT IN "
        "(SELECT sequence FROM storage_heads_published ORDER BY sequence DESC LIMIT ?)",
        (_HEADS_KEPT,),
    )
    found = set[PackId]()
    kept = db.execute("SELECT sequence, packs FROM storage_heads_published ORDER BY sequence DESC").fetchall()
    for place, (sequence, packs) in enumerate(kept):
        needed = set(decode(packs, tuple[PackId, ...], size_max=_PACKS_BYTES_MAX))
        if place and needed & set(lost):
            db.execute("DELETE FROM storage_heads_published WHERE sequence = ?", (sequence,))
        else:
            found |= needed
    return found


def adopt(db: sqlite3.Connection, packs: tuple[PlacedPack, ...]) -> None:
    """Take over placements that a head or a catalog names; the next audits will tell which of them are true."""
    for pack in packs:
        rows.keep_pack(db, PlacedPackRow(pack.pack, pack.kind, pack.k, pack.n, pack.share_size, thin=True))
        size = HEADER_BYTES + pack.share_size
        for s in pack.shares:
            rows.put(db, Placement(pack.pack, s.index, s.node, s.lease, s.root, size, "held", Instant(0), None))
