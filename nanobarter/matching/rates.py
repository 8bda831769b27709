"""At what rates qualities changed hands: what a pet currency can be told in."""

from dataclasses import dataclass
from fractions import Fraction

from nanobarter.core.units import Instant
from nanobarter.matching.clearing import Agreement

PAIRS_MAX = 10_000  # a rate takes about 300 bytes; the pair not seen for longest goes first


@dataclass(frozen=True, slots=True)
class Rate:
    """All that was seen of an unordered pair of qualities, ``first`` < ``second`` as texts."""

    first: str
    second: str
    first_sum: int
    second_sum: int
    agreements: int
    last: Fraction
    """Of the latest agreement: how much of ``second`` for one ``first``."""
    at: Instant | None = None
    """When the latest agreement was, if that is known."""

    @property
    def mean(self) -> Fraction:
        """How much of ``second`` for one ``first``, by volume."""
        return Fraction(self.second_sum, self.first_sum)


class Rates:
    """Rates by unordered pair of qualities, as executed agreements showed them."""

    def __init__(self, pairs_max: int = PAIRS_MAX) -> None:
        self._rates = dict[tuple[str, str], Rate]()
        self._pairs_max = pairs_max

    def observe(self, agreement: Agreement) -> None:
        """Take note of what each bid of an executed agreement received and gave."""
        bids, given = agreement.cycle.bids, agreement.given
        sides = len(bids) if len(bids) > 2 else 1  # noqa: PLR2004 - two bids see the same exchange from both sides
        for place in range(sides):
            self.note(bids[place - 1].gives, given[place - 1], bids[place].gives, given[place])

    def get(self, one: str, other: str) -> Rate | None:
        """Return the rate of two qualities, in either order."""
        return self._rates.get((min(one, other), max(one, other)))

    def every(self) -> list[Rate]:
        """Return all rates, by pair."""
        return [self._rates[pair] for pair in sorted(self._rates)]

    def note(self, received: str, received_sum: int, gave: str, gave_sum: int, at: Instant | None = None) -> None:
        """Take note that one party of an executed agreement received so much for so much; the oldest first."""
        if received == gave:
            return
        (first, first_sum), (second, second_sum) = sorted(((received, received_sum), (gave, gave_sum)))
        before = self._rates.pop((first, second), None)
        last = Fraction(second_sum, first_sum)
        if before is None:
            rate = Rate(first, second, first_sum, second_sum, 1, last, at)
        else:
            first_sum, second_sum = before.first_sum + first_sum, before.second_sum + second_sum
            rate = Rate(first, second, first_sum, second_sum, before.agreements + 1, last, at)
        self._rates[first, second] = rate
        if len(self._rates) > self._pairs_max:
            del self._rates[next(iter(self._rates))]
