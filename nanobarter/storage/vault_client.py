"""The holder's side of one vault: put a share there, get it back, have it proven.

A peer's yes is believed only as far as it can be checked: a receipt's signature, a share's root. What cannot be
checked raises PeerFault with the answer as evidence; silence raises Unreachable; a no is a value.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import trio
from blake3 import blake3

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, LeaseId, NodeId
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.units import SECOND, Instant, Span
from nanobarter.storage.pace import Pace
from nanobarter.storage.ranges import Ranges
from nanobarter.storage.share import BLOCK_BYTES, Share, Tree, block_count
from nanobarter.storage.vault_asking import call, get_head
from nanobarter.storage.vault_bytes import write_request
from nanobarter.storage.vault_messages import (
    DOMAIN_ASK,
    DOMAIN_RECEIPT,
    ENVELOPE_BYTES,
    RECEIPT_BODY,
    Allocate,
    Allocated,
    Answer,
    Ask,
    Commit,
    Data,
    Deed,
    Delete,
    Done,
    Held,
    List,
    Listing,
    Place,
    Placed,
    Prove,
    PutHead,
    Read,
    Receipt,
    ReceiptBody,
    Refusal,
    Write,
)
from nanobarter.storage.verdicts import Outcome, Silent, Wrong, judge_proof

T = TypeVar("T")

_METHODS: Final[dict[type, str]] = {
    Allocate: "storage.allocate",
    Place: "storage.place",
    Write: "storage.write",
    Commit: "storage.commit",
    Read: "storage.read",
    Prove: "storage.prove",
    List: "storage.list",
    Delete: "storage.delete",
    PutHead: "storage.head.put",
}
_DENIALS: Final = frozenset({Reason.UNKNOWN_LEASE, Reason.NOT_OWNER, Reason.NOT_FOUND, Reason.EXPIRED})
_QUICK: Final = 10  # so many ranges would fit into the time of one call
_PROOF_BYTES: Final = ENVELOPE_BYTES + BLOCK_BYTES


@dataclass(frozen=True)
class Kept:
    """A share is on a peer's disk: the canonical Signed receipt that says so, and what its first proof is worth."""

    held: bytes
    outcome: Outcome


