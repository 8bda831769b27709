"""One day's market: all bids into one book, the production matcher over it, rings settled as they are found."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import Final

from msgspec import Struct

from nanobarter.bots import dealing
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind
from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book
from nanobarter.matching.network import Arc, Match, find, pattern_of, text_of
from nanobarter.sim.economy import chances
from nanobarter.sim.economy.kinds import KIND
from nanobarter.sim.economy.person import Person
from nanobarter.translator.orders import Order, bid_for
from nanobarter.translator.pricing import given_for

PARTNERS_MAX: Final = 3  # longer rings cost more to look for than they add
RINGS_PER_BID: Final = 4
VAIN_MAX: Final = 4  # searches in vain, after which a node leaves it to others for the day to find its other bids


class Trade(Struct, frozen=True):
    """One leg pair of a settled ring: a node gave so much of one issuer's notes for so much of another's."""

    day: int
    who: NodeId
    gave: NodeId
    given: int
    got: NodeId
    gotten: int
    ring: int
    kinds: tuple[LeaseKind, LeaseKind] = (KIND, KIND)
    """Of what it gave, and of what it got."""

    @property
    def market(self) -> frozenset[Quality]:
        """The pair of notes that were exchanged."""
        return frozenset((Quality(self.gave, self.kinds[0]), Quality(self.got, self.kinds[1])))


@dataclass
class Standing:
    """One bid of the day: whose, the order behind it, whether it is the keeper's."""

    who: Person
    order: Order
    keepers: bool
    wanted: int = 0
    """How much the keeper wants of it in all; what came in is watched, and the rest put in again."""
    slot: bool = False
    """It would be another issuer for the plan, of which only so many are missing."""
    filled: int = 0
    gotten: int = 0

    @property
    def is_dealers(self) -> bool:
        """Whether a dealer made it: what a person orders, of another kind, is bound by its price alone."""
        gives = self.order.gives
        return bool(self.order.key) and (gives is None or gives.kind == self.order.kind)


