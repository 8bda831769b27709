"""Orders: what the node wants to hold, and the bids that say so in public.

An order is private and says why; a bid is public and says only what is given for what. At par a MiB is a MiB.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.ids import BidId, NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.matching.wire import BidBody, Ratio, Want, bid_id_for
from nanobarter.translator.plan import Held, Plan
from nanobarter.translator.vetting import BLIND_TRUST, Trust

ORDERS_MAX: Final = 32  # bids one node may have open; gossip holds others to the same
BY_HAND_MAX: Final = 8  # of them placed by hand: the folders must not wait for want of a bid


@dataclass(frozen=True)
class Order:
    """Get ``kind`` at ``issuer`` (None: at any issuer) for at most ``quantity`` MiB of our own space, at par.

    An order by hand has a key of its own and may say more: another quality to give, another price, a floor.
    """

    kind: LeaseKind
    issuer: NodeId | None
    quantity: Quantity
    patient: bool = False
    """Waits to be taken up and never proposes: two nodes that only keep a reserve would swap space for nothing."""
    key: bytes = b""
    gives: Quality | None = None
    type: Literal["limit", "best"] = "limit"
    omega: Ratio = (1, 1)
    floor: Ratio | None = None
    refused: tuple[NodeId, ...] = ()
    """Issuers left out of an order for anybody's notes."""
    discounts: tuple[tuple[NodeId, Ratio], ...] = ()
    """What issuers' notes are worth to us in such an order, as a part of what the others' are."""

    @property
    def slot(self) -> bytes:
        """The key of the bid's item: stable per purpose, so that a changed order replaces its bid."""
        return self.key or sha256(b"order/" + self.kind.encode() + (self.issuer or b"any"))[:16]

    def bid_id(self, owner: NodeId) -> BidId:
        """Return the id of the bid that this order makes for its owner."""
        return bid_id_for(owner, self.slot)


def orders_for_plan(
    plan: Plan, held: Mapping[NodeId, Held], offering: Sequence[NodeId], trust: Trust = BLIND_TRUST
) -> list[Order]:
    """Return one order per issuer that still owes us less than the plan wants.

    Issuers that already hold something come first, then the offering ones: vetted ones, the most reliable first, then
    strangers in the order given. No more than the plan's n are asked, so that space is not lent for nothing; those
    who are gone are not among them, and of newcomers under caps one at most, for no more than its cap.
    """
    if not plan.per_issuer:
        return []
    usable = trust.good([*held, *(issuer for issuer in offering if issuer not in held)], plan.geometry.n)
    known = [issuer for issuer in usable if issuer in held]
    ranked = sorted(known, key=lambda issuer: -held[issuer].total)
    new = [issuer for issuer in usable if issuer not in held]
    ranked += trust.ranked(new, have=len(ranked), needed=plan.geometry.n)
    orders, totals = list[Order](), {issuer: owed.total for issuer, owed in held.items()}
    for issuer in ranked[: min(plan.geometry.n, ORDERS_MAX)]:
        have = totals.get(issuer, 0)
        room = trust.caps.room(issuer, totals)
        wanted = plan.per_issuer - have if room is None else min(plan.per_issuer - have, room)
        if wanted > 0:
            orders.append(Order(plan.kind, issuer, Quantity(wanted)))
            totals[issuer] = have + wanted
    return orders


def order_for_reserve(kind: LeaseKind, reserve: Quantity, in_hand: Quantity, wanted: Collection[NodeId]) -> list[Order]:
    """Return the order that keeps a stock of others' space in hand, at any issuer or only at the wanted ones.

    One order per wanted issuer: a pattern names one issuer or all of them.
    """
    missing = Quantity(max(reserve - in_hand, 0))
    if not missing:
        return []
    if not wanted:
        return [Order(kind, None, missing, patient=True)]
    return [Order(kind, issuer, missing, patient=True) for issuer in sorted(wanted)[:ORDERS_MAX]]


def crumb(order: Order, me: NodeId, lock_min: int) -> int:
    """Return the most of an order that no ring can move: issuers lock no less of their notes for others."""
    return 0 if order.gives is None or order.gives.issuer == me else lock_min - 1


def bid_for(order: Order, me: NodeId, refused: Collection[NodeId] = ()) -> BidBody:
    """Return the public bid of an order: our own notes unless it says others, never at a worse price than it says."""
    gives = order.gives or Quality(me, order.kind)
    unwanted = {me, *refused, *order.refused, *((gives.issuer,) if gives.kind == order.kind else ())}
    refuse = tuple(sorted(unwanted))[:64] if order.issuer is None else ()
    want = Want(order.kind, order.issuer, refuse, order.discounts if order.issuer is None else ())
    return BidBody(order.type, gives, want, order.omega, order.quantity, order.floor)
