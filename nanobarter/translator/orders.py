"""Orders: what the node wants to hold, and the bids that say so in public.

An order is private and says why; a bid is public and says only what is given for what. At par a MiB is a MiB.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from nanobarter.core.ids import BidId, NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.matching.wire import BidBody, Ratio, Want, bid_id_for
from nanobarter.translator.plan import Held, Plan
from nanobarter.translator.vetting import BLIND_TRUST, Trust

ORDERS_MAX: Final = 32  # bids one node may have open; gossip holds others to the same
BARGAINS_MAX: Final = 6  # issuers beyond the plan whose notes are taken below their worth, for when a slot is free
PROBES_MAX: Final = 3  # strangers tried out at a time, within their caps
SPARE_MIN: Final = 8  # issuers asked beyond those that are missing, so that the market chooses
PRICE_STEP: Final = 0.03  # half of what a dealer's margins make of a price; a score is not known any better
BY_HAND_MAX: Final = 8  # of them placed by hand: the folders must not wait for want of a bid


class Order(Struct, frozen=True):
    """Get ``kind`` at ``issuer`` (None: at any issuer) for at most ``quantity`` MiB of our own space, at par.

    An order by hand has a key of its own and may say more: another quality to give, another price, a floor.
    """

    kind: LeaseKind
    issuer: NodeId | None
    quantity: Quantity
    patient: bool = False
    """Waits to be taken up and never proposes: two nodes that only keep a reserve would swap space for nothing."""
    bargain: bool = False
    """Is for one whom the plan could do without, so only below its worth."""
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
        return self.key or _slot_of(self.kind, self.issuer)

    def bid_id(self, owner: NodeId) -> BidId:
        """Return the id of the bid that this order makes for its owner."""
        return bid_id_for(owner, self.slot)


@lru_cache(4096)
def _slot_of(kind: LeaseKind, issuer: NodeId | None) -> bytes:
    return sha256(b"order/" + kind.encode() + (issuer or b"any"))[:16]


def orders_for_plan(
    plan: Plan, held: Mapping[NodeId, Held], offering: Sequence[NodeId], trust: Trust = BLIND_TRUST
) -> list[Order]:
    """Return one order per issuer that still owes us less than the plan wants.

    Issuers that already hold something come first, those that keep shares before those that only owe; then the
    offering ones: vetted ones, the most reliable first, then strangers in the order given. No more than the plan's n
    are asked, so that space is not lent for nothing; those who are gone are not among them, and of newcomers under caps
    one at most, for no more than its cap. Where some are missing, a few vetted ones more are asked than are needed,
    since not all want our notes; who watches what comes in takes the rest back.
    """
    if not plan.per_issuer:
        return []
    usable = trust.good([*held, *(issuer for issuer in offering if issuer not in held)], plan.geometry.n)
    known = [issuer for issuer in usable if issuer in held]
    keepers = _keepers(held)
    ranked = sorted((n for n in known if n not in trust.caps.lots), key=lambda n: (n not in keepers, -held[n].total))
    new = [issuer for issuer in usable if issuer not in held]
    most = plan.geometry.n
    missing, bargains = most - len(ranked), list[NodeId]()
    ranked += trust.ranked(new, have=len(ranked), needed=plan.geometry.n)
    if missing > 0:
        spare = [issuer for issuer in ranked[most:] if issuer in trust.vetted][: max(SPARE_MIN, missing)]
        ranked = [*ranked[:most], *spare]
    else:
        ranked = [*ranked[:most], *_probes(known, new, trust)]
        bargains = [n for n in [*known, *new] if n in trust.vetted and n not in ranked] if trust.caps.lots else []
        bargains.sort(key=lambda n: (trust.reliability.get(n, 0.0), n))
    orders, totals = list[Order](), {issuer: owed.total for issuer, owed in held.items()}
    for issuer in ranked[:ORDERS_MAX]:
        have = totals.get(issuer, 0)
        room = trust.caps.room(issuer, totals)
        missing = held[issuer].missing(plan.per_issuer) if issuer in held else plan.per_issuer
        wanted = missing if room is None else min(missing, room)
        if wanted > 0:
            orders.append(Order(plan.kind, issuer, Quantity(wanted)))
            totals[issuer] = have + wanted
    extra = most + BARGAINS_MAX - sum(2 * held[n].total >= plan.per_issuer for n in known)
    for issuer in bargains[: 2 * extra] if extra > 0 else ():
        orders.append(Order(plan.kind, issuer, plan.per_issuer, bargain=True))
    return orders


def _keepers(held: Mapping[NodeId, Held]) -> set[NodeId]:
    """Return who keeps half as much as whoever keeps most, or more: their leases are lengthened first.

    Else spare notes at others would stand for a lease as soon as it is due, and what is kept under it had to move.
    """
    most = max((each.lease_used for each in held.values()), default=0)
    return {issuer for issuer, each in held.items() if each.lease_used and 2 * each.lease_used >= most}


def _probes(held: Sequence[NodeId], new: Sequence[NodeId], trust: Trust) -> list[NodeId]:
    """Return the strangers that a full plan tries out beside it: else newcomers would never be vetted."""
    lots = [n for n in (*held, *new) if n in trust.caps.lots and not trust.is_bad(n)]
    return [*(n for n in lots if n in held), *(n for n in lots if n not in held)][:PROBES_MAX]


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


def orders_for_renewal(plan: Plan, held: Mapping[NodeId, Held], room: Quantity, trust: Trust) -> list[Order]:
    """Return the orders that keep a reserve of the notes with which leases will be lengthened, those with least first.

    A reserve of anybody's notes fills up with those that nobody else wants. One of the issuers that hold something
    is used up in time; and since everybody waits for so many notes, whoever needs some finds somebody to take his.
    Who is on trial keeps something too, but no more of his notes are kept in hand than his lot allows.
    """
    found, left, totals = list[Order](), int(room), {issuer: owed.total for issuer, owed in held.items()}
    leased = [n for n, h in held.items() if h.lease_room + h.lease_used and not (trust.is_bad(n) or trust.is_gone(n))]
    for issuer in sorted(leased, key=lambda n: (held[n].notes, n)):
        lot = trust.caps.room(issuer, totals)
        wanted = min(plan.per_issuer - held[issuer].notes, left, left if lot is None else lot)
        if wanted > 0:
            totals[issuer] += wanted
            found.append(Order(plan.kind, issuer, Quantity(wanted), patient=True))
            left -= wanted
    return found


def hardly_differs(wanted: Order, said: Order) -> bool:
    """Tell whether a bid may go on saying what it says.

    Scores move a little with every ping, and prices with them. A bid that followed each step would be another one in
    every draft that others have just made of it, and be refused for that.
    """
    if wanted.key or wanted.omega == said.omega:
        return wanted == said
    price, before = wanted.omega[0] / wanted.omega[1], said.omega[0] / said.omega[1]
    near = abs(price - before) <= PRICE_STEP * before
    near = near and abs(wanted.quantity - said.quantity) <= max(1, PRICE_STEP * said.quantity)
    return near and replace(wanted, omega=said.omega, quantity=said.quantity) == said


def crumb(order: Order, me: NodeId, lock_min: int) -> int:
    """Return the most of an order that no ring can move: issuers lock no less of their notes for others."""
    return 0 if order.gives is None or order.gives.issuer == me else lock_min - 1


def bid_for(order: Order, me: NodeId, refused: Collection[NodeId] = ()) -> BidBody:
    """Return the public bid of an order: our own notes unless it says others, never at a worse price than it says."""
    gives = order.gives or Quality(me, order.kind)
    own = {me, *((gives.issuer,) if gives.kind == order.kind else ())}
    unwanted = dict.fromkeys((*sorted(own), *order.refused, *sorted(refused)))  # whom the person refuses comes first
    refuse = tuple(sorted(list(unwanted)[:64])) if order.issuer is None else ()
    want = Want(order.kind, order.issuer, refuse, order.discounts if order.issuer is None else ())
    return BidBody(order.type, gives, want, order.omega, order.quantity, order.floor)
