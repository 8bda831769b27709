"""The reading half: packs come back from any k good shares, also on a machine that can only read.

k peers are asked at once. A peer that fails is replaced by the next; one that takes twice as long as the slowest that
answered gets a rival. Only bytes that have the recorded root are used; a peer that gave others is audited next.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import NodeId, PackId
from nanobarter.core.keys import derive
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND
from nanobarter.storage import erasure
from nanobarter.storage import placements as rows
from nanobarter.storage.budget import Budget
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.placements import PlacedPackRow, Placement
from nanobarter.storage.ports import PackMissing
from nanobarter.storage.rests import Rests
from nanobarter.storage.share import open_share
from nanobarter.storage.vault_client import VaultClient


def mask_secret(keys: VaultKeys) -> bytes:
    """Return the secret from which the masks of a vault's shares grow."""
    return derive(keys.seal_key, "storage/share-masks")


class HostPort(Protocol):
    """Where a node answers."""

    @property
    def host(self) -> str:
        """A name or a literal address."""
        ...

    @property
    def port(self) -> int:
        """The TCP port."""
        ...


class Directory(Protocol):
    """What the placer asks of the network besides calls."""

    def connected(self) -> Sequence[NodeId]:
        """Return the peers that can be called now."""
        ...

    def address_of(self, node: NodeId) -> HostPort | None:
        """Return where a node was last reached."""
        ...

    def host_of(self, node: NodeId) -> str | None:
        """Return at which host a node is, as far as was seen or said."""
        ...


class PackReader:
    """Implements PackSource over recorded placements; ``rests`` remembers which peers failed lately."""

    def __init__(
        self,
        *,
        store: Store,
        keys: VaultKeys,
        client: VaultClient,
        directory: Directory,
        clock: Clock,
        limits: Limits = LIMITS,
    ) -> None:
        self.client = client
        self.directory = directory
        self.clock = clock
        self._store = store
        self._mask = mask_secret(keys)
        self._limits = limits
        self.rests = Rests(client.lives, clock, limits)
        self._packs = Budget(limits.share_pack_bytes_max)
        self._transfers = Budget(limits.share_transfer_bytes_max)

    def forgive(self) -> None:
        """Forget who failed lately: everybody gets another chance."""
        self.rests.end_all()

    async def get(self, pack_id: PackId) -> bytes:
        """Return a pack's body: see PackSource. Raises PackMissing when fewer than k good shares came back."""
        row = await self._store.read(lambda db: rows.find_pack(db, pack_id))
        if row is None:
            raise PackMissing(pack_id)
        found = [p for p in await self._store.read(lambda db: rows.of_pack(db, pack_id)) if p.state == "held"]
        if (left := len({p.index for p in found})) < row.k:
            raise PackMissing(pack_id, f"{left} of the {row.k} shares needed are left")
        async with self._packs.part(2 * row.k * row.share_size):  # its shares, and the body that they become
            shares, away = await self._fetch(row, found)
            if len(shares) < row.k:
                told = f"{len(shares)} of the {row.k} shares needed came back, {away} peers do not answer"
                raise PackMissing(pack_id, told, later=len(shares) + away >= row.k)
            size = row.k * row.share_size
            try:
                return await trio.to_thread.run_sync(erasure.decode, shares, row.k, row.n, size)
            except Malformed as error:
                raise PackMissing(pack_id, str(error)) from None

    async def _fetch(self, row: PlacedPackRow, found: list[Placement]) -> tuple[dict[int, bytes], int]:
        """Return up to k unmasked shares by index, and how many peers did not answer."""
        connected = set(self.directory.connected())

        def last_choice(p: Placement) -> tuple[bool, bool, int, int]:
            return (self.rests.resting(p.node), p.node not in connected, p.silent_since or 0, p.index)

        away = set[NodeId]()

        async def fetch_one(placement: Placement) -> bytes | None:
            return await self._fetch_one(placement, away)

        def hangs(placement: Placement, since: float) -> None:
            if not self.client.pace.heard_since(placement.node, since):
                self.rests.begin(placement.node)  # or each pack to come would wait for it again

        job = _Fetch(row.k, sorted(found, key=last_choice), self._limits.share_patience / SECOND, hangs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(job.watch, nursery, fetch_one)
            for _ in range(row.k):
                job.next_one(nursery, fetch_one)
            if not job.running:
                nursery.cancel_scope.cancel()
        return job.shares, len(away)

    async def _fetch_one(self, placement: Placement, away: set[NodeId]) -> bytes | None:
        """Return one unmasked share, or None when the peer does not give it back as it was; note who is away."""
        async with self._transfers.part(placement.size):
            try:
                raw = await self.client.get(placement.node, placement.lease_id, placement.root, placement.size)
                if isinstance(raw, Refused):
                    if raw.reason == Reason.BUSY:
                        away.add(placement.node)
                else:
                    header, data = await trio.to_thread.run_sync(open_share, raw, self._mask)
                    if (header.pack, header.index) == (placement.pack_id, placement.index):
                        return data  # else it was recorded by its word as another, which it is not
            except Unreachable:
                away.add(placement.node)
                self.rests.begin(placement.node)
                return None
            except (PeerFault, Malformed):
                pass
        self.rests.begin(placement.node)
        await self._store.write(lambda db: rows.suspect(db, placement))
        return None


_FetchOne = Callable[[Placement], Awaitable[bytes | None]]


@dataclass
class _Fetch:
    """One pack on its way in. After a repair a share may be at two peers, of which the first may be gone."""

    k: int
    waiting: list[Placement]
    patience: float
    hangs: Callable[[Placement, float], None]
    """Told of each peer that takes much longer than the others, and since when it is asked."""
    shares: dict[int, bytes] = field(default_factory=dict[int, bytes])
    running: dict[Placement, float] = field(default_factory=dict[Placement, float])  # since when
    slowest: float = 0

    def next_one(self, nursery: trio.Nursery, fetch: _FetchOne) -> None:
        """Ask the next peer, if there is one: first for a share that nobody is asked for."""
        asked = {*self.shares, *(placement.index for placement in self.running)}
        placement = next((p for p in self.waiting if p.index not in asked), next(iter(self.waiting), None))
        if placement is not None:
            self.waiting.remove(placement)
            self.running[placement] = trio.current_time()
            nursery.start_soon(self._one, placement, nursery, fetch)

    async def watch(self, nursery: trio.Nursery, fetch: _FetchOne) -> None:
        """Ask a spare for each peer that takes much longer than those that answered."""
        asked = set[Placement]()
        while True:
            await trio.sleep(self.patience)
            limit = trio.current_time() - max(self.patience, 2 * self.slowest)
            late = [p for p, start in self.running.items() if start <= limit and p not in asked]
            for placement in late if self.shares else late[:1]:  # all slow: the line is, so ask little more of it
                asked.add(placement)
                self.hangs(placement, self.running[placement])
                self.next_one(nursery, fetch)

    async def _one(self, placement: Placement, nursery: trio.Nursery, fetch: _FetchOne) -> None:
        start = trio.current_time()
        data = await fetch(placement)
        del self.running[placement]
        if data is None or placement.index in self.shares:
            self.next_one(nursery, fetch)
        else:
            self.shares[placement.index] = data
            self.slowest = max(self.slowest, trio.current_time() - start)
        if len(self.shares) >= self.k or not self.running:
            nursery.cancel_scope.cancel()
