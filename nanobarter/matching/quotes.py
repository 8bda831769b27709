"""What the book would give, asked without bidding; and the bid that makes a wished agreement come true.

``quote`` lists prices. ``offer`` begins the interactive form of the first openBarter paper (Chaussavoine): the best
chain is shown; the participant changes the quantity and the omega he would have; the others share the remaining
effort equally; and the omega of a new bid is solved for that yields just that agreement. ``wish`` does all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import exp, log

from nanobarter.matching.bids import Bid, Name, Pattern, Ratio
from nanobarter.matching.book import Book
from nanobarter.matching.cycle import Cycle, cycle_of, quantities_of
from nanobarter.matching.quantities import Leg, flow, product
from nanobarter.matching.rules import OWN, Rules

_OPEN: Ratio = (2**600, 1)  # an omega at which every chain of 8 bids trades, so that all are found, the best first
_UNLIMITED = 2**200
_RATIO_MAX = 2**62  # the greatest number of a ratio in a bid
COUPLES_MAX = 64
CHAINS_MAX = 64  # chains that a wish is tried with; those behind them cost more, or as much


@dataclass(frozen=True, slots=True)
class Couple:
    """So much is received for so much given."""

    received: int
    given: int


@dataclass(frozen=True, slots=True)
class Quote:
    """Couples by rising price, each beyond those before it. ``cut``: a bound ended the search, there may be more."""

    couples: tuple[Couple, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Effort:
    """What an agreement asks of a partner: omega' / omega. Below 1 he gives less for a unit than he would."""

    bid: Name
    ratio: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A wished agreement, and the bid that yields it when it is put into the same book."""

    bid: Bid
    cycle: Cycle
    given: tuple[int, ...]
    """What each bid of the cycle gives; the participant's is last."""
    efforts: tuple[Effort, ...]

    @property
    def couple(self) -> Couple:
        """What the participant receives and gives."""
        return Couple(self.given[-2], self.given[-1])


@dataclass(frozen=True, slots=True)
class Offer:
    """The best chain for somebody who wants and gives something.

    At ``couple`` the partners trade at just what they ask for. ``cut`` says that a bound ended the search.
    """

    owner: Name
    wants: Pattern
    gives: str
    chain: tuple[Bid, ...]
    product: Fraction
    """What the omegas of the chain multiply to: 1 / product is the best omega for the participant."""
    couple: Couple
    cut: bool

    def proposal(self, name: Name, *, received: int | None = None, omega: Fraction | None = None) -> Proposal | None:
        """Return the agreement on so much at an omega of one's own, with the bid (of this id) that yields it.

        ``received`` is at most the offer's; absent, it is the offer's. ``omega`` is what one would give for a unit,
        absent the offer's 1 / product. None when no whole quantities serve, or the omega asks more of a partner than
        his bid allows. Raises ValueError for a quantity beyond the offer's or an omega that is not positive.
        """
        received = self.couple.received if received is None else received
        wished = 1 / self.product if omega is None else omega
        if not 1 <= received <= self.couple.received:
            raise ValueError(f"{received} is not between 1 and the offer's {self.couple.received}")
        if wished <= 0:
            raise ValueError(f"an omega is positive, not {wished}")
        given = max(1, round(wished * received))
        bid = Bid(name, self.owner, True, self.gives, self.wants, *self._solved(wished), quantity=given)
        cycle = cycle_of((*self.chain, bid))
        quantities = quantities_of(cycle)
        if quantities is None:
            return None
        return Proposal(bid, cycle, quantities, self._efforts(cycle))

    def _solved(self, wished: Fraction) -> Ratio:
        """Return the omega of a bid whose omega' is the wished one: formula [4] solved for omega.

        With k = m * b of the participant, omega * (product * omega)^(-1/k) = wished. It is rounded up, so that the
        bid does not refuse its own agreement.
        """
        if self.product * wished == 1:
            return _as_ratio(wished)
        owners = [self.owner, *(bid.owner for bid in self.chain)]
        parts = len(set(owners)) * owners.count(self.owner)
        total = (parts * _log(wished) + _log(self.product)) / (parts - 1)
        return _as_ratio(Fraction(exp(total)) * (1 + Fraction(1, 2**48)))

    def _efforts(self, cycle: Cycle) -> tuple[Effort, ...]:
        owners = [bid.owner for bid in cycle.bids]
        surplus = _log(cycle.omega) / len(set(owners))
        return tuple(Effort(bid.id, exp(-surplus / owners.count(bid.owner))) for bid in self.chain)


