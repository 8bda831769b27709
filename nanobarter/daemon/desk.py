"""The market desk: the book, quotes and rates for the node's person, who asks in words like ``30d@any`` and ``3/2``."""

import re
from fractions import Fraction
from typing import Final

import msgspec

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Reason, UsageError
from nanobarter.core.ids import BidId, NodeId, parse_node, show_node
from nanobarter.core.item import ITEM_BODY_MAX, Item
from nanobarter.core.quality import Quality
from nanobarter.core.units import LEASE_KINDS_DEFAULT, MIB, QUANTITY_MAX, Instant, LeaseKind, Quantity, parse_size
from nanobarter.daemon import facade
from nanobarter.daemon.api import refuse
from nanobarter.daemon.services import Node
from nanobarter.daemon.terms import issuers_of, unwanted
from nanobarter.matching.bids import PAR, Ratio
from nanobarter.matching.network import pattern_of, quality_of, text_of
from nanobarter.matching.quotes import Proposal, Unmet, quote, wish
from nanobarter.matching.rates import Rate, Rates
from nanobarter.matching.rules import Rules
from nanobarter.matching.wire import BidBody, Want, bid_id_of
from nanobarter.translator.orders import Order, bid_for

_KIND: Final = re.compile(r"[1-9][0-9]{0,3}d")
_RATIO: Final = re.compile(r"([0-9]{1,19})(?:/([0-9]{1,19}))?")
_RATIO_MAX: Final = 2**62  # the greatest number of a ratio in a bid
_ASKER: Final = BidId(bytes(16))  # the id of a bid that is only thought of


