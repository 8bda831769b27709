"""Whether a ring of at most three could close through a bid: most searches of a day find none, and this costs less.

A bound, never an answer: owners, quantities and who is refused are left to the matcher. What it calls hopeless the
matcher would not find, so a day comes out the same, only sooner.
"""

from collections.abc import Sequence
from typing import Final

from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book

PARTNERS_MAX: Final = 3  # longer chains than own, one, another are not looked through
_SLACK: Final = 1 - 1e-9  # products of three ratios in floats are wrong by less

_Offers = list[tuple[float, Bid]]


class Chances:
    """The bids of a book by what they want and what they give. Bids that left the book are passed over."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._by_want = dict[str, dict[str, _Offers]]()
        self._by_gift = dict[str, dict[str, _Offers]]()
        """The same lists the other way round: by what they give, then by what they want."""
        self._of_any = dict[str, _Offers]()
        """Bids that take anybody's notes, by what they give."""

    def add(self, bid: Bid) -> None:
        """Know of a bid that was put into the book."""
        bonus, wants, gift = bid.wants.bonus, bid.wants.text, bid.gives
        most = bid.provided * bonus[0] / (bid.required * bonus[1])
        if bid.wants.any_issuer:
            self._of_any.setdefault(gift, []).append((most, bid))
            return
        offers = self._by_want.setdefault(wants, {}).setdefault(gift, [])
        if not offers:
            self._by_gift.setdefault(gift, {})[wants] = offers
        offers.append((most, bid))

    def is_hopeless(self, own: Bid) -> bool:
        """Tell whether no ring of at most three closes through a limit bid, whatever the quantities."""
        if own.wants.any_issuer or own.wants.discounts or not own.limit:
            return False
        wanted, least = own.wants.text, _SLACK * own.required / own.provided
        taking, giving = self._by_want.get(own.gives, {}), self._by_gift.get(wanted, {})
        last = self._best_of(self._of_any.get(wanted, ()))
        if max(self._best_of(taking.get(wanted, ())), last) >= least:
            return False
        for first in (taking, self._of_any):
            if last and any(last * self._best_of(offers) >= least for offers in first.values()):
                return False
            if any(self._best_of(giving[gift]) * self._best_of(first[gift]) >= least for gift in first.keys() & giving):
                return False
        return True

    def _best_of(self, offers: Sequence[tuple[float, Bid]]) -> float:
        best = 0.0
        for ratio, bid in offers:
            if ratio > best and bid.id in self._book:
                best = ratio
        return best
