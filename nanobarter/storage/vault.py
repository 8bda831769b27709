"""The vault: other people's shares, kept under the leases that this node's mint has signed.

Not here: who issued the lease (asked of the mint through a port), and what the shares mean. Each ask is judged by
``vault_access``, counted by ``vault_rows`` and done by ``vault_files``; a share is promised only when its file, its
directory and its row are on disk, in this order. What is lost between the steps is tidied away at the start.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, assert_never

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import Hash, NodeId, sha256
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Handler, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.storage import vault_rows as rows
from nanobarter.storage.head import read_head
from nanobarter.storage.share import SHARE_BYTES_MAX, block_count
from nanobarter.storage.vault_access import Nonces, Rules, judge, read_ask, remembered
from nanobarter.storage.vault_bytes import read_request
from nanobarter.storage.vault_files import DiskFull, ShareFiles
from nanobarter.storage.vault_messages import (
    DOMAIN_RECEIPT,
    ENVELOPE_BYTES,
    Allocate,
    Answer,
    Ask,
    Commit,
    Data,
    Delete,
    Done,
    GetHead,
    HeadAnswer,
    Held,
    List,
    Listing,
    NoProof,
    Place,
    Proof,
    Prove,
    PutHead,
    Read,
    Receipt,
    ReceiptBody,
    Refusal,
    Write,
)
from nanobarter.storage.vault_placing import Placing
from nanobarter.storage.vault_rows import Lease
from nanobarter.storage.vault_upkeep import LeaseLookup, Upkeep
from nanobarter.storage.vault_uploads import find_entry

METHODS: Final[dict[str, type]] = {
    "storage.allocate": Allocate,
    "storage.write": Write,
    "storage.commit": Commit,
    "storage.place": Place,
    "storage.read": Read,
    "storage.prove": Prove,
    "storage.list": List,
    "storage.delete": Delete,
    "storage.head.put": PutHead,
}
HEAD_GET: Final = "storage.head.get"
_OfShare = Allocate | Write | Commit | Place | Read | Prove | Delete


class Vault(Upkeep):
    """Serves the storage methods. Call ``start`` once before the network runs, and run ``run`` beside it."""

    def __init__(
        self,
        *,
        home: Path,
        store: Store,
        key: SigningKey,
        lease: LeaseLookup,
        clock: Clock,
        limits: Limits = LIMITS,
        files: ShareFiles | None = None,
    ) -> None:
        super().__init__(home=home, store=store, lease=lease, clock=clock, limits=limits, files=files)
        self._key = key
        self._nonces = Nonces(limits.vault_nonces_max)
        self._placing = Placing(store, self._files, clock, limits, self._sign)

    def register(self, registrar: Registrar) -> None:
        """Serve the vault's methods."""
        limits = self._limits
        for method, deed in METHODS.items():
            more = {
                Write: limits.vault_range_bytes_max,
                Place: SHARE_BYTES_MAX,
                PutHead: limits.vault_head_bytes_max,
            }.get(deed, 0)
            registrar.add(method, self._handler(deed), body_max=ENVELOPE_BYTES + more)
        registrar.add(HEAD_GET, self._get_head, body_max=ENVELOPE_BYTES)

    # -- the edge

    def _handler(self, kind: type) -> Handler:
        async def handle(_peer: NodeId, body: bytes) -> bytes:
            size_max = ENVELOPE_BYTES + max(self._limits.vault_range_bytes_max, self._limits.vault_head_bytes_max)
            signed, data = read_request(body, size_max)
            answer = await self._answer(kind, signed, data)
            return encode(Refusal(answer.reason, answer.detail[:200]) if isinstance(answer, Refused) else answer)

        return handle

    async def _answer(self, kind: type, signed: Signed, data: memoryview) -> Answer | Refused:
        ask = read_ask(signed, self._limits.vault_head_bytes_max)
        if isinstance(ask, Refused):
            return ask
        if not isinstance(ask.deed, kind):
            raise Malformed("the ask is for another method")
        known = self._find_lease(ask.lease)
        if ask.lease in self._orphans:
            if known is None:
                return Refused(Reason.NOT_YET, "this vault was rebuilt and waits to be shown the contract of the lease")
            await self._take_up(known)
        lease = judge(ask, signed.key, known, self._rules())
        if isinstance(lease, Refused):
            return lease
        if remembered(ask) and not self._nonces.fresh(signed.key, ask.nonce):
            return Refused(Reason.CONFLICT, "this very ask was answered before")
        try:
            return await self._do(lease, ask, data)
        except DiskFull as error:
            return Refused(Reason.DISK_FULL, str(error))

    def _rules(self) -> Rules:
        limits = self._limits
        return Rules(self._key.node_id, self._clock.now(), limits.vault_skew_max, limits.vault_grace)

    async def _do(self, lease: Lease, ask: Ask, data: memoryview) -> Answer | Refused:
        deed = ask.deed
        if isinstance(deed, List):
            return self._list(lease, deed)
        if isinstance(deed, PutHead):
            return await self._put_head(lease, deed)
        # A caller who gives up between a file and its row would leave bytes that nobody counts: what began is ended.
        changes = not isinstance(deed, Read | Prove)
        async with self._lock(deed.share):
            with _patient(shield=changes):
                return await self._do_share(lease, ask, deed, data)

    async def _do_share(self, lease: Lease, ask: Ask, deed: _OfShare, data: memoryview) -> Answer | Refused:
        match deed:
            case Allocate():
                answer = await self._uploads.allocate(lease, deed, ask.at)
            case Write():
                answer = await self._uploads.write(lease, deed, data)
            case Commit():
                size = await self._uploads.commit(lease, deed)
                answer = size if isinstance(size, Refused) else self._held(lease, deed.share, size)
            case Place():
                self._uploads.forget(lease.lease_id, deed.share)
                answer = await self._placing.take(lease, deed, data, ask.at)
            case Read():
                answer = await self._read(lease, deed)
            case Prove():
                answer = await self._prove(lease, deed)
            case Delete():
                answer = await self._delete(lease, deed, ask.at)
            case _:
                assert_never(deed)
        return answer

    def _receipt(self, body: ReceiptBody) -> Receipt:
        return Receipt(self._sign(body))

    def _held(self, lease: Lease, share: Hash, size: int) -> Receipt:
        return self._receipt(Held(lease.lease_id, share, size, self._clock.now()))

    def _sign(self, body: ReceiptBody) -> Signed:
        return seal_signed(self._key, DOMAIN_RECEIPT, body)

    # -- the deeds; each runs under the lock of its share

    async def _read(self, lease: Lease, deed: Read) -> Answer | Refused:
        entry = find_entry(self._store, lease, deed.share)
        if isinstance(entry, Refused):
            return entry
        if deed.length > self._limits.vault_range_bytes_max or deed.offset + deed.length > entry.size:
            raise Malformed(f"{deed.length} bytes at {deed.offset} of a share of {entry.size}")
        if not entry.committed:
            return Refused(Reason.NOT_YET, "this share was not committed")
        data = await trio.to_thread.run_sync(self._files.read, lease.lease_id, deed.share, deed.offset, deed.length)
        return Refused(Reason.NOT_FOUND, "the share's file is gone") if data is None else Data(data)

    async def _prove(self, lease: Lease, deed: Prove) -> Answer | Refused:
        entry = find_entry(self._store, lease, deed.share)
        at, name = self._clock.now(), (lease.lease_id, deed.share)
        shown = None
        if not isinstance(entry, Refused):
            if deed.block_index >= block_count(entry.size):
                raise Malformed(f"block {deed.block_index} of a share of {entry.size} bytes")
            shown = await trio.to_thread.run_sync(self._files.prove, *name, entry.size, deed.block_index)
        if shown is None:
            return self._receipt(NoProof(*name, deed.nonce, at))
        return self._receipt(Proof(*name, deed.nonce, deed.block_index, at, shown.block, shown.path))

    async def _delete(self, lease: Lease, deed: Delete, at: Instant) -> Answer:
        gone = await self._store.write(lambda db: rows.delete(db, lease, deed.share, at))
        if gone:
            self._uploads.forget(lease.lease_id, deed.share)
            await trio.to_thread.run_sync(self._files.delete, lease.lease_id, deed.share)
        return Done()

    def _list(self, lease: Lease, deed: List) -> Answer:
        count = self._limits.vault_list_max
        found = self._store.read_now(lambda db: rows.entries(db, lease.lease_id, deed.after, count + 1))
        return Listing(tuple(found[:count]), self.used_bytes(lease.lease_id), len(found) > count)

    async def _put_head(self, lease: Lease, deed: PutHead) -> Answer | Refused:
        sequence = read_head(deed.head, self._limits.vault_head_bytes_max).sequence
        head_id, body = sha256(deed.head.key), encode(deed.head)
        no = await self._store.write(lambda db: rows.put_head(db, lease, head_id, sequence, body))
        return no or Done()

    async def _get_head(self, _peer: NodeId, body: bytes) -> bytes:
        wanted = decode(body, GetHead, size_max=ENVELOPE_BYTES).head_id
        found = self._store.read_now(lambda db: rows.find_head(db, wanted))
        size_max = ENVELOPE_BYTES + self._limits.vault_head_bytes_max
        return encode(HeadAnswer(decode(found, Signed, size_max=size_max) if found else None))


@contextmanager
def _patient(*, shield: bool) -> Generator[None]:
    """Shield from the caller's giving up; its time is bounded by one share's way to the disk and one commit."""
    with trio.CancelScope(shield=shield):
        yield
