"""What the vault does by itself: tidying at the start, deleting what outlived its lease, taking up orphans."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from nanobarter.core.ids import Hash, LeaseId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant, after, before
from nanobarter.mint.answer_messages import Contract
from nanobarter.storage import vault_rows as rows
from nanobarter.storage.vault_access import lease_of
from nanobarter.storage.vault_files import ShareFiles
from nanobarter.storage.vault_rows import Lease
from nanobarter.storage.vault_salvage import adopt_folder, forget_orphan, orphans
from nanobarter.storage.vault_uploads import Uploads

LeaseLookup = Callable[[LeaseId], Contract | None]
"""The mint's word on a lease: its newest contract, or None when there is none or it is long over."""

_STRIPES: Final = 64  # locks over shares: two asks about one share never meet on disk


class Upkeep:
    """The state of a vault and its care; ``Vault`` serves it."""

    def __init__(
        self, *, home: Path, store: Store, lease: LeaseLookup, clock: Clock, limits: Limits, files: ShareFiles | None
    ) -> None:
        self._store = store
        self._lookup = lease
        self._clock = clock
        self._limits = limits
        self._files = files or ShareFiles(home / "vault")
        self._locks = [trio.Lock() for _ in range(_STRIPES)]
        self._uploads = Uploads(store, self._files, limits)
        self._orphans = dict[LeaseId, Instant]()
        self._adopting = trio.Lock()

    async def start(self) -> int:
        """Tidy what a crash left and return how many committed shares have lost their files (a damaged disk)."""
        self._orphans = await self._store.read(orphans)
        kept = await self._store.read(rows.committed)
        lost = await trio.to_thread.run_sync(self._files.tidy, kept, frozenset(self._orphans))
        if lost:
            await self._store.write(lambda db: rows.drop_lost(db, lost))
        return len(lost)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Delete what has outlived its lease and the grace, now and then, until cancelled."""
        task_status.started()
        while True:
            await self.sweep()
            await trio.sleep(self._limits.vault_sweep_period / SECOND)

    async def sweep(self) -> None:
        """Delete leases that ended a grace ago, with all that is under them, and uploads that were given up."""
        now = self._clock.now()
        for lease in await self._store.read(rows.all_leases):
            contract = self._lookup(lease.lease_id)
            newest = lease if contract is None else lease_of(contract)
            if now >= after(newest.ends_at, self._limits.vault_grace):
                await self._store.write(lambda db, gone=lease: rows.forget_lease(db, gone.lease_id))
                await trio.to_thread.run_sync(self._files.delete_lease, lease.lease_id)
        for lease_id, until in list(self._orphans.items()):
            contract = self._lookup(lease_id)
            if contract is not None:
                await self._take_up(lease_of(contract))
            elif now >= until:
                await self._store.write(lambda db, gone=lease_id: forget_orphan(db, gone))
                del self._orphans[lease_id]
                await trio.to_thread.run_sync(self._files.delete_lease, lease_id)
        await self._drop_stale(before(now, self._limits.vault_upload_span))
        await self._drop_strays()

    async def _drop_stale(self, limit: Instant) -> None:
        """Drop the uploads that were given up: row and files under one lock, so that nobody takes over between."""
        for group in _by_stripe(await self._store.read(lambda db: rows.stale_uploads(db, limit))):
            async with self._lock(group[0][1]):
                with trio.CancelScope(shield=True):
                    gone = await self._store.write(lambda db, some=group: rows.drop_stale_uploads(db, some, limit))
                    await self._delete_files(gone)

    async def _drop_strays(self) -> None:
        """Delete files without a row, which no quota counts.

        The locks tell them from those that are on the way: whoever makes a file holds its lock until the row is there.
        """
        waiting = set(self._orphans)
        there = await trio.to_thread.run_sync(self._files.names)
        known = await self._store.read(rows.shares)
        found = [(lease, share) for lease, shares in there.items() if lease not in waiting for share in shares]
        for group in _by_stripe([name for name in found if name not in known]):
            async with self._lock(group[0][1]):
                await self._delete_files([name for name in group if not self._is_known(*name)])

    def _is_known(self, lease_id: LeaseId, share: Hash) -> bool:
        return self._store.read_now(lambda db: rows.find_share(db, lease_id, share)) is not None

    async def _delete_files(self, gone: list[tuple[LeaseId, Hash]]) -> None:
        def delete() -> None:
            for lease_id, share in gone:
                self._files.delete(lease_id, share)

        for lease_id, share in gone:
            self._uploads.forget(lease_id, share)
        await trio.to_thread.run_sync(delete)

    def used_bytes(self, lease_id: LeaseId) -> int:
        """Return the bytes that count under a lease."""
        return self._store.read_now(lambda db: rows.used_bytes(db, lease_id))

    def free_bytes(self) -> int:
        """Return what the disk of the vault could still take. Blocks for a moment."""
        return self._files.free_bytes()

    def waiting(self) -> int:
        """Return how many folders wait for their holder to show the lease."""
        return len(self._orphans)

    def _find_lease(self, lease_id: LeaseId) -> Lease | None:
        contract = self._lookup(lease_id)
        if contract is not None:
            return lease_of(contract)
        return self._store.read_now(lambda db: rows.find_lease(db, lease_id))

    async def _take_up(self, lease: Lease) -> None:
        """Count what lies in the folder of a lease that is known again."""
        async with self._adopting:
            if lease.lease_id in self._orphans:
                folder = self._files.folder(lease.lease_id)
                await self._store.write(lambda db: adopt_folder(db, lease, folder))
                del self._orphans[lease.lease_id]

    def _lock(self, share: Hash) -> trio.Lock:
        return self._locks[_stripe(share)]


def _stripe(share: Hash) -> int:
    return share[0] % _STRIPES


def _by_stripe(names: list[tuple[LeaseId, Hash]]) -> list[list[tuple[LeaseId, Hash]]]:
    """Return the shares in groups under one lock each."""
    groups = dict[int, list[tuple[LeaseId, Hash]]]()
    for name in names:
        groups.setdefault(_stripe(name[1]), []).append(name)
    return list(groups.values())
