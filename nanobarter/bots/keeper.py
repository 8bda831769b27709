"""The keeper: holds the plan. It looks at what is held, what is offered and what is needed, and sets the orders.

It never acts on notes itself; a shortfall (a lost peer, a folder that grew, a lease that runs out) shows in what is
held, and the next look orders what is missing.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import trio

from nanobarter.core.ids import NodeId
from nanobarter.core.rest import rest_after
from nanobarter.core.units import HOUR, LeaseKind, Quantity, Span
from nanobarter.storage.geometry import Geometry
from nanobarter.storage.targets import apart
from nanobarter.translator.orders import ORDERS_MAX, Order, order_for_reserve, orders_for_plan, orders_for_renewal
from nanobarter.translator.plan import Held, Plan, make_plan
from nanobarter.translator.pricing import (
    PLAIN_TERMS,
    Terms,
    is_pressing,
    is_scarce,
    next_markup,
    own_value,
    preferring,
    priced,
)
from nanobarter.translator.standing import price_of_backup
from nanobarter.translator.vetting import BLIND_TRUST, Trust

MARKUP_SPAN: Final = Span(6 * HOUR)  # others have seen the bid meanwhile, and those who were off are on again


@dataclass(frozen=True)
class Policy:
    """What the person asked for: the kind to hold, a stock of others' space, and whose notes it may be."""

    kind: LeaseKind
    reserve: Quantity
    wants: tuple[NodeId, ...]
    period: Span
    settle: Span
    """How long the code must have stayed the same before space is ordered for it: a node that has just started hears
    of its peers one by one, and would order at the first few of them what belongs to all."""
    bargain: tuple[int, Quantity] | None = None
    """So many bytes are planned for at least, and so much is given at most for all that the plan wants."""
    room: Quantity | None = None
    """What is free of our own space, None where nobody counts it."""


class Orders(Protocol):
    """Where orders go: the market."""

    def offering(self) -> Sequence[NodeId]:
        """Return the issuers that offer their notes now."""
        ...

    def set_orders(self, orders: Sequence[Order]) -> None:
        """Replace what is wanted."""
        ...


def choose(
    plan: Plan | None,
    held: Mapping[NodeId, Held],
    offering: Sequence[NodeId],
    policy: Policy,
    trust: Trust = BLIND_TRUST,
    terms: Terms = PLAIN_TERMS,
) -> list[Order]:
    """Return the orders for the folders, and those for the reserve that they leave open, at the prices of the terms."""
    offering = preferring(offering, terms)
    orders = orders_for_plan(plan, held, offering, trust) if plan is not None else []
    if plan is not None and not policy.wants and terms.mode == "discount" and is_scarce(policy.room, plan.lent):
        return priced([order for order in orders if not order.bargain], terms, trust)[:ORDERS_MAX]
    if policy.reserve:
        in_hand = Quantity(sum(h.notes for h in held.values()))
        taken = {order.issuer for order in orders}
        if terms.mode == "discount" and plan is not None and trust.caps.lots and not policy.wants:
            kept = orders_for_renewal(plan, held, Quantity(max(0, policy.reserve - in_hand)), trust)
        else:
            kept = order_for_reserve(policy.kind, policy.reserve, in_hand, policy.wants)
        orders += [order for order in kept if order.issuer not in taken]
    return priced(orders, terms, trust)[:ORDERS_MAX]


