"""What other nodes say to this one about rings: checked, looked up, and handed to the machine.

A handler acknowledges only what it has recorded or has no use for. Whether a draft is new or a hash was seen before
is looked up here; everything else is decided by ``machine``.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.ports import Clock, Handler, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import Span
from nanobarter.mint.answer_messages import LockState
from nanobarter.swap import tables
from nanobarter.swap.amends import Debtor
from nanobarter.swap.asking import Asker
from nanobarter.swap.joining import Joiner
from nanobarter.swap.messages import (
    DRAFT_MAX,
    SIGNED_EXTRA,
    Ack,
    draft_id_of,
    open_approve,
    open_cancel,
    open_draft,
    open_refuse,
    open_vote,
)
from nanobarter.swap.pushing import Pusher
from nanobarter.swap.receipts import legs_seen, open_answer
from nanobarter.swap.rings import Rings
from nanobarter.swap.states import (
    AgreementReceived,
    ApprovalReceived,
    Approved,
    CancelReceived,
    Ended,
    Gathering,
    LockedReceived,
    RefusalReceived,
    VoteReceived,
)
from nanobarter.swap.terms import SwapTimes, agreement_of, open_locked

MESSAGE_MAX: Final = DRAFT_MAX + SIGNED_EXTRA
On = Callable[[Signed], Awaitable[bool]]


class Inbox:
    """The handlers of one node. They wait until ``open`` says that what was under way has been taken up."""

    def __init__(  # noqa: PLR0913 - ports are passed by name
        self,
        *,
        node: NodeId,
        store: Store,
        clock: Clock,
        times: SwapTimes,
        overtaken: Span,
        rings: Rings,
        joiner: Joiner,
        asker: Asker,
        debtor: Debtor,
        start: Callable[..., None],
    ) -> None:
        self._node, self._store, self._clock, self._times = node, store, clock, times
        self._overtaken = overtaken
        self._rings, self._joiner, self._asker, self._debtor, self._start = rings, joiner, asker, debtor, start
        self._ready = trio.Event()
        self._pusher: Pusher | None = None

    def register(self, registrar: Registrar) -> None:
        """Serve all messages of rings from now on."""
        handlers: dict[str, On] = {
            "swap.ask": self._asker.on_question,
            "swap.consent": self._asker.on_consent,
            "swap.amends": self._debtor.on_amends,
            "swap.approve": self._on_approve,
            "swap.refuse": self._on_refuse,
            "swap.agreed": self.on_agreed,
            "swap.cancel": self._on_cancel,
            "swap.locked": self._on_locked,
            "swap.vote": self._on_vote,
            "swap.opened": self._on_opened,
        }
        for method, handler in handlers.items():
            self.add(registrar, method, handler)
        # From its signer only: others could bring back, in its name, what it has cancelled and will never agree to.
        registrar.add("swap.draft", self._acknowledged(self._on_draft, firsthand=True), body_max=MESSAGE_MAX)

    def add(self, registrar: Registrar, method: str, on: On) -> None:
        """Serve one method whose body is a Signed and whose answer an Ack."""
        registrar.add(method, self._acknowledged(on), body_max=MESSAGE_MAX)

    def open(self, pusher: Pusher) -> None:
        """Let those who wait go on."""
        self._pusher = pusher
        self._ready.set()

    @property
    def is_open(self) -> bool:
        """Whether messages are served."""
        return self._ready.is_set()

    async def wait_open(self) -> None:
        """Return once messages are served."""
        await self._ready.wait()

    async def hear(self, method: str, signed: Signed) -> None:
        """Take from our own mint what it pushes to everybody."""
        await (self._on_locked(signed) if method == "swap.locked" else self._on_opened(signed))

    def _acknowledged(self, handler: On, *, firsthand: bool = False) -> Handler:
        async def handle(peer: NodeId, body: bytes) -> bytes:
            await self._ready.wait()
            signed = decode(body, Signed, size_max=MESSAGE_MAX)
            if firsthand and signed.signer != peer:
                return encode(Ack(known=True))
            return encode(Ack(await handler(signed)))

        return handle

    async def _on_draft(self, signed: Signed) -> bool:
        draft, draft_id = open_draft(signed), draft_id_of(signed)
        index = next((i for i, arc in enumerate(draft.arcs) if arc.giver == self._node), 0)
        if index and not self._joiner.considers(draft_id) and self._rings.state(draft_id) is None:
            self._joiner.expect(draft_id)
            self._start(self._joiner.consider, draft_id, signed, draft, index)
        return True  # not recorded, but it makes no difference: the proposer waits for the approval, not for this

    async def _on_approve(self, signed: Signed) -> bool:
        approve = open_approve(signed)
        fresh = self._store.read_now(lambda db: tables.all_fresh(db, [approve.hash], approve.draft))
        await self._rings.apply(approve.draft, ApprovalReceived(signed, fresh, self._rings.fits_approval(approve)))
        return True

    async def _on_refuse(self, signed: Signed) -> bool:
        await self._asker.on_refuse(signed)
        await self._rings.apply(open_refuse(signed).draft, RefusalReceived(signed))
        return True

    async def on_agreed(self, signed: Signed) -> bool:
        """Take an AGREED, as a party or as an issuer; also our own as we have just signed it.

        As a party we watch for the others what our draft takes, and nothing else: without us no such ring settles.
        """
        agreement = agreement_of(signed)
        if self._node in agreement.nodes:
            hashes = [a.hash for a in agreement.approvals]
            fresh = self._store.read_now(lambda db: tables.all_fresh(db, hashes, agreement.draft_id))
            given = AgreementReceived(signed, fresh, self._rings.fits(agreement))
            await self._rings.apply(agreement.draft_id, given)
            return True
        # Of another pace or time no ring is that we would serve, and how long it is kept would be its signer's choice.
        is_ours = self._times.near(agreement.start, self._clock.now()) and self._times.accepts(agreement.pace)
        if self._node in agreement.issuers and self._pusher is not None and is_ours:
            return await self._pusher.watch(agreement)
        return True

    async def _on_cancel(self, signed: Signed) -> bool:
        draft = open_cancel(signed).draft
        await self._asker.on_cancel(signed)
        self._joiner.stop_looking(draft, signed.signer)
        await self._rings.apply(draft, CancelReceived(signed))
        return not self._joiner.considers(draft)  # else it has overtaken our approval: let it come again

    async def _on_locked(self, signed: Signed) -> bool:
        agreement = open_locked(signed).terms.agreement
        draft = await self._rings.draft_soon(agreement, self._overtaken)
        if draft is None:  # it may have overtaken its AGREED, or the recording of it, by far: let it come again
            return self._rings.is_over(agreement)
        await self._rings.apply(draft, LockedReceived(signed))
        return True

    async def _on_vote(self, signed: Signed) -> bool:
        draft = self._rings.draft_under(open_vote(signed).agreement)
        if draft is not None:
            await self._rings.apply(draft, VoteReceived(signed))
        return True

    async def _on_opened(self, signed: Signed) -> bool:
        answer = open_answer(signed)
        if not isinstance(answer, LockState):
            raise Malformed("not the receipt of one lock")
        draft = self._rings.draft_under(answer.agreement)
        state = None if draft is None else self._rings.live().get(draft)
        if draft is not None and state is not None and not isinstance(state, Approved | Gathering | Ended):
            for leg in legs_seen(agreement_of(state.deal.agreed), signed, None):
                await self._rings.apply(draft, leg)
        return True
