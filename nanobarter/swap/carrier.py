"""Carries the standing orders of drafts: one task per order, repeated with backoff until it is done or replaced.

A task never changes a state itself; it hands what it learned to ``learned``, which records and then replaces the
orders. So a task may be cancelled by its own success.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken, Malformed, PeerFault, Refused, Unreachable
from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.units import SECOND, Instant, Span, after, span_between
from nanobarter.mint.messages import Body, LockTerms, OpenBody, Request, StateBody
from nanobarter.swap import tasks
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import SMALL_MAX, Ack
from nanobarter.swap.orders import Agree, Ask, Lock, Open, Order, Refund, Release, Send, Take, WakeAt
from nanobarter.swap.receipts import ANSWER_MAX, legs_seen
from nanobarter.swap.states import Given, LegTaken, LockedReceived, LockFailed, TimePassed
from nanobarter.swap.terms import Agreement
from nanobarter.wallet.service import Wallet

Learned = Callable[[DraftId, Given], None]


async def tell(caller: Caller, to: NodeId, method: str, signed: Signed, timeout: Span) -> bool:
    """Send one message once; tell whether the receiver recorded it or has no use for it. Raises as ``call``."""
    raw = await caller.call(to, method, encode(signed), timeout=timeout)
    try:
        return decode(raw, Ack, size_max=SMALL_MAX).known
    except Malformed as error:
        raise PeerFault(f"no acknowledgement of {method}: {error}", evidence=raw) from None


async def ask_mint(caller: Caller, issuer: NodeId, body: Body, timeout: Span) -> Signed:
    """Return a mint's signed answer to a body that needs no witness. Raises as ``call``, and Malformed."""
    raw = await caller.call(issuer, "mint.request", encode(Request(encode(body), ())), timeout=timeout)
    return decode(raw, Signed, size_max=ANSWER_MAX + 256)


@dataclass
class _Standing:
    """A draft's orders, done ones too; of a draft that has ended they are dropped when done."""

    last: bool = False
    tasks: dict[Order, trio.CancelScope] = field(default_factory=dict[Order, trio.CancelScope])


