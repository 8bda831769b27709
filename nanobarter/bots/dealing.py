"""Dealing in notes: what the trader and the arbitrageur would quote, and what they agree to at the last moment.

Pure, and bounded in advance: whatever subset of the quotes that stand is executed, in whatever order, no issuer's
notes exceed the limit on them, and nothing is given for less than its value by more than the bound. Values are v(r) of
own observations; what is not observed is not dealt in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import HOUR, MINUTE, Instant, LeaseKind, Quantity, Span, span_between
from nanobarter.matching.book import Book
from nanobarter.matching.network import pattern_of, quality_of, text_of
from nanobarter.matching.quotes import offer
from nanobarter.matching.rules import Rules
from nanobarter.matching.wire import Ratio, Want
from nanobarter.translator.orders import Order
from nanobarter.translator.pricing import GRAIN, worth
from nanobarter.translator.rates import value_by_reliability
from nanobarter.translator.vetting import BAD_RELIABILITY

LOT_MIN: Final = 16  # MiB: smaller lots hardly ever come to whole quantities at a price, and all rings would be tried
UNIT: Final = 953  # MiB: 1 GB
QUOTE_SPAN: Final = Span(HOUR)  # a quote is made of values this old at most
SPREAD_MIN: Final = 0.02
SPREAD_MAX: Final = 0.05
QUOTES_MAX: Final = 12  # of each bot: the keeper's orders come first
SELLS_MAX: Final = 4
BUYS_MAX: Final = 8
LOW_MAX: Final = 4  # of them for notes of the unvetted and the bad
LOW_COST: Final = 16  # MiB of our own space that one quote for notes of those puts in
LOW_TIMES: Final = 12  # as many times as much of one of them is held at most
OWN_MIN: Final = 0.05
TRIED_MAX: Final = 3  # issuers to give, and for each as many to want: nine searches of the book
RING_MAX: Final = 3  # bids of a ring that the arbitrageur looks for: longer ones seldom hold
STALE: Final = Span(20 * MINUTE)  # a last look wants a ping that is younger


@dataclass(frozen=True)
class Limits:
    """What a dealer may do at most. ``loss`` is in thousandths of a reference MiB, over ``loss_span``."""

    issuer: int
    total: int
    loss: int
    slip: float = 0.01
    """How far a value may have moved between a quote and its execution, as a part of it."""

    @classmethod
    def of_capacity(cls, capacity: Quantity) -> "Limits":
        """Return the limits of a node that pledges so many MiB: 20 units and 2 % of it per issuer, a tenth in all."""
        return cls(min(20 * UNIT, capacity // 50), capacity // 10, GRAIN * (capacity // 100))


@dataclass(frozen=True)
class Desk:
    """What a dealer stands on: notes held, those that the plan needs, r of issuers, and what was lost lately."""

    me: NodeId
    kind: LeaseKind
    held: Mapping[NodeId, int]
    needed: Mapping[NodeId, int]
    reliability: Mapping[NodeId, float]
    vetted: frozenset[NodeId]
    own_free: int
    lost: int = 0
    own: float = 1.0
    """What one of our own notes is worth: v(r) of ourselves as others see us."""
    judged: frozenset[NodeId] = frozenset()
    """Of whom enough was seen to quote a price, although they are not vetted."""
    turn: int = 0
    """Counts rounds of quotes, so that all issuers get their turn."""

    def surplus(self, node: NodeId) -> int:
        """Return how much of an issuer's notes the plan can do without."""
        return max(0, self.held.get(node, 0) - self.needed.get(node, 0))

    def is_known(self, node: NodeId) -> bool:
        """Tell whether enough was seen of an issuer to quote a price."""
        return node in self.vetted or node in self.judged

    def is_low(self, node: NodeId) -> bool:
        """Tell whether an issuer's notes are taken only in small lots: not vetted, or known for bad."""
        return node not in self.vetted or self.reliability.get(node, 0.0) < BAD_RELIABILITY

    def room(self, node: NodeId, limits: "Limits") -> int:
        """Return how much more of an issuer a dealer may take in."""
        if node == self.me or node not in self.reliability or not self.is_known(node):
            return 0
        most = min(limits.issuer, _low_lot(self, node)) if self.is_low(node) else limits.issuer
        return max(0, most - self.surplus(node))

    @property
    def stock(self) -> int:
        """All that is held beyond the plan."""
        return sum(self.surplus(node) for node in self.held)


