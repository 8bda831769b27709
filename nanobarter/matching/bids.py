"""What a participant offers and what he accepts for it.

A quality is a text. Its issuer is what follows the first colon (``90d:alice`` is issued by ``alice``); a text
without a colon is its own issuer. omega is provided / received: how much the owner gives for one unit, so a
smaller number is a better price for him. Ratios are pairs of integers and are never rounded.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from msgspec import Struct

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
    plain: bool = field(init=False, compare=False, repr=False)
    """No issuer is refused or discounted."""

    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", not self.refused and not self.discounts)
        object.__setattr__(self, "_hash", hash((self.text, self.any_issuer, self.refused, self.discounts)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def bonus(self) -> Ratio:
        """The greatest factor, at least par, by which a discount table may raise omega (a premium does)."""
        if not self.discounts:
            return PAR
        return max((PAR, *(ratio for _, ratio in self.discounts)), key=lambda ratio: Fraction(*ratio))

    def accepts(self, quality: str) -> Ratio | None:
        """Return the discount under which the quality is accepted (1/1 is par), or None."""
        if not (quality.startswith(self.text) if self.any_issuer else quality == self.text):
            return None
        if self.plain:
            return PAR
        issuer = issuer_of(quality)
        if issuer in self.refused:
            return None
        return next((ratio for name, ratio in self.discounts if name == issuer), PAR)


class Bid(Struct, frozen=True):
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

    def __lt__(self, other: "Bid") -> bool:
        """Tell whether this bid is to be taken first: it gives more for a unit, or is older, or has the lower id."""
        mine, its = self.provided * other.required, other.provided * self.required
        return mine > its or (mine == its and self.seniority < other.seniority)

    @property
    def seniority(self) -> tuple[int, Any]:
        """What decides between equal offers, the smallest first."""
        return (self.age, self.id)