class VaultClient:
    """Asks vaults in the name of one holder key."""

    def __init__(
        self, *, caller: Caller, holder: SigningKey, clock: Clock, entropy: Entropy, limits: Limits = LIMITS
    ) -> None:
        self._caller = caller
        self._holder = holder
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._last_at = 0
        self.pace = Pace()
        """How fast each peer takes and gives shares, as far as this client knows."""
        self._quick = set[NodeId]()  # whose last range took a small part of the time that a call may take
        self._nobody = Hash(entropy.token(32))  # the name of a head that nobody has

    @property
    def node_id(self) -> NodeId:
        """The id of this node."""
        return self._caller.node_id

    async def put(self, node: NodeId, lease: LeaseId, share: Share) -> Kept | Refused:
        """Store a share and have a block of it shown once the peer has signed that it is on its disk.

        A quick peer gets it whole; another in ranges, and an attempt goes on where an earlier one stopped. Raises
        Unreachable and PeerFault.
        """
        began, size = trio.current_time(), len(share.view)
        if node in self._quick:
            kept = await self._place(node, lease, share)
            self._note_speed(node, trio.current_time() - began)
        else:
            kept = await self._put_ranges(node, lease, share)
        if isinstance(kept, Kept):
            self.pace.took(node, size, trio.current_time() - began)
        return kept

    async def _place(self, node: NodeId, lease: LeaseId, share: Share) -> Kept | Refused:
        nonce, block_index = self._draw(len(share.view))
        answer = await self._ask(node, lease, Place(share.root, nonce, block_index), share.view)
        if isinstance(answer, Refused):
            return answer
        placed = self._expect(answer, Placed)
        held, shown = (self._open_signed(node, signed) for signed in (placed.held, placed.shown))
        prove = Prove(share.root, nonce, block_index)
        outcome = judge_proof(shown, encode(placed.shown), prove, lease, len(share.view))
        return Kept(self._checked(held, placed.held, lease, share), outcome)

    async def _put_ranges(self, node: NodeId, lease: LeaseId, share: Share) -> Kept | Refused:
        size = len(share.view)
        answer = await self._ask(node, lease, Allocate(share.root, size))
        if isinstance(answer, Refused):
            return answer
        allocated = self._expect(answer, Allocated)
        if not allocated.committed:
            refused = await self._write(node, lease, share, Ranges(allocated.have))
            if refused is not None:
                return refused
        answer = await self._ask(node, lease, Commit(share.root))
        if isinstance(answer, Refused):
            return answer
        signed = self._expect(answer, Receipt).signed
        held = self._checked(self._open_signed(node, signed), signed, lease, share)
        return Kept(held, await self.challenge(node, lease, share.root, size))

    def _checked(self, held: ReceiptBody, signed: Signed, lease: LeaseId, share: Share) -> bytes:
        evidence = encode(signed)
        if not isinstance(held, Held) or (held.lease, held.share, held.size) != (lease, share.root, len(share.view)):
            raise PeerFault("the receipt is for another share", evidence=evidence)
        return evidence

    def _draw(self, size: int) -> tuple[bytes, int]:
        """Return a nonce and a block that nobody could foresee."""
        return self._entropy.token(16), int.from_bytes(self._entropy.token(8), "big") % block_count(size)

    async def _write(self, node: NodeId, lease: LeaseId, share: Share, have: Ranges) -> Refused | None:
        for start, end in split(len(share.view), self._range_bytes(node)):
            if not have.covers(start, end):
                data, began = share.view[start:end], trio.current_time()
                deed = Write(share.root, start, Hash(blake3(data).digest()))
                answer = await self._ask(node, lease, deed, data)
                if isinstance(answer, Refused):
                    return answer
                self._expect(answer, Done)
                self._note_speed(node, trio.current_time() - began)
        return None

    def _range_bytes(self, node: NodeId) -> int:
        """Return how much to write or read at once: all that a vault takes where the last range was quick."""
        limits = self._limits
        return limits.vault_range_bytes_max if node in self._quick else limits.share_range_bytes

    def _note_speed(self, node: NodeId, seconds: float) -> None:
        if seconds * _QUICK < self._limits.call_timeout / SECOND:
            self._quick.add(node)
        else:
            self._quick.discard(node)

    async def get(self, node: NodeId, lease: LeaseId, root: Hash, size: int) -> bytes | Refused:
        """Return a whole share, checked against its root. Raises Unreachable and PeerFault."""
        parts = list[bytes]()
        for start, end in split(size, self._range_bytes(node)):
            began = trio.current_time()
            answer = await self._ask(node, lease, Read(root, start, end - start))
            if isinstance(answer, Refused):
                return answer
            parts.append(self._expect(answer, Data).data)
            self._note_speed(node, trio.current_time() - began)
        raw = b"".join(parts)
        if len(raw) != size or (await trio.to_thread.run_sync(Tree, raw)).root != root:
            raise PeerFault(f"the bytes that came back are not share {root.hex()[:16]}")
        return raw

    async def read(self, node: NodeId, lease: LeaseId, root: Hash, start: int, length: int) -> bytes | Refused:
        """Return a range of a share, which nothing vouches for. Raises Unreachable and PeerFault."""
        answer = await self._ask(node, lease, Read(root, start, length))
        return answer if isinstance(answer, Refused) else self._expect(answer, Data).data

    async def challenge(self, node: NodeId, lease: LeaseId, root: Hash, size: int) -> Outcome:
        """Ask for a block that nobody could foresee, and judge the answer."""
        nonce, block_index = self._draw(size)
        try:
            answer = await self._ask(node, lease, Prove(root, nonce, block_index))
            if isinstance(answer, Refused):
                if answer.reason in _DENIALS:  # no evidence for others, since a refusal is not signed
                    return Wrong(f"the peer denies the lease: {answer.detail}", b"")
                return Silent(f"refused: {answer.detail}")
            signed = self._expect(answer, Receipt).signed
            body, evidence = self._open_signed(node, signed), encode(signed)
        except Unreachable as error:
            return Silent(str(error), offline=True)
        except PeerFault as error:
            return Silent(str(error))
        return judge_proof(body, evidence, Prove(root, nonce, block_index), lease, size)

    async def lives(self, node: NodeId, within: Span) -> bool:
        """Tell whether a vault answers anything at all within so short a time."""
        with trio.move_on_after(within / SECOND):
            try:
                await get_head(self._caller, node, self._nobody, self._limits)
            except (Unreachable, PeerFault):
                return False
            return True
        return False

    async def delete(self, node: NodeId, lease: LeaseId, root: Hash) -> Refused | None:
        """Give a share's bytes back to the lease. Raises Unreachable and PeerFault."""
        answer = await self._ask(node, lease, Delete(root))
        if isinstance(answer, Refused):
            return answer
        self._expect(answer, Done)
        return None

    async def list(self, node: NodeId, lease: LeaseId, after: bytes = b"") -> Listing | Refused:
        """Return one page of the shares under a lease. Raises Unreachable and PeerFault."""
        answer = await self._ask(node, lease, List(after))
        return answer if isinstance(answer, Refused) else self._expect(answer, Listing)

    async def put_head(self, node: NodeId, lease: LeaseId, head: Signed) -> Refused | None:
        """Store the vault's head at a peer. Raises Unreachable and PeerFault."""
        answer = await self._ask(node, lease, PutHead(head))
        if isinstance(answer, Refused):
            return answer
        self._expect(answer, Done)
        return None

    async def _ask(self, node: NodeId, lease: LeaseId, deed: Deed, data: bytes | memoryview = b"") -> Answer | Refused:
        # Each ask is later than the one before, so that a repeated delete never meets a newer share.
        self._last_at = max(self._clock.now(), self._last_at + 1)
        ask = Ask(node, lease, Instant(self._last_at), self._entropy.token(16), deed)
        request = write_request(seal_signed(self._holder, DOMAIN_ASK, ask), data)
        size_max = ENVELOPE_BYTES + self._limits.vault_range_bytes_max
        timeout = self._limits.call_timeout
        method = _METHODS[type(deed)]
        answer = await call(self._caller, node, method, request, timeout=timeout, size_max=size_max)
        self.pace.heard(node, trio.current_time())
        return Refused(answer.reason, answer.detail) if isinstance(answer, Refusal) else answer

    def _expect(self, answer: Answer, kind: type[T]) -> T:
        if not isinstance(answer, kind):
            raise PeerFault(f"{type(answer).__name__} where {kind.__name__} was due", evidence=encode(answer))
        return answer

    def _open_signed(self, node: NodeId, signed: Signed) -> ReceiptBody:
        if signed.signer != node:
            raise PeerFault("the receipt is signed by another key", evidence=encode(signed))
        try:
            return open_signed(signed, DOMAIN_RECEIPT, RECEIPT_BODY, size_max=_PROOF_BYTES)
        except Malformed as error:
            raise PeerFault(f"the receipt cannot be read: {error}", evidence=encode(signed)) from None


def split(size: int, range_max: int) -> list[tuple[int, int]]:
    """Return even ranges that cover ``size`` bytes, each at most ``range_max`` long."""
    count = -(-size // range_max)
    return [(size * i // count, size * (i + 1) // count) for i in range(count)]