def spread(reliability: float) -> float:
    """Return the margin on both sides of a value: wider where one knows less, since v(r) is steep near one."""
    return min(SPREAD_MAX, max(SPREAD_MIN, SPREAD_MIN + 0.1 * (1 - reliability)))


def quotes(desk: Desk, limits: Limits) -> list[Order]:
    """Return what the trader bids: notes of the least reliable for better ones, and own space for anybody's it knows.

    Each bid names what it wants: one for anybody's notes would take a stranger's at par. They are patient, since a
    maker of markets waits for those who come. What is known for bad is bought too, at what it is worth and in lots
    that cost next to nothing: somebody has to say what that is.
    """
    if desk.lost >= limits.loss:
        return []
    room = {n: room for n in sorted(desk.vetted | desk.judged) if (room := desk.room(n, limits))}
    best = sorted((n for n in room if not desk.is_low(n)), key=lambda n: (-desk.reliability[n], n))
    worst = sorted((n for n in desk.held if n in desk.reliability), key=lambda n: (desk.reliability[n], n))
    found = list[Order]()
    for node in worst:
        wanted = next((n for n in best if room[n] and n != node and desk.reliability[n] > desk.reliability[node]), None)
        if wanted is not None and len(found) < SELLS_MAX:
            omega = _ceiling(desk.reliability[node], desk.reliability[wanted])
            give = min(desk.surplus(node), room[wanted] * omega[0] // omega[1])
            if give >= LOT_MIN:
                room[wanted] -= -(-give * omega[1] // omega[0])
                found.append(_quote(desk, b"sell", node, wanted, give, omega))
    left = max(0, min(limits.total - desk.stock, desk.own_free))
    low = [n for n in room if desk.is_low(n)]
    for wanted in [*_in_turn(low, desk.turn, LOW_MAX), *_in_turn(best, desk.turn, BUYS_MAX - LOW_MAX)]:
        omega = _bid_price(desk, wanted)
        quantity = min(room[wanted], left, UNIT)
        give = min(quantity * omega[0] // omega[1], desk.own_free, LOW_COST if wanted in low else UNIT)
        if give >= LOT_MIN:
            left -= quantity
            found.append(_quote(desk, b"buy", desk.me, wanted, give, omega))
    return found[:QUOTES_MAX]


def _bid_price(desk: Desk, wanted: NodeId) -> Ratio:
    """Return how much of our own notes a dealer gives for one of another's: its worth in ours, less the margin."""
    r = desk.reliability[wanted]
    return (max(1, int((1 - spread(r)) * worth(r)[0] / max(desk.own, OWN_MIN))), GRAIN)


def _low_lot(desk: Desk, node: NodeId) -> int:
    """Return how much is held at most of one who is bad: what a few times a few MiB of our own space buy."""
    omega = _bid_price(desk, node)
    return LOW_TIMES * LOW_COST * omega[1] // omega[0]


def _in_turn(nodes: Sequence[NodeId], turn: int, most: int) -> list[NodeId]:
    """Return so many of the nodes, others in each turn."""
    start = turn * most % len(nodes) if nodes else 0
    return [*nodes[start:], *nodes[:start]][:most]


def _quote(desk: Desk, what: bytes, gives: NodeId, wants: NodeId, quantity: int, omega: Ratio) -> Order:
    name = wants if gives == desk.me else gives
    return Order(
        desk.kind,
        wants,
        Quantity(quantity),
        patient=True,
        key=sha256(b"dealer/" + what + name)[:16],
        gives=Quality(gives, desk.kind),
        omega=omega,
    )


# -- arbitrage


def opportunities(desk: Desk, book: Book, limits: Limits) -> list[Order]:
    """Return the bids that would take, now, what the book gives above its value for notes that we can do without.

    The ring that such a bid makes is atomic: all of it happens or nothing. Its omega is a limit, so what was quoted
    may be gone, but it cannot turn out worse than said.
    """
    if desk.lost >= limits.loss:
        return []
    found = list[Order]()
    known = [n for n in desk.held if desk.surplus(n) and n in desk.reliability]
    for node in sorted(known, key=lambda n: (desk.reliability[n], n))[:TRIED_MAX]:
        quantity = desk.surplus(node)
        order = _best_of(desk, book, node, quantity, limits)
        if order is not None:
            found.append(order)
    return found[:QUOTES_MAX]


def _best_of(desk: Desk, book: Book, node: NodeId, quantity: int, limits: Limits) -> Order | None:
    gives, best = Quality(node, desk.kind), tuple[Fraction, Order]()
    known = [n for n in desk.vetted if n not in (node, desk.me) and n in desk.reliability]
    for wanted in sorted(known, key=lambda n: (-desk.reliability[n], n))[:TRIED_MAX]:
        r, room = desk.reliability[wanted], desk.room(wanted, limits)
        if not room:
            continue
        want = Want(desk.kind, wanted, (), ())
        chain = offer(book, pattern_of(want), text_of(gives), owner=desk.me, rules=Rules(partners_max=RING_MAX))
        if chain is None or quality_of(chain.chain[-1].gives).issuer != wanted:
            continue
        cap = _ceiling(desk.reliability[node], r)
        gain = Fraction(*cap) * chain.product
        give = min(quantity, chain.couple.given, room * cap[0] // cap[1])
        if gain > 1 and give >= LOT_MIN and (not best or gain > best[0]):
            order = replace(_quote(desk, b"arbitrage", node, wanted, give, cap), patient=False)
            best = (gain, order)
    return best[1] if best else None


def _ceiling(given: float, received: float) -> Ratio:
    """Return the most to give for one: the values' quotient, less the wider of the two margins."""
    margin = 1 - max(spread(given), spread(received))
    values = value_by_reliability(received) / max(value_by_reliability(given), 1 / GRAIN)
    return (max(1, int(GRAIN * margin * values)), GRAIN)


# -- the last look


@dataclass(frozen=True)
class Deal:
    """What a draft asks of a dealer: so much of one issuer for so much of another, and the last answers of both."""

    gives: NodeId
    given: int
    gets: NodeId
    gotten: int
    heard: Instant


def loss_of(deal: Deal, desk: Desk) -> int:
    """Return what a deal would lose at the values of now, in thousandths of a reference MiB; a gain is negative."""
    own = int(GRAIN * desk.own) if deal.gives == desk.me else worth(desk.reliability.get(deal.gives, 1.0))[0]
    return deal.given * own - deal.gotten * worth(desk.reliability.get(deal.gets, 0.0))[0]


def refusal(deal: Deal, desk: Desk, limits: Limits, now: Instant) -> str:
    """Return why a dealer steps back from a deal at the last moment, or nothing."""
    lost = loss_of(deal, desk)
    stock = desk.stock + deal.gotten - (deal.given if deal.gives != desk.me else 0)
    reasons = (
        (span_between(deal.heard, now) > STALE, "the issuer of what we would get was not heard of just now"),
        (not desk.is_known(deal.gets), "the issuer of what we would get is not vetted"),
        (deal.gotten > desk.room(deal.gets, limits), "it would be too much of one issuer"),
        (stock > limits.total, "it would be too much in all"),
        (lost > limits.slip * GRAIN * deal.given, "values have moved too far since the quote"),
        (desk.lost + max(lost, 0) > limits.loss, "the loss that is allowed is used up"),
    )
    return next((why for holds, why in reasons if holds), "")
