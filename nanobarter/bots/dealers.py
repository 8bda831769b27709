"""The trader and the arbitrageur as services: what ``dealing`` decides, asked again and again, within their limits.

They only make orders; the market settles them like any others. What keeps them within their limits is the last look:
a deal that is agreed to is written first (``deals``), and counts as if it had settled. In a dry run nothing is ordered.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Protocol

import trio

from nanobarter.bots.dealing import UNIT, Deal, Desk, Limits, loss_of, opportunities, quotes, refusal
from nanobarter.bots.deals import MONTH, Agreed, Dealer, Deals
from nanobarter.core.errors import Reason, Refused, is_ours
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.ports import Clock
from nanobarter.core.rest import rest_after
from nanobarter.core.units import DAY, MINUTE, SECOND, Quantity, Span, span_between
from nanobarter.matching.book import Book
from nanobarter.matching.wire import bid_id_of
from nanobarter.swap.events import Aborted, Approved, DraftRefused, Settled, SwapEvent
from nanobarter.swap.messages import Draft
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import Held, Plan
from nanobarter.translator.pricing import GRAIN, worth
from nanobarter.translator.vetting import Trust
from nanobarter.translator.wanted import Who

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = Span(30 * SECOND)
REST: Final = Span(SECOND)  # between two looks: each searches the book some 25 times
APPROVED_WITHIN: Final = Span(MINUTE)  # a look that was followed by no approval for so long came to nothing
UNITS_MAX: Final = 20  # of one issuer, however large the disk
TOTAL_PART: Final = Fraction(1, 10)  # of the offered space: all that dealers may hold beyond plan and reserve
REFUSALS_TOLD: Final = 8
DEALERS: Final[tuple[Dealer, ...]] = ("trader", "arbitrageur")


@dataclass(frozen=True)
class Bounds:
    """How far the dealers may go: MiB of one issuer and in all; losses in thousandths of a reference MiB."""

    issuer: int
    total: int
    loss_day: int
    loss_month: int

    @classmethod
    def of(
        cls, capacity: Quantity, reserve: Quantity, per_issuer: Fraction, loss_day: Fraction, loss_month: Fraction
    ) -> "Bounds":
        """Return the bounds of a node that offers so many MiB and keeps such a reserve; the rest are parts of it."""
        return cls(
            min(UNITS_MAX * UNIT, int(capacity * per_issuer)),
            int(capacity * TOTAL_PART) + reserve,
            int(GRAIN * capacity * loss_day),
            int(GRAIN * capacity * loss_month),
        )


@dataclass(frozen=True)
class DealPolicy:
    """What the person allows: which dealers act, how far, and whether they only tell what they would do."""

    bounds: Bounds
    active: frozenset[Dealer] = frozenset()
    dry_run: bool = False


class Floor(Protocol):
    """Where dealers trade: the market."""

    def set_orders(self, orders: Sequence[Order], who: Who) -> None:
        """Replace what a bot wants."""
        ...

    def orders_of(self, who: Who) -> Sequence[Order]:
        """Return what somebody wants, as far as it is not filled."""
        ...

    def whose(self, bid: BidId) -> Who | None:
        """Return who made an own bid."""
        ...

    def others_book(self) -> AbstractContextManager[Book]:
        """Yield the book without the own bids."""
        ...


@dataclass(frozen=True)
class Declined:
    """A deal that a last look turned away, and why."""

    dealer: Dealer
    deal: Deal
    why: str


def stock_of(owed: Mapping[NodeId, Held], counted: Collection[NodeId], there: Collection[NodeId]) -> dict[NodeId, int]:
    """Return the notes that may be dealt in, by issuer, as far as the folders do not need them (``spoken_for``).

    Those of issuers that the plan does not count on any more are for sale too, as long as their mints are ``there`` to
    move them: every ring through a mint that is off would fail.
    """
    return {issuer: int(each.notes) for issuer, each in owed.items() if issuer in counted or issuer in there}


def spoken_for(plan: Plan | None, held: Mapping[NodeId, Held], trust: Trust) -> dict[NodeId, int]:
    """Return the notes that the folders need, by issuer: to fill the plan at its n issuers, and to renew leases.

    Those of issuers that the plan does without, since they are gone or proved bad, are not among them.
    """
    good = list(held) if plan is None else trust.good(list(held), plan.geometry.n)
    needed: dict[NodeId, int] = {issuer: min(held[issuer].notes, held[issuer].renewal) for issuer in good}
    if plan is None:
        return needed
    for issuer in sorted(good, key=lambda node: (-held[node].total, node))[: plan.geometry.n]:
        each = held[issuer]
        missing = max(0, plan.per_issuer - (each.total - each.notes), each.renewal)
        needed[issuer] = min(each.notes, missing)
    return needed


class Dealers:
    """Runs those of the two that are switched on. ``desk`` tells what they stand on; None: nothing is dealt in now.

    ``drafts`` returns the rings that run.
    """

    def __init__(
        self,
        *,
        floor: Floor,
        deals: Deals,
        desk: Callable[[], Desk | None],
        policy: DealPolicy,
        drafts: Callable[[], Collection[DraftId]],
        clock: Clock,
        me: NodeId,
    ) -> None:
        self._floor, self.deals, self._desk, self.policy = floor, deals, desk, policy
        self._drafts, self._clock, self._me = drafts, clock, me
        self.would: dict[Dealer, list[Order]] = {}
        self.declined = deque[Declined](maxlen=REFUSALS_TOLD)
        self._heard = deque[SwapEvent]()
        self._approved = set[DraftId]()
        self._news = trio.Event()

    # -- what is dealt in

    def desk(self) -> Desk | None:
        """Return what the dealers stand on: what rings would bring counts as held already."""
        desk = self._desk()
        return None if desk is None else self._with_promised(desk)

    def _with_promised(self, desk: Desk) -> Desk:
        promised = self.deals.promised()
        held = {n: desk.held.get(n, 0) + promised.gotten.get(n, 0) for n in {*desk.held, *promised.gotten}}
        return replace(desk, held=held, own_free=max(0, desk.own_free - promised.given.get(self._me, 0)))

    def limits(self) -> Limits:
        """Return what is left of the bounds now."""
        now, bounds = self._clock.now(), self.policy.bounds
        left = min(bounds.loss_day - self.deals.lost(now, DAY), bounds.loss_month - self.deals.lost(now, MONTH))
        return Limits(bounds.issuer, bounds.total, max(0, left))

    def look(self) -> None:
        """Make the orders anew, and set them unless this is a dry run."""
        desk, limits = self.desk(), self.limits()
        found: dict[Dealer, list[Order]] = {dealer: [] for dealer in self.policy.active}
        if desk is not None:
            if "trader" in found:
                found["trader"] = quotes(desk, limits)
            if "arbitrageur" in found:
                found["arbitrageur"] = self._opportunities(desk, limits)
        self.would = found
        if not self.policy.dry_run:
            for dealer, orders in found.items():
                self._floor.set_orders(orders, dealer)

    def _opportunities(self, desk: Desk, limits: Limits) -> list[Order]:
        """Return what others quote above its value; nothing where a stranger's bid brings out a bug in the search."""
        try:
            with self._floor.others_book() as book:
                return opportunities(desk, book, limits)
        except Exception as error:
            if is_ours(error):
                raise
            _log.exception("our fault: the arbitrageur's look at the book failed by a bug")
            return []

    # -- the last look

    async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:
        """Return why a dealer steps back from a draft through one of its bids; else remember the deal.

        Call it when the issuer of what we would get has just answered. Other bids are none of its business.
        """
        bid = bid_id_of(draft.bids[index])
        who = self._floor.whose(bid)
        if who not in DEALERS:
            return None
        now, gives, gets = self._clock.now(), draft.arcs[index], draft.arcs[index - 1]
        deal = Deal(gives.quality.issuer, gives.quantity, gets.quality.issuer, gets.quantity, now)
        desk = self._desk()
        why = "nothing is dealt in now" if desk is None else self._objection(deal, desk, bid, who)
        if desk is None or why:
            self.declined.append(Declined(who, deal, why))
            return Refused(Reason.POLICY, why)
        await self.deals.agree(draft_id, Agreed(who, deal, max(0, loss_of(deal, desk))))
        return None

    def _objection(self, deal: Deal, desk: Desk, bid: BidId, dealer: Dealer) -> str:
        if all(order.bid_id(self._me) != bid for order in self._floor.orders_of(dealer)):
            return "the order behind the bid is gone"
        if deal.gets == self._me:
            return "own notes are not dealt in"
        spare = desk.own_free if deal.gives == self._me else desk.surplus(deal.gives)
        promised = self.deals.promised().given.get(deal.gives, 0)
        if deal.given > spare - promised:  # of what is there, not of what may come
            return "what would be given is needed, or promised already"
        return refusal(deal, self._with_promised(desk), self.limits(), self._clock.now())

    # -- what becomes of deals

    def heard(self, event: SwapEvent) -> None:
        """Hear from the swap; what it means is written by ``run``."""
        if isinstance(event, Approved | Settled | Aborted | DraftRefused) and event.draft_id in self.deals.known:
            self._heard.append(event)
            self._news.set()

    def wake(self) -> None:
        """Look again soon: notes came or went, or a bid was heard."""
        self._news.set()

    async def start(self) -> None:
        """Take up the deals that a restart cut off. Call it once the swap has taken up its rings."""
        live = self._drafts()
        for draft in self.deals.running():
            if draft in live:
                self._approved.add(draft)
            else:
                await self.deals.settle(draft)  # nobody saw its end: it counts as if it stood

    async def catch_up(self) -> None:
        """Write down what became of deals."""
        while self._heard:
            await self._note(self._heard.popleft())
        live, now = self._drafts(), self._clock.now()
        for draft, agreed in self.deals.running().items():
            waited = span_between(agreed.deal.heard, now) >= APPROVED_WITHIN
            if draft not in live and draft not in self._approved and waited:
                await self.deals.drop(draft)
        self._approved &= self.deals.running().keys()
        await self.deals.forget(now)

    async def _note(self, event: SwapEvent) -> None:
        match event:
            case Approved():
                self._approved.add(event.draft_id)
            case Settled():
                await self.deals.settle(event.draft_id)
            case Aborted(how="wronged"):
                await self.deals.settle(event.draft_id, self._value(self.deals.known[event.draft_id].deal))
            case Aborted(how="owing"):
                await self.deals.settle(event.draft_id)
            case Aborted() | DraftRefused():
                await self.deals.drop(event.draft_id)
            case _:
                pass

    def _value(self, deal: Deal) -> int:
        """Return what was given, at the values of now: all of it is lost."""
        desk = self._desk()
        r = 1.0 if desk is None else desk.reliability.get(deal.gives, 1.0)
        return deal.given * (GRAIN if deal.gives == self._me else worth(r)[0])

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look every half minute, and soon after news, until cancelled."""
        await self.start()
        task_status.started()
        while True:
            self._news = trio.Event()
            await self.catch_up()
            begun = trio.current_time()
            self.look()
            rest = max(REST / SECOND, rest_after(trio.current_time() - begun))
            with trio.move_on_after(LOOK_EVERY / SECOND):
                await self._news.wait()
            await trio.sleep(rest)