class Desk:
    """Answers from one node's own book and ledger."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._market, self._ledger = node.market, node.ledger

    def bids(self) -> tuple[facade.BidRow, ...]:
        """Return the live bids."""
        rows = ((bid_row(item, self._node.me), bid_id_of(item)) for item in self._market.bids())
        return tuple(msgspec.structs.replace(row, by_hand=self._market.is_by_hand(bid)) for row, bid in rows)

    def rates(self) -> facade.MarketRates:
        """Return the rates of this node's settled agreements."""
        rates = Rates()
        for deal in self._ledger.deals():
            rates.note(str(deal.got), deal.got_quantity, str(deal.gave), deal.gave_quantity, deal.at)
        return facade.MarketRates(rates=tuple(map(_rate_row, rates.every())))

    def quote(self, gives: str, wants: str, quantity: str, omega: str) -> facade.MarketQuote:
        """Return the couples that could be had, and the bid that yields the wished quantity at the wished omega.

        Where nothing is wished it is the best chain, all of it, at what it asks for. Raises UsageError for words that
        mean nothing or a quantity beyond every chain, RefusedError when no chain serves the wish.
        """
        body = bid_for(self._order(gives, wants), self._node.me, issuers_of(self._node.config).refused)
        giving, wanting = body.gives, body.wants
        received = read_quantity(quantity) if quantity else None
        wished = Fraction(*read_ratio(omega)) if omega else None
        pattern, rules = pattern_of(wanting), Rules(partners_max=self._market.partners_max)
        with self._market.others_book() as book:
            told = quote(book, pattern, text_of(giving), owner=self._node.me, rules=rules)
            met = wish(
                book, pattern, text_of(giving), _ASKER,
                owner=self._node.me, received=received, omega=wished, rules=rules,
            )  # fmt: skip
        if isinstance(met, Unmet) and (received or wished):
            raise _refusal(met, giving, wanting, received, wished)
        proposal = None if isinstance(met, Unmet) else _proposal_row(met, giving, wanting)
        couples = tuple(facade.Couple(received_mib=c.received, given_mib=c.given) for c in told.couples)
        return facade.MarketQuote(
            gives=str(giving), wants=show_want(wanting), couples=couples, cut=told.cut, proposal=proposal
        )

    async def place(
        self, gives: str, wants: str, quantity: str, omega: str, floor: str, *, best: bool
    ) -> facade.BidPlaced:
        """Post a bid by hand and return it.

        Raises UsageError for words that mean nothing or do not fit together, RefusedError when the node has not got
        so much to give or too many bids stand by hand.
        """
        ratio = read_ratio(omega) if omega else PAR
        bound = read_ratio(floor) if floor else None
        if best != (bound is not None):
            raise UsageError("a best bid needs a floor, and only a best bid has one", hint="--best --floor A/B")
        if bound is not None and Fraction(*bound) < Fraction(*ratio):
            raise UsageError(
                f"the floor {_show(bound)} is a better price than the omega {_show(ratio)}",
                hint="the floor is the most that is given for a unit, so at least omega",
            )
        order = msgspec.structs.replace(
            self._order(gives, wants),
            quantity=read_quantity(quantity),
            key=self._node.entropy.token(16),
            type="best" if best else "limit",
            omega=ratio,
            floor=bound,
        )
        body = bid_for(order, self._node.me)
        self._check_stock(body.gives, order.quantity)
        refused = await self._market.place(order)
        if refused is not None:
            raise refuse(refused.reason, refused.detail)
        bid = order.bid_id(self._node.me)
        item = self._market.item_of(bid)
        if item is None:  # settled in the meantime
            row = row_of(bid, self._node.me, body, self._node.clock.now(), own=True)
        else:
            row = bid_row(item, self._node.me)
        return facade.BidPlaced(bid=msgspec.structs.replace(row, by_hand=True))

    def _check_stock(self, giving: Quality, quantity: Quantity) -> None:
        if giving.issuer == self._node.me:
            free = {row.kind: row.free for row in self._node.mint.capacity()}
            if giving.kind not in free:
                raise UsageError(f"this node offers no {giving.kind} space", hint=f"it offers {', '.join(free)}")
            if free[giving.kind] < quantity:
                raise refuse(Reason.NO_CAPACITY, f"{free[giving.kind]} MiB of {giving} are free, not {quantity} MiB")
            return
        held = sum(h.quantity - h.reserved for h in self._node.wallet.holdings() if h.quality == giving)
        if held < quantity:
            raise refuse(Reason.NO_STOCK, f"{held} MiB of {giving} are held and free, not {quantity} MiB")

    async def withdraw(self, text: str) -> facade.BidWithdrawn:
        """Take back a bid by hand. Raises UsageError unless the text begins the id of just one."""
        own = [bid_id_of(item) for item in self._market.bids() if item.node == self._node.me]
        found = [bid for bid in own if text and bid.hex().startswith(text.lower())]
        if len(found) != 1:
            problem = "more than one own bid begins" if found else "no own bid begins"
            raise UsageError(f"{problem} with {text!r}", hint="see nbctl market bids")
        (bid,) = found
        if not await self._market.take_back(bid):
            raise UsageError(
                f"the bid {bid.hex()[:12]} was not placed by hand",
                hint="the keeper makes it from [backup] and [market]",
            )
        return facade.BidWithdrawn(bid=bid.hex(), at_work=self._market.item_of(bid) is not None)

    # -- words

    def _order(self, gives: str, wants: str) -> Order:
        """Return an order for what is wanted and given, of no quantity yet."""
        giving, (kind, issuer) = self._given(gives), self._read(wants)
        wanted = None if issuer in ("", "any") else parse_node(issuer)
        if (wanted, kind) == (giving.issuer, giving.kind):
            raise UsageError("the same quality is given and wanted", hint="want that of another node")
        if (objection := unwanted(issuers_of(self._node.config), wanted)) is not None:
            raise objection
        return Order(kind, wanted, Quantity(0), gives=giving)

    def _given(self, text: str) -> Quality:
        """Return the quality that is to be given: our own unless another node is named."""
        kind, issuer = self._read(text)
        if issuer == "any":
            raise UsageError(
                "what is given is one quality, not that of any node", hint="name the node, or leave it out"
            )
        return Quality(parse_node(issuer) if issuer else self._node.me, kind)

    def _read(self, text: str) -> tuple[LeaseKind, str]:
        kind, at, issuer = text.partition("@")
        if not text:
            return self._node.kind, ""
        if not _KIND.fullmatch(kind) or (at and not issuer):
            raise UsageError(f"{text!r} is not a quality", hint="write it like 30d, 30d@any or 30d@nb1...")
        if kind not in LEASE_KINDS_DEFAULT:
            hint = f"leases are of {', '.join(LEASE_KINDS_DEFAULT)}"
            raise UsageError(f"nobody can have a lease of {kind!r}", hint=hint)
        return LeaseKind(kind), issuer


def bid_row(item: Item, me: NodeId) -> facade.BidRow:
    """Return a live bid as it is told."""
    body = decode(item.body, BidBody, size_max=ITEM_BODY_MAX)
    return row_of(bid_id_of(item), item.node, body, item.expires, own=item.node == me)


