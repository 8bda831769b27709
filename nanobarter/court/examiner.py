"""Asks mints where the receipts of this node stand in their heads, and takes to the court what a head leaves out.

A mint that spends a note twice, or signs more than it counts, has to leave entries out of the roots that it signs
(docs/spec/mint.md). That is only seen by who looks up what he holds a receipt for. Which receipt is looked up is left
to chance, anew each time, so that no entry can be left out in the hope that nobody asks for it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.units import DAY, MINUTE, SECOND, Span
from nanobarter.court.proofs import Proof
from nanobarter.mint.heads.messages import HEAD_ANSWER_MAX, WHERE, WhereAnswer, WhereQuestion
from nanobarter.mint.proofs.find import receipts_of
from nanobarter.mint.proofs.heads import Head, open_head
from nanobarter.mint.proofs.judge_heads import claim_of
from nanobarter.mint.proofs.records import Absent, LeaseReceipt, LockReceipt, Omitted, Other, Receipt
from nanobarter.mint.proofs.statements import read_contract
from nanobarter.mint.restoration import Remembered
from nanobarter.mint.rules import EPOCH_SPAN, epoch_of

LOOKED_UP: Final = 2  # receipts of a mint per hour: 3 MB a month, and 300 looks in the week that a receipt is fresh
FRESH: Final = Span(7 * DAY)  # mints keep their trees for longer (limits.mint_heads_kept)
SIGNED_AFTER: Final = Span(3 * MINUTE)  # into an epoch, when the head of the last one should be signed
_ANSWER_BYTES_MAX: Final = HEAD_ANSWER_MAX + 16 * 1024


class Examiner:
    """See the module. ``accuse`` gets the proofs; it judges them before it believes them."""

    def __init__(
        self,
        *,
        caller: Caller,
        mints: Callable[[], Iterable[NodeId]],
        remembered: Callable[[NodeId], Remembered],
        accuse: Callable[[Proof], object],
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._caller, self._mints, self._remembered, self._accuse = caller, mints, remembered, accuse
        self._clock, self._entropy, self._limits = clock, entropy, limits

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look up some receipts of every mint in each epoch, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep((EPOCH_SPAN - (self._clock.now() - SIGNED_AFTER) % EPOCH_SPAN) / SECOND)
            for mint in self._mints():
                await self.examine(mint)

    async def examine(self, mint: NodeId) -> int:
        """Look up a few receipts of one mint; return how many of them its heads account for."""
        if mint == self._caller.node_id:
            return 0
        fresh = await trio.to_thread.run_sync(lambda: list(self._fresh(mint)))
        found = 0
        for _ in range(min(LOOKED_UP, len(fresh))):
            receipt = fresh.pop(int.from_bytes(self._entropy.token(8), "big") % len(fresh))
            found += await self._look_up(mint, receipt)
        return found

    def _fresh(self, mint: NodeId) -> Iterator[Receipt]:
        """Yield the receipts whose epoch is over and not long past."""
        this = epoch_of(self._clock.now())
        for receipt in _receipts(self._remembered(mint)):
            try:
                signer, _, _, at = claim_of(receipt)
            except Malformed:
                continue  # a renewal of a lease, or an answer that gave nothing
            if signer == mint and this - FRESH // EPOCH_SPAN <= epoch_of(at) < this:
                yield receipt

    async def _look_up(self, mint: NodeId, receipt: Receipt) -> bool:
        """Ask for one receipt; silence and what cannot be read prove nothing."""
        _, tree, entry, at = claim_of(receipt)
        asked = encode(WhereQuestion(epoch_of(at), tree, Hash(entry.key)))
        try:
            raw = await self._caller.call(mint, WHERE, asked, timeout=self._limits.call_timeout)
            answer = decode(raw, WhereAnswer, size_max=_ANSWER_BYTES_MAX)
            if answer.head is None or not _covers(open_head(answer.head), receipt):
                return False
        except (Unreachable, PeerFault, Malformed):
            return False
        if answer.place is not None and answer.place.value == entry.value:
            return True
        evidence = Other(answer.place) if answer.place is not None else Absent(answer.gap) if answer.gap else None
        if evidence is not None:
            self._accuse(Omitted(receipt, answer.head, evidence))
        return False


def _covers(head: Head, receipt: Receipt) -> bool:
    """Tell whether a head has to account for a receipt: none of a time before its mint was restored."""
    return head.covers(claim_of(receipt)[3])


def _receipts(held: Remembered) -> Iterator[Receipt]:
    for exchange in held.exchanges:
        yield from receipts_of(exchange)
    yield from map(LockReceipt, held.locked)
    yield from (LeaseReceipt(signed) for signed in held.contracts if read_contract(signed).version == 1)
