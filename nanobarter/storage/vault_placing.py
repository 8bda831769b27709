"""A whole share in one ask: how a vault takes it, for holders whose lines carry one within the time of a call.

It costs a quarter of allocate, write, commit and prove: one call, one signature checked, one transaction, and the bytes
are hashed once, since the share's name vouches for them. The file is on disk before the row that promises it: whatever
ends the way from one to the other takes the file along, since without a row nobody's quota counts it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import Hash, LeaseId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.storage import vault_rows as rows
from nanobarter.storage.share import SHARE_BYTES_MAX, block_count
from nanobarter.storage.vault_files import ShareFiles, Shown
from nanobarter.storage.vault_messages import Held, Place, Placed, Proof, ReceiptBody
from nanobarter.storage.vault_rows import Lease


@dataclass(frozen=True)
class Placing:
    """Takes whole shares. ``sign`` makes a receipt; each call runs under the lock of its share, shielded."""

    store: Store
    files: ShareFiles
    clock: Clock
    limits: Limits
    sign: Callable[[ReceiptBody], Signed]

    async def take(self, lease: Lease, deed: Place, data: memoryview, at: Instant) -> Placed | Refused:
        """Keep a share and show a block. Raises Malformed for bytes that are not it, and DiskFull."""
        size, name = len(data), (lease.lease_id, deed.share)
        if not 0 < size <= SHARE_BYTES_MAX or deed.block_index >= block_count(size):
            raise Malformed(f"block {deed.block_index} of a share of {size} bytes")
        entry = self.store.read_now(lambda db: rows.find_share(db, *name))
        if entry is not None and entry.size != size:  # before any byte: a file of another length must never be
            return Refused(Reason.CONFLICT, f"this share has {entry.size} bytes")
        if entry is not None and entry.committed:
            shown = await trio.to_thread.run_sync(self.files.prove, *name, size, deed.block_index)
            if shown is not None:
                return self._placed(name, size, deed, shown)
        missing = 0 if entry is not None else size
        no = self.store.read_now(lambda db: rows.would_refuse(db, lease, missing))
        if no is not None:
            return no
        counted = False
        try:
            shown = await trio.to_thread.run_sync(self._keep, name, data, deed.block_index)
            if shown is None or isinstance(shown, Refused):
                return shown or self._not_it(deed)
            no = await self.store.write(lambda db: rows.place(db, lease, deed.share, size, at))
            if no is not None:
                return no
            counted = True
        finally:
            if not counted and (entry is None or not entry.committed):
                await trio.to_thread.run_sync(self.files.delete, *name)
        return self._placed(name, size, deed, shown)

    def _keep(self, name: tuple[LeaseId, Hash], data: memoryview, block_index: int) -> Shown | Refused | None:
        free = self.files.free_bytes()
        if free < len(data) + self.limits.vault_disk_reserve_bytes:
            return Refused(Reason.DISK_FULL, f"{free} bytes are free on the disk")
        return self.files.place(*name, data, block_index)

    def _not_it(self, deed: Place) -> Refused:
        raise Malformed(f"the bytes are not share {deed.share.hex()[:16]}")

    def _placed(self, name: tuple[LeaseId, Hash], size: int, deed: Place, shown: Shown) -> Placed:
        now = self.clock.now()
        proof = Proof(*name, deed.nonce, deed.block_index, now, shown.block, shown.path)
        return Placed(self.sign(Held(*name, size, now)), self.sign(proof))