class Keeper:
    """Runs ``choose`` whenever something changed, and at least once a period."""

    def __init__(
        self,
        *,
        orders: Orders,
        held: Callable[[], Mapping[NodeId, Held]],
        folder_bytes: Callable[[], Awaitable[int]],
        geometry: Callable[[int], Geometry],
        policy: Policy,
        trust: Callable[[Sequence[NodeId], int], Trust] = lambda _offering, _needed: BLIND_TRUST,
        avoid: Callable[[], Collection[NodeId]] = tuple,
        terms: Terms = PLAIN_TERMS,
    ) -> None:
        """``trust`` tells what is known of the issuers that offer, when the code wants so many of them."""
        self._room: Callable[[], Quantity] | None = None
        self._place: Callable[[NodeId], str] | None = None
        self._trust, self.terms = trust, terms
        self._wanted, self._had, self._judged_at = False, 0, trio.current_time()
        self._orders, self._held, self._folder_bytes = orders, held, folder_bytes
        self._geometry, self._policy, self._avoid = geometry, policy, avoid
        self._news = trio.Event()
        self._code: Geometry | None = None
        self._code_since = 0.0
        self._rest = 0.0
        self.plan: Plan | None = None
        self.wants: Sequence[Order] = ()

    def wake(self) -> None:
        """Look again soon: notes came or went, a bid appeared, a proof failed."""
        self._news.set()

    def keep_reserve(self, reserve: Quantity) -> None:
        """Hold so much of others' space beyond what the folders need from now on."""
        self._policy = replace(self._policy, reserve=reserve)
        self.wake()

    def count_room(self, room: Callable[[], Quantity]) -> None:
        """Keep what is free of our own space, as ``room`` tells it, for the plan when it is little."""
        self._room = room

    def keep_apart(self, place: Callable[[NodeId], str]) -> None:
        """Ask only one issuer of each place for space: ``storage.targets`` says why."""
        self._place = place

    async def look(self) -> Plan | None:
        """Make the plan anew and set the orders; return the plan (None without folders or peers, or not settled)."""
        size = await self._folder_bytes()
        begun = trio.current_time()
        plan = self._decide(size)
        self._rest = rest_after(trio.current_time() - begun)  # each bid that is heard asks for a look
        return plan

    def _decide(self, size: int) -> Plan | None:
        """Do it without waiting: what is ordered must follow from what is held at this moment."""
        held = self._held()
        gone = self._avoid()  # their bids live on for a while
        allowed = [node for node in _allowed(self._orders.offering(), self._policy.wants) if node not in gone]
        issuers = {*held, *allowed}
        code = self._geometry(len(issuers)) if issuers else None
        if code != self._code:
            self._code, self._code_since = code, trio.current_time()
        if code is not None and not self.is_settled:
            return self.plan
        if self._policy.bargain is not None:
            size = max(size, self._policy.bargain[0])
        self.plan = make_plan(size, self._policy.kind, code) if size and code is not None else None
        trust = self._trust(allowed, code.n if code is not None else 0)
        useful: Mapping[NodeId, Held] = held
        if self._place is not None and code is not None:
            share = self.plan.per_issuer if self.plan is not None else 0
            allowed, useful = of_use(allowed, held, code.n, share, self._place, trust)
            trust = self._trust(allowed, code.n)  # caps are for so many vetted ones as are of use
        policy = replace(
            self._policy if issuers else self._seen(size), room=self._room() if self._room is not None else None
        )
        self.terms = replace(self.terms, own=own_value(trust.own))
        orders = choose(self.plan, useful, allowed, policy, trust, self._bargained())
        self.wants = orders
        self._orders.set_orders(orders)
        self._learn_price(orders, held, is_new=trust.is_new)
        return self.plan

    def _bargained(self) -> Terms:
        """Return the terms, with the price at which all of the plan costs no more than the person said."""
        if self._policy.bargain is None or self.plan is None:
            return self.terms
        price = price_of_backup(self.plan.lent, self._policy.bargain[1], self.terms.most)
        return replace(self.terms, reserve_price=price)

    def _seen(self, size: int) -> Policy:
        """Return the policy of one to whom nobody offers space: folders alone are reason enough to offer one's own.

        Else a network of newcomers who keep no reserve would be silent, each waiting for the others' bids.
        """
        if not size or self._policy.reserve:
            return self._policy
        return replace(self._policy, reserve=make_plan(size, self._policy.kind, self._geometry(1)).per_issuer)

    def _learn_price(self, orders: Sequence[Order], held: Mapping[NodeId, Held], *, is_new: bool) -> None:
        """Move the markup once in a while: up when much was wanted all the time and nothing came in.

        Not while we are new and have a first backup: others hold newcomers to small lots at any price. Nor is who has
        nothing left to give outbid by giving more of it.
        """
        have = sum(each.total for each in held.values())
        if trio.current_time() >= self._judged_at + MARKUP_SPAN / 1000:
            room = self._room() if self._room is not None else None
            poor = self.plan is not None and is_scarce(room, self.plan.lent)
            waits = is_new and self.plan is not None and self.plan.restores(each.total for each in held.values())
            lacking = self._wanted and have <= self._had and not (poor or waits)
            self.terms = replace(self.terms, markup=next_markup(self.terms.markup, filled=not lacking))
            self._wanted, self._had, self._judged_at = True, have, trio.current_time()
        missing = sum(order.quantity for order in orders if not order.patient and not order.bargain)
        self._wanted = self._wanted and self.plan is not None and is_pressing(missing, self.plan.lent)

    @property
    def is_settled(self) -> bool:
        """Whether the plan is for the peers that are known now: their number has not just changed the code."""
        return trio.current_time() >= self._code_since + self._policy.settle / 1000

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look, wait for news or a period, and look again."""
        task_status.started()
        while True:
            self._news = trio.Event()
            await self.look()
            await trio.sleep(self._rest)
            pause = self._policy.period if self.is_settled else self._policy.settle
            with trio.move_on_after(pause / 1000):
                await self._news.wait()


def of_use(
    allowed: Sequence[NodeId],
    held: Mapping[NodeId, Held],
    needed: int,
    share: int,
    place: Callable[[NodeId], str],
    trust: Trust,
) -> tuple[list[NodeId], Mapping[NodeId, Held]]:
    """Return whom to ask, and what is held that is of use beside them, where one issuer of each place is.

    Only who is good, and holds or owes half a share, takes its place. Else one that proved bad, or a last MiB of
    somebody's notes, would keep out all others of a network.
    """
    good = (n for n in held if not (trust.is_bad(n) or trust.is_gone(n)))
    settled = {n for n in good if 2 * max(held[n].lease_used, held[n].total) >= share}
    asked = apart(allowed, settled, needed, place, lambda n: _worth(n, trust))
    taken, kept = {place(n) for n in (*settled, *asked)}, {*settled, *asked}
    leftover = {n for n, each in held.items() if n not in kept and not each.lease_used and place(n) in taken}
    return asked, {n: each for n, each in held.items() if n not in leftover}


def _worth(node: NodeId, trust: Trust) -> float:
    """Return what goes before what at one place: a stranger before one who proved bad."""
    return -1.0 if trust.is_bad(node) or trust.is_gone(node) else trust.reliability.get(node, 0.0)


def _allowed(offering: Sequence[NodeId], wants: Collection[NodeId]) -> list[NodeId]:
    return [node for node in offering if not wants or node in wants]
