"""Whether a ring of at most three could close through a bid: most searches of a day find none, and this costs less.

A bound, never an answer: owners, quantities and who is refused are left to the matcher. What it calls hopeless the
matcher would not find, so a day comes out the same, only sooner.
"""

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
        self._of_any = dict[str, _Offers]()
        """Bids that take anybody's notes, by what they give."""

    def add(self, bid: Bid) -> None:
        """Know of a bid that was put into the book."""
        by_gift = self._of_any if bid.wants.any_issuer else self._by_want.setdefault(bid.wants.text, {})
        bonus = bid.wants.bonus
        most = bid.provided * bonus[0] / (bid.required * bonus[1])
        by_gift.setdefault(bid.gives, []).append((most, bid))

    def is_hopeless(self, own: Bid) -> bool:
        """Tell whether no ring of at most three closes through a limit bid, whatever the quantities."""
        if own.wants.any_issuer or own.wants.discounts or not own.limit:
            return False
        wanted, least = own.wants.text, _SLACK * own.required / own.provided
        taking = self._by_want.get(own.gives, {})
        if max(self._best(taking, wanted), self._best(self._of_any, wanted)) >= least:
            return False
        last = self._best(self._of_any, wanted)
        for found in (taking, self._of_any):
            for gift, offers in found.items():
                second = max(last, self._best(self._by_want.get(gift, {}), wanted))
                if second and second * self._best_of(offers) >= least:
                    return False
        return True

    def _best(self, by_gift: dict[str, _Offers], gift: str) -> float:
        offers = by_gift.get(gift)
        return self._best_of(offers) if offers else 0.0

    def _best_of(self, offers: _Offers) -> float:
        return max((ratio for ratio, bid in offers if bid.id in self._book), default=0.0)