class Exchange:
    """The book of one day."""

    def __init__(self, people: Mapping[NodeId, Person], random: Random, now: Instant, partners: int) -> None:
        self._people, self._random, self._now, self._partners = people, random, now, partners
        self.book = Book()
        self._chances = chances.Chances(self.book)
        self.standing = dict[BidId, Standing]()
        self.posted = list[Bid]()
        self.trades = list[Trade]()
        self.refused = 0
        self._age = 0
        self._wanted = set[NodeId]()
        """Whose notes somebody asks for by name; a bid that gives others is in no ring."""
        self._any = False
        self._slots = dict[NodeId, list[BidId]]()
        """Of each owner the bids that would be other issuers for his plan, until all places in it are taken."""

    def post(self, who: Person, order: Order) -> None:
        """Put a bid into the book."""
        body = bid_for(order, who.me)
        bid_id = order.bid_id(who.me)
        quantity = min(max(body.quantity, dealing.LOT_MIN), who.stock(body.gives))
        if quantity < dealing.LOT_MIN or bid_id in self.standing:
            return
        self._age += 1
        keepers = not order.key
        slot = keepers and not order.patient and order.issuer not in who.leases and order.issuer not in who.notes
        self.standing[bid_id] = Standing(who, order, keepers, _wanted(order), slot)
        if slot:
            self._slots.setdefault(who.me, []).append(bid_id)
        if order.issuer is None:
            self._any = True
        else:
            self._wanted.add(order.issuer)
        bid = Bid(
            bid_id, who.me, body.type == "limit", _text_of(body.gives), _pattern_of(body.wants),
            body.omega[0], body.omega[1], quantity, self._age,
        )  # fmt: skip
        self.book.insert(bid)
        self.posted.append(bid)
        self._chances.add(bid)

    def clear(self, day: int) -> None:
        """Let every bid that does not wait look for its rings, in random order."""
        ids = [bid_id for bid_id, one in self.standing.items() if not one.order.patient]
        self._random.shuffle(ids)
        vain = dict[NodeId, int]()
        for bid_id in ids:
            order, who = self.standing[bid_id].order, self.standing[bid_id].who
            if vain.get(who.me, 0) >= VAIN_MAX:
                continue
            if not self._any and (who.me if order.gives is None else order.gives.issuer) not in self._wanted:
                continue
            for _ in range(RINGS_PER_BID):
                if bid_id not in self.book:
                    break
                match = self._found(bid_id)
                if match is None:
                    vain[who.me] = vain.get(who.me, 0) + 1
                if match is None or not self._settle(match, day):
                    break

    def _found(self, bid_id: BidId) -> Match | None:
        own = self.book.get(bid_id)
        if own is None or (self._partners <= chances.PARTNERS_MAX and self._chances.is_hopeless(own)):
            return None
        return find(self.book, bid_id, partners_max=self._partners)

    def _settle(self, match: Match, day: int) -> bool:
        """Settle a ring if each party still can and wants; drop the bid of who does not."""
        arcs = match.arcs
        for place, arc in enumerate(arcs):
            one, got = self.standing[arc.bid], arcs[place - 1]
            if arc.quantity > one.who.stock(arc.quality) or self._steps_back(
                one, arc.quality.issuer, arc.quantity, got
            ):
                self.refused += 1
                self.book.withdraw(arc.bid)
                return arc.bid != arcs[0].bid
        for place, arc in enumerate(arcs):
            got = arcs[place - 1]
            self._move(self.standing[arc.bid], arc, got, day, len(arcs))
            self._look_again(arc, int(got.quantity))
        return True

    def _look_again(self, arc: Arc, gotten: int) -> None:
        """Let the owner of a bid put in what is still wanted, as the keeper does when notes come in."""
        left, one = self.book.get(arc.bid), self.standing[arc.bid]
        first, one.gotten = not one.gotten, one.gotten + gotten
        if one.slot and first:
            one.who.slots -= 1
            if one.who.slots <= 0:
                for bid_id in self._slots.pop(one.who.me, ()):
                    if not self.standing[bid_id].gotten:
                        self.book.withdraw(bid_id)
        if left is None:
            return
        rest = left.quantity - arc.quantity
        if one.keepers and one.order.issuer is not None:
            missing = max(0, one.wanted - one.gotten)
            rest = min(given_for(missing, one.order.omega), one.who.free)
        if rest >= dealing.LOT_MIN:
            self.book.replace_quantity(arc.bid, rest)
        else:
            self.book.withdraw(arc.bid)

    def _steps_back(self, one: Standing, gives: NodeId, given: int, got: Arc) -> bool:
        if not one.is_dealers:
            return False
        deal = dealing.Deal(gives, given, got.quality.issuer, int(got.quantity), self._now)
        return bool(dealing.refusal(deal, one.who.desk(), one.who.limits(), self._now))

    def _move(self, one: Standing, arc: Arc, got: Arc, day: int, ring: int) -> None:
        (gives, given), (gets, gotten) = ((each.quality, int(each.quantity)) for each in (arc, got))
        one.who.pay(gives, given)
        one.who.receive(gets, gotten, day)
        one.filled += given
        if one.is_dealers:
            deal = dealing.Deal(gives.issuer, given, gets.issuer, gotten, self._now)
            one.who.lost += max(dealing.loss_of(deal, one.who.desk()), 0)
        kinds = (gives.kind, gets.kind)
        self.trades.append(Trade(day, arc.giver, gives.issuer, given, gets.issuer, gotten, ring, kinds))


_text_of = cache(text_of)
_pattern_of = lru_cache(65536)(pattern_of)


def _wanted(order: Order) -> int:
    """Return how much an order wants to get: what it gives at its price, or a little more where both sides share."""
    ratio = order.omega[0] / order.omega[1]
    return int(order.quantity / (ratio if ratio <= 1 else ratio**0.5))