def row_of(bid: BidId, node: NodeId, body: BidBody, expires: Instant, *, own: bool) -> facade.BidRow:
    """Return a bid as it is told."""
    return facade.BidRow(
        bid=bid.hex(),
        node=show_node(node),
        own=own,
        gives=str(body.gives),
        wants=show_want(body.wants),
        quantity_mib=body.quantity,
        expires=expires,
        type=body.type,
        omega=_show(body.omega),
        floor=_show(body.floor) if body.floor else "",
    )


def show_want(want: Want) -> str:
    """Return what is wanted as a person reads it."""
    return f"{want.kind} at {show_node(want.issuer) if want.issuer is not None else 'any issuer'}"


def read_quantity(text: str) -> Quantity:
    """Return the whole MiB that ``50``, ``50MiB`` or ``1GB`` mean, never more than was said. Raises UsageError."""
    try:
        mib = int(text) if text.isascii() and text.isdigit() else parse_size(text) // MIB
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not 1 <= mib <= QUANTITY_MAX:
        raise UsageError(f"{text!r} is not a quantity to trade", hint="a quantity is at least 1 MiB: 50, 50MiB, 1GB")
    return Quantity(mib)


def read_ratio(text: str) -> Ratio:
    """Return the ratio that ``3/2`` or ``2`` means. Raises UsageError."""
    found = _RATIO.fullmatch(text)
    ratio = (int(found[1]), int(found[2] or 1)) if found else (0, 0)
    if not all(1 <= number <= _RATIO_MAX for number in ratio):
        raise UsageError(f"{text!r} is not a ratio", hint="write how much is given for how much received, like 3/2")
    return ratio


def _show(ratio: Ratio) -> str:
    return f"{ratio[0]}/{ratio[1]}"


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _rate_row(rate: Rate) -> facade.RateRow:
    return facade.RateRow(
        first=rate.first,
        second=rate.second,
        first_mib=rate.first_sum,
        second_mib=rate.second_sum,
        agreements=rate.agreements,
        mean=_fraction(rate.mean),
        last=_fraction(rate.last),
        at=rate.at or 0,
    )


def _refusal(unmet: Unmet, giving: Quality, wanting: Want, received: int | None, wished: Fraction | None) -> Exception:
    """Return why a wish is not met, in words for who asked."""
    if not unmet.chains:
        return refuse(Reason.NOT_FOUND, f"nobody gives {show_want(wanting)} for {giving} now")
    if received is not None and received > unmet.widest:
        return UsageError(
            f"no chain gives {received} MiB at once, the widest gives {unmet.widest} MiB",
            hint=f"ask for at most {unmet.widest}, or see every couple without --quantity",
        )
    asked = " for ".join(
        [*([] if wished is None else [_fraction(wished)]), *([] if received is None else [f"{received} MiB"])]
    )
    if unmet.forestalled:
        return refuse(
            Reason.WRONG_TERMS,
            f"at {asked} another chain comes first; see the couples without a wish, or bid and take them in turn",
        )
    return refuse(Reason.WRONG_TERMS, f"no chain yields whole MiB within its limits at {asked}")


def _proposal_row(found: Proposal, giving: Quality, wanting: Want) -> facade.Proposal:
    bid, chain = found.bid, found.cycle.bids[:-1]
    omega = _show((bid.provided, bid.required))
    partners = tuple(
        facade.PartnerRow(
            bid=bytes.hex(effort.bid) if isinstance(effort.bid, bytes) else "",
            node=show_node(NodeId(partner.owner)) if isinstance(partner.owner, bytes) else "",
            gives=str(quality_of(partner.gives)),
            gives_mib=quantity,
            omega=_show(leg.omega),
            effort=effort.ratio,
            omega_asked=effort.ratio * leg.omega[0] / leg.omega[1],
        )
        for partner, leg, effort, quantity in zip(chain, found.cycle.legs, found.efforts, found.given, strict=False)
    )
    want = f"{wanting.kind}@{show_node(wanting.issuer) if wanting.issuer is not None else 'any'}"
    words = f"--gives {giving.kind}@{show_node(giving.issuer)} --wants {want} --quantity {bid.quantity}"
    return facade.Proposal(
        chain=partners,
        received_mib=found.couple.received,
        given_mib=found.couple.given,
        omega=omega,
        quantity_mib=bid.quantity,
        command=f"nbctl market bid {words} --omega {omega}",
    )