class Carrier:
    """The orders of all drafts of one node; tasks live in ``nursery``."""

    def __init__(
        self,
        *,
        nursery: trio.Nursery,
        key: SigningKey,
        caller: Caller,
        wallet: Wallet,
        clock: Clock,
        limits: Limits,
        learned: Learned,
        agree: Callable[[DraftId], None],
    ) -> None:
        self._nursery, self._key, self._caller, self._wallet = nursery, key, caller, wallet
        self._clock, self._limits, self._learned, self._agree = clock, limits, learned, agree
        self._drafts: dict[DraftId, _Standing] = {}

    def stand(self, draft: DraftId, agreement: Agreement | None, wanted: Iterable[Order], *, last: bool) -> None:
        """Replace the orders of a draft: stop what is no longer wanted, start what is new.

        ``last``: the draft has ended, so these are its last ones.
        """
        standing, orders = self._drafts.setdefault(draft, _Standing()), set(wanted)
        standing.last = last
        for order in [o for o in standing.tasks if o not in orders]:
            standing.tasks.pop(order).cancel()
        for order in orders - set(standing.tasks):
            scope = trio.CancelScope()
            standing.tasks[order] = scope
            tasks.start(self._nursery, self._carry, draft, agreement, order, scope)
        if last and not orders:
            self._drafts.pop(draft, None)

    def _done(self, draft: DraftId, order: Order) -> None:
        standing = self._drafts.get(draft)
        if standing is not None and standing.last:
            standing.tasks.pop(order, None)
            if not standing.tasks:
                self._drafts.pop(draft, None)

    async def _carry(self, draft: DraftId, agreement: Agreement | None, order: Order, scope: trio.CancelScope) -> None:
        with scope:
            if isinstance(order, WakeAt):
                await self._wake(draft, order.at)
                return
            pause = self._limits.swap_retry_first
            patient = isinstance(order, Ask | Refund | Release | Take | Open)
            pause_max = self._limits.swap_poll_max if patient else self._limits.swap_retry_max
            while await self._again(draft, agreement, order):
                await trio.sleep(pause / SECOND)
                pause = Span(min(2 * pause, pause_max))
            self._done(draft, order)

    async def _wake(self, draft: DraftId, at: Instant) -> None:
        """Wait for the wall clock, which may jump; so look at it at least once a minute."""
        while (left := span_between(self._clock.now(), at)) > 0:  # noqa: ASYNC110 - nothing tells of a clock
            await trio.sleep(min(left, 60 * SECOND) / SECOND)
        self._learned(draft, TimePassed())

    async def _again(self, draft: DraftId, agreement: Agreement | None, order: Order) -> bool:
        """Carry an order out once; tell whether to repeat it. What others do wrong only costs time."""
        try:
            return await self._perform(draft, agreement, order)
        except (Unreachable, PeerFault, Malformed):
            return True

    async def _perform(self, draft: DraftId, agreement: Agreement | None, order: Order) -> bool:
        match order:
            case Agree():
                self._agree(draft)
                return False
            case Send():
                return await self._send(order)
            case WakeAt():
                raise InvariantBroken("a timer is not carried to anyone")
            case Lock() | Open() | Ask() | Release() | Refund() | Take():
                if agreement is None:
                    raise InvariantBroken("a lock is ordered before there is an agreement")
                return await self._act(draft, agreement, order)
            case _:
                assert_never(order)

    async def _send(self, order: Send) -> bool:
        if self._clock.now() >= order.until:
            return False
        signed = seal_message(self._key, order.message)
        return not await tell(self._caller, order.to, order.method, signed, self._limits.swap_call_timeout)

    async def _act(
        self, draft: DraftId, agreement: Agreement, order: Lock | Open | Ask | Release | Refund | Take
    ) -> bool:
        """Do something at an issuer. All but a lock's refusal are repeated until the state changes."""
        match order:
            case Lock():
                told = list[bool]()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._introduce, agreement, order.terms.issuer, told)
                    locked = await self._lock(draft, order)
                if locked is None or not any(told):
                    return True
                refused = isinstance(locked, Refused)
                self._learned(draft, LockFailed(locked.reason, locked.detail) if refused else LockedReceived(locked))
                return False
            case Open():
                body = OpenBody(
                    order.terms.issuer, self._valid_until(), order.terms.lock_id, order.preimages, order.proof
                )
                signed = await ask_mint(self._caller, order.terms.issuer, body, self._limits.swap_call_timeout)
                if not self._look(draft, agreement, signed, None):
                    await self._ask(draft, agreement, order.terms)
            case Ask():
                await self._ask(draft, agreement, order.terms)
            case Release():
                await self._wallet.release(order.terms)
                await self._ask(draft, agreement, order.terms)
            case Refund():
                if order.unless is not None and not await self._is_unpaid(draft, agreement, order.unless):
                    return True
                await self._wallet.refund(order.terms)
                await self._ask(draft, agreement, order.terms)
            case Take():
                if not isinstance(await self._wallet.take(order.terms), Refused):
                    self._learned(draft, LegTaken(order.index))
                    return False
                await self._ask(draft, agreement, order.terms)  # what it says now may contradict its receipt
            case _:
                assert_never(order)
        return True

    async def _lock(self, draft: DraftId, order: Lock) -> Signed | Refused | None:
        try:
            return await self._wallet.lock(draft, order.terms, order.until)
        except (Unreachable, PeerFault, Malformed):
            return None

    async def _introduce(self, agreement: Agreement, issuer: NodeId, told: list[bool]) -> None:
        """Make sure that the issuer of our arc knows whom to tell: we vote, and may sleep, on the strength of that."""
        if issuer in agreement.nodes:
            told.append(True)  # it is a party, which cannot vote without the agreement
            return
        try:
            told.append(
                await tell(self._caller, issuer, "swap.agreed", agreement.signed, self._limits.swap_call_timeout)
            )
        except (Unreachable, PeerFault):
            return

    async def _is_unpaid(self, draft: DraftId, agreement: Agreement, terms: LockTerms) -> bool:
        """Ask whether a lock is opened; tell whether its issuer says no. Raises while it says nothing."""
        body = StateBody(terms.issuer, self._valid_until(), (), (terms.lock_id,))
        signed = await ask_mint(self._caller, terms.issuer, body, self._limits.swap_call_timeout)
        seen = legs_seen(agreement, signed, terms.index)
        for leg in seen:
            self._learned(draft, leg)
        return bool(seen) and all(leg.leg != "opened" for leg in seen)

    async def _ask(self, draft: DraftId, agreement: Agreement, terms: LockTerms) -> None:
        body = StateBody(terms.issuer, self._valid_until(), (), (terms.lock_id,))
        signed = await ask_mint(self._caller, terms.issuer, body, self._limits.swap_call_timeout)
        self._look(draft, agreement, signed, terms.index)

    def _look(self, draft: DraftId, agreement: Agreement, signed: Signed, asked: int | None) -> bool:
        seen = legs_seen(agreement, signed, asked)
        for leg in seen:
            self._learned(draft, leg)
        return bool(seen)

    def _valid_until(self) -> Instant:
        return after(self._clock.now(), Span(self._limits.request_valid_max // 2))
