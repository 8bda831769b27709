"""What a node tells of bids, quotes, rates and agreements. See ``facade``."""

from typing import Literal

from nanobarter.daemon.shape import Part, Shape


class BidRow(Part, frozen=True, kw_only=True):
    """One live bid: what its author gives for what. ``gives`` and ``wants`` are for reading, not parsing.

    ``omega`` and ``floor`` (empty: none) are ratios like ``3/2``: how much is given for one that is received.
    """

    bid: str
    node: str
    own: bool
    gives: str
    wants: str
    quantity_mib: int
    expires: int
    type: Literal["limit", "best"] = "limit"
    omega: str = "1/1"
    floor: str = ""
    by_hand: bool = False


class Agreement(Part, frozen=True, kw_only=True):
    """One ring that this node took part in: the parties in ring order, what it gave and what it got."""

    draft_id: str
    parties: tuple[str, ...]
    state: Literal["drafted", "approved", "settled", "refused", "aborted"]
    gave_issuer: str = ""
    gave_kind: str = ""
    gave_mib: int = 0
    got_issuer: str = ""
    got_kind: str = ""
    got_mib: int = 0
    at: int = 0
    detail: str = ""


class MarketView(Shape, frozen=True, kw_only=True, tag="market"):
    """The book as this node heard it, and its agreements, newest last."""

    bids: tuple[BidRow, ...] = ()
    agreements: tuple[Agreement, ...] = ()


class BidPlaced(Shape, frozen=True, kw_only=True, tag="market_bid"):
    """A bid by hand that stands now."""

    bid: BidRow


class BidWithdrawn(Shape, frozen=True, kw_only=True, tag="market_withdraw"):
    """A bid by hand that no longer stands. ``at_work``: a draft that had begun with it still runs to its end."""

    bid: str
    at_work: bool = False


class MarketBook(Shape, frozen=True, kw_only=True, tag="market_book"):
    """The live bids, with every term."""

    bids: tuple[BidRow, ...] = ()


class Couple(Part, frozen=True, kw_only=True):
    """So much is received for so much given."""

    received_mib: int
    given_mib: int


class PartnerRow(Part, frozen=True, kw_only=True):
    """One bid of a chain and what a wished agreement asks of it: to give ``effort`` times its omega for a unit."""

    bid: str
    node: str
    gives: str
    gives_mib: int
    omega: str
    effort: float
    omega_asked: float


class Proposal(Part, frozen=True, kw_only=True):
    """A wished agreement over the best chain, and the bid that yields it while the book stays as it is.

    ``chain`` begins with who receives from us and ends with who gives to us. The bid gives at most
    ``quantity_mib`` at ``omega``; ``command`` posts it.
    """

    chain: tuple[PartnerRow, ...]
    received_mib: int
    given_mib: int
    omega: str
    quantity_mib: int
    command: str


class MarketQuote(Shape, frozen=True, kw_only=True, tag="market_quote"):
    """What could be had now, the best price first, each couple beyond those before it; nothing is reserved.

    ``cut`` says that a bound ended the search, so that there may be more. ``proposal`` is the wish come true, or
    without a wish the best chain at what it asks for; None when there is no chain.
    """

    gives: str
    wants: str
    couples: tuple[Couple, ...] = ()
    cut: bool = False
    proposal: Proposal | None = None


class RateRow(Part, frozen=True, kw_only=True):
    """All agreements of this node that exchanged two qualities; the last was settled at ``at``.

    ``mean`` (by volume) and ``last`` are ratios: so much of ``second`` for one of ``first``.
    """

    first: str
    second: str
    first_mib: int
    second_mib: int
    agreements: int
    mean: str
    last: str
    at: int


class MarketRates(Shape, frozen=True, kw_only=True, tag="market_rates"):
    """At what rates qualities changed hands, by unordered pair."""

    rates: tuple[RateRow, ...] = ()