def quote(book: Book, wants: Pattern, gives: str, *, owner: Name, rules: Rules = OWN) -> Quote:
    """Return what could be had for what, at which price, if nobody else came first; nothing is reserved."""
    from nanobarter.matching.search import Search  # noqa: PLC0415 - numpy loads at the first search

    asker = _asker(book, wants, gives, owner)
    search = Search(book, asker, rules)
    left = dict[Name, int]()
    couples = list[Couple]()
    for cycle in search.cycles():
        chain = cycle.bids[:-1]
        legs = [
            leg._replace(stock=left.get(bid.id, bid.quantity)) for leg, bid in zip(cycle.legs[:-1], chain, strict=True)
        ]
        given = _flow_at_cost(legs, owner)
        if given is None:
            continue
        for bid, leg, quantity in zip(chain, legs, given, strict=False):
            left[bid.id] = leg.stock - quantity
        couples.append(Couple(given[-2], given[-1]))
        if len(couples) == COUPLES_MAX:
            return Quote(tuple(couples), cut=True)
    return Quote(tuple(couples), search.cut)


def offer(book: Book, wants: Pattern, gives: str, *, owner: Name, rules: Rules = OWN) -> Offer | None:
    """Return the best chain that gives something wanted for something given, or None when there is none."""
    return next(_offers(book, wants, gives, owner, rules), None)


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why no bid yields what was wished."""

    chains: int
    """So many chains were tried."""
    widest: int
    """The most that one of them gives."""
    forestalled: bool
    """A bid at that omega would first trade with another chain, and not just as wished."""


def wish(
    book: Book,
    wants: Pattern,
    gives: str,
    name: Name,
    *,
    owner: Name,
    received: int | None = None,
    omega: Fraction | None = None,
    rules: Rules = OWN,
) -> Proposal | Unmet:
    """Return the bid (of this id) that yields an agreement on so much at so much, as ``Offer.proposal`` has it.

    Chains are tried by falling price until one carries the wish. That the bid, put into the book as it is now, is
    executed with this chain first and in these quantities is not supposed but searched for.
    """
    tried, widest, forestalled = 0, 0, False
    for found in _offers(book, wants, gives, owner, rules):
        tried, widest = tried + 1, max(widest, found.couple.received)
        if received is None or received <= found.couple.received:
            proposal = found.proposal(name, received=received, omega=omega)
            if proposal is not None and _comes_first(book, proposal, rules):
                return proposal
            forestalled |= proposal is not None
        if tried == CHAINS_MAX:
            break
    return Unmet(tried, widest, forestalled)


def _offers(book: Book, wants: Pattern, gives: str, owner: Name, rules: Rules) -> Iterator[Offer]:
    from nanobarter.matching.search import Search  # noqa: PLC0415 - numpy loads at the first search

    search = Search(book, _asker(book, wants, gives, owner), rules)
    for cycle in search.cycles():
        given = _flow_at_cost(cycle.legs[:-1], owner)
        if given is not None:
            chain = cycle.bids[:-1]
            worth = product(cycle.legs[:-1]) * _discount(wants, chain)
            yield Offer(owner, wants, gives, chain, worth, Couple(given[-2], given[-1]), search.cut)


def _comes_first(book: Book, proposal: Proposal, rules: Rules) -> bool:
    from nanobarter.matching.search import Search  # noqa: PLC0415 - numpy loads at the first search

    for cycle in Search(book, proposal.bid, rules).cycles():
        given = quantities_of(cycle, rules)
        if given is not None:
            return (cycle.bids, given) == (proposal.cycle.bids, proposal.given)
    return False


def _asker(book: Book, wants: Pattern, gives: str, owner: Name) -> Bid:
    """Return a bid for the search alone; its id is of the book's kind and not in it."""
    some = next(iter(book), None)
    name: Name = b"" if some is None or isinstance(some.id, bytes) else "" if isinstance(some.id, str) else -1
    if name in book:
        raise ValueError(f"the id {name!r} is kept for those who ask")
    return Bid(name, owner, True, gives, wants, *_OPEN, quantity=_UNLIMITED)


def _flow_at_cost(legs: Sequence[Leg], owner: Name) -> tuple[int, ...] | None:
    """Return the flow through a chain closed by somebody who pays what it asks for, without a bound of his own."""
    if any(leg.stock <= 0 for leg in legs):
        return None
    cost = 1 / product(legs)
    return flow([*legs, Leg(owner, (cost.numerator, cost.denominator), None, _UNLIMITED)])


def _discount(wants: Pattern, chain: Sequence[Bid]) -> Fraction:
    return Fraction(*(wants.accepts(chain[-1].gives) or (1, 1)))


def _log(ratio: Fraction) -> float:
    return log(ratio.numerator) - log(ratio.denominator)


def _as_ratio(value: Fraction) -> Ratio:
    """Return a ratio of numbers that a bid may hold, not below the value by more than one part in 2^60."""
    if value.numerator <= _RATIO_MAX and value.denominator <= _RATIO_MAX:
        return (value.numerator, value.denominator)
    shift = max(0, value.numerator.bit_length(), value.denominator.bit_length()) - 61
    above, below = -(-value.numerator >> shift), max(1, value.denominator >> shift)
    return (above, below)
