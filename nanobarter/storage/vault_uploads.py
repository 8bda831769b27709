"""Shares that come in ranges: allocate, write, commit. A slow line goes on where it stopped.

Each call runs under the lock of its share, shielded from its caller's patience.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import trio
from blake3 import blake3

from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import Hash, LeaseId
from nanobarter.core.limits import Limits
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.storage import vault_rows as rows
from nanobarter.storage.ranges import Ranges
from nanobarter.storage.vault_files import DiskFull, ShareFiles
from nanobarter.storage.vault_messages import RANGES_MAX, Allocate, Allocated, Commit, Done, Write
from nanobarter.storage.vault_rows import Lease

_UPLOADS_MAX: Final = 4096  # unfinished shares whose ranges are remembered; others start again


def find_entry(store: Store, lease: Lease, share: Hash) -> rows.Entry | Refused:
    """Return what is known of a share under a lease."""
    found = store.read_now(lambda db: rows.find_share(db, lease.lease_id, share))
    return found or Refused(Reason.NOT_FOUND, "there is no such share under this lease")


@dataclass
class Uploads:
    """The unfinished shares of a vault, and what of them has come."""

    store: Store
    files: ShareFiles
    limits: Limits
    have: OrderedDict[tuple[LeaseId, Hash], Ranges] = field(default_factory=OrderedDict[tuple[LeaseId, Hash], Ranges])

    def forget(self, lease: LeaseId, share: Hash) -> None:
        """Forget what came of a share."""
        self.have.pop((lease, share), None)

    async def allocate(self, lease: Lease, deed: Allocate, at: Instant) -> Allocated | Refused:
        """Set the bytes aside, and tell which are there."""
        if isinstance(find_entry(self.store, lease, deed.share), Refused):
            self.forget(lease.lease_id, deed.share)  # nobody's, and never counted: a new share starts from nothing
            await trio.to_thread.run_sync(self.files.delete, lease.lease_id, deed.share)
        free = await trio.to_thread.run_sync(self.files.free_bytes)
        if free < deed.size + self.limits.vault_disk_reserve_bytes:
            return Refused(Reason.DISK_FULL, f"{free} bytes are free on the disk")
        entry = await self.store.write(lambda db: rows.allocate(db, lease, deed.share, deed.size, at))
        if isinstance(entry, Refused):
            return entry
        ranges = self.have.get((lease.lease_id, deed.share), Ranges())
        return Allocated(entry.committed, ranges.spans[:RANGES_MAX])

    async def write(self, lease: Lease, deed: Write, data: memoryview) -> Done | Refused:
        """Write a range. Raises Malformed for one that cannot be, and DiskFull."""
        entry = find_entry(self.store, lease, deed.share)
        if isinstance(entry, Refused):
            return entry
        end = deed.offset + len(data)
        if not data or end > entry.size:
            raise Malformed(f"bytes {deed.offset} to {end} of a share of {entry.size}")
        if blake3(data).digest() != deed.digest:
            raise Malformed("the bytes are not those that the ask names")
        if entry.committed:
            return Done()  # a late repeat; the content is fixed by the share's name
        name = (lease.lease_id, deed.share)
        try:
            await trio.to_thread.run_sync(self.files.write, *name, entry.size, deed.offset, data)
        except DiskFull:
            self.have.pop(name, None)
            raise
        self.have[name] = self.have.get(name, Ranges()).with_range(deed.offset, end)
        if len(self.have) > _UPLOADS_MAX:
            self.have.popitem(last=False)
        return Done()

    async def commit(self, lease: Lease, deed: Commit) -> int | Refused:
        """Make a share last, and return its size."""
        entry = find_entry(self.store, lease, deed.share)
        if isinstance(entry, Refused):
            return entry
        if not entry.committed:
            good = await trio.to_thread.run_sync(self.files.commit, lease.lease_id, deed.share, entry.size)
            self.have.pop((lease.lease_id, deed.share), None)
            if not good:
                return Refused(Reason.CONFLICT, "what was written is not the share of this name; write it again")
            if not await self.store.write(lambda db: rows.commit(db, lease.lease_id, deed.share)):
                await trio.to_thread.run_sync(
                    self.files.delete, lease.lease_id, deed.share
                )  # the lease ended meanwhile
                return Refused(Reason.NOT_FOUND, "the allocation was given up before the commit")
        return entry.size
