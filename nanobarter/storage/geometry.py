"""How many shares a pack becomes, how many bring it back, and how sure that is.

The mark: a pack comes back with a probability of at least 99.99 % when each share is there with 0.75, independently
(Weatherspoon and Kubiatowicz, "Erasure coding vs. replication", 2002, has the sum). Few peers cannot reach it;
they get what they can give, the figure is computed and shown, and the pack is marked thin until more come.
Nobody is refused for having few peers.
"""

from dataclasses import dataclass
from math import comb
from typing import Final

from nanobarter.core.units import MIB
from nanobarter.storage.ports import SHARE_SIZES

SHARE_AVAILABILITY: Final = 0.75  # a home machine on an ordinary day; the plan's mark, not a measurement
RECOVERY_MARK: Final = 0.9999
REPAIR_FRACTION: Final = 0.4  # of the redundancy that must still be there; later repair risks loss, earlier costs space
BODY_BYTES_MAX: Final = 16 * MIB

# (peers from which the row holds, k, n)
_ROWS: Final = (
    (25, 10, 25),
    (17, 6, 17),
    (14, 4, 14),
    (12, 3, 12),
    (10, 4, 10),
    (6, 3, 6),
    (5, 2, 5),
    (4, 2, 4),
    (3, 1, 3),
    (2, 1, 2),
    (1, 1, 1),
)


@dataclass(frozen=True)
class Geometry:
    """k of n shares bring a pack back."""

    k: int
    n: int

    @property
    def recovery(self) -> float:
        """The probability that at least k of n shares are there, each with 0.75."""
        return recovery(self.k, self.n)

    @property
    def thin(self) -> bool:
        """Whether this is below the mark of 99.99 %."""
        return self.recovery < RECOVERY_MARK

    @property
    def repair_below(self) -> float:
        """Fewer proven shares than this and the pack is repaired: k + 0.4 (n - k)."""
        return repair_below(self.k, self.n)


def for_peers(count: int) -> Geometry:
    """Return the geometry for so many distinct peers. Raises ValueError for none at all."""
    for peers, k, n in _ROWS:
        if count >= peers:
            return Geometry(k, n)
    raise ValueError(f"{count} peers cannot hold a share; at least 1 is needed")


def of_durability(count: int, *, high: bool) -> Geometry:
    """Return the geometry for so many distinct peers (none counts as one) at normal or high durability."""
    found = for_peers(max(count, 1))
    return Geometry(high_k(found.k), found.n) if high else found


def outgrown(old: Geometry, new: Geometry) -> bool:
    """Tell whether what is stored thin under one geometry is worth storing again under another.

    A network grows through few rows of the table, so that this happens a handful of times at most.
    """
    return old.thin and new.recovery > old.recovery


def high_k(k: int) -> int:
    """Return the k of high durability: a third less, so that more shares may be lost, for up to twice the space."""
    return max(1, k * 2 // 3)


def recovery(k: int, n: int, availability: float = SHARE_AVAILABILITY) -> float:
    """Return the probability that k or more of n independent shares are there."""
    return sum(comb(n, i) * availability**i * (1 - availability) ** (n - i) for i in range(k, n + 1))


def repair_below(k: int, n: int) -> float:
    """Return the number of proven shares below which a pack is repaired."""
    return k + REPAIR_FRACTION * (n - k)


def body_bytes_max(k: int) -> int:
    """Return the longest pack body: at most 16 MiB, and k shares of at most 2 MiB."""
    return k * share_size_max(k)


def share_size_max(k: int) -> int:
    """Return the largest of the fixed share sizes of which k fit into 16 MiB."""
    return max(size for size in SHARE_SIZES if k * size <= BODY_BYTES_MAX)


def share_size_for(k: int, payload_bytes: int) -> int:
    """Return the smallest fixed share size of which k hold the payload.

    Raises ValueError when it is longer than ``body_bytes_max(k)``: such a payload is several packs.
    """
    for size in SHARE_SIZES:
        if payload_bytes <= k * size <= BODY_BYTES_MAX:
            return size
    raise ValueError(f"{payload_bytes} bytes do not fit into a pack of {k} shares ({body_bytes_max(k)} bytes)")
