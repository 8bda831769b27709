"""The person's own currency: any name, any symbol, tied by an anchor to what she understands.

``1 GB for 30 days on a 95 % peer = 10`` fixes what the yardstick of ``rates`` is worth. Time is linear: sixty days are
worth twice thirty. Amounts are exact fractions until they are shown.
"""

from dataclasses import dataclass
from fractions import Fraction

from nanobarter.core.units import MIB
from nanobarter.translator.rates import REFERENCE_DAYS, Figure, value_by_reliability


@dataclass(frozen=True)
class Pet:
    """A currency. ``unit`` is what one MiB of the yardstick (30 days, 95 %) is worth in it."""

    name: str
    symbol: str
    unit: Fraction

    @classmethod
    def anchored(
        cls, name: str, symbol: str, *, size_bytes: int, days: int, reliability: float, worth: Fraction
    ) -> "Pet":
        """Return the currency in which so many bytes for so many days on such a peer are worth ``worth``."""
        value = Fraction(value_by_reliability(reliability)).limit_denominator(10**6)
        yardsticks = Fraction(size_bytes, MIB) * Fraction(days, REFERENCE_DAYS) * value
        return cls(name, symbol, worth / yardsticks)

    def amount(self, quantity: int, figure: Figure) -> Fraction:
        """Return what so many MiB are worth."""
        return quantity * figure.value * self.unit

    def show(self, amount: Fraction) -> str:
        """Return an amount for people: two decimals, then the symbol."""
        return f"{self.number(amount)} {self.symbol}".rstrip()

    def number(self, amount: Fraction) -> str:
        """Return an amount as decimal text, rounded to two places."""
        hundredths = round(amount * 100)
        sign = "-" if hundredths < 0 else ""
        return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
