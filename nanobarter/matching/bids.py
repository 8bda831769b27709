"""What a participant offers and what he accepts for it.

A quality is a text. Its issuer is what follows the first colon (``90d:alice`` is issued by ``alice``); a text
without a colon is its own issuer. omega is provided / received: how much the owner gives for one unit, so a
smaller number is a better price for him. Ratios are pairs of integers and are never rounded.
"""

from dataclasses import dataclass

from nanobarter.core.units import Instant

Name = int | str | bytes
"""An id or an owner. All the ids of one book are of one type, so that they can be ordered."""

Ratio = tuple[int, int]
"""An exact positive fraction: numerator, denominator."""

PAR: Ratio = (1, 1)


def issuer_of(quality: str) -> str:
    """Return who stands behind a quality."""
    return quality.partition(":")[2] or quality


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which qualities an owner accepts: one, or (``any_issuer``) all whose text begins with ``text``.

    ``refused`` issuers are left out. ``discounts`` multiply omega for what some issuers stand behind: at 1/2
    the owner gives half as much for a unit of it.
    """

    text: str
    any_issuer: bool = False
    refused: frozenset[str] = frozenset()
    discounts: tuple[tuple[str, Ratio], ...] = ()

    def accepts(self, quality: str) -> Ratio | None:
        """Return the discount under which the quality is accepted (1/1 is par), or None."""
        if not (quality.startswith(self.text) if self.any_issuer else quality == self.text):
            return None
        if not self.refused and not self.discounts:
            return PAR
        issuer = issuer_of(quality)
        if issuer in self.refused:
            return None
        return next((ratio for name, ratio in self.discounts if name == issuer), PAR)


@dataclass(frozen=True, slots=True)
class Bid:
    """Give up to ``quantity`` of ``gives`` for what fits ``wants``.

    A ``limit`` bid never gives more than ``provided / required`` for a unit received. A best bid takes the
    compromise, though never worse than its ``floor`` (a ratio of the same kind), when it has one. Both are
    multiplied by the discount of what is received. ``age`` orders equal offers: the smaller is the older.
    """

    id: Name
    owner: Name
    limit: bool
    gives: str
    wants: Pattern
    provided: int
    required: int
    quantity: int
    age: int = 0
    floor: Ratio | None = None
    expires: Instant | None = None

    def cap(self) -> Ratio | None:
        """Return the most that the owner ever gives for one unit at par, or None when he has no bound."""
        return (self.provided, self.required) if self.limit else self.floor
