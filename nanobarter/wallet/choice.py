"""Which notes to pay a sum with: as few as possible, and as few splits as possible.

Denominations are powers of two, so each divides every larger one. Then taking the largest note that still fits, again
and again, finds an exact sum whenever there is one, and with the fewest notes. What remains is less than every note
left over, so splitting the smallest of those ends the search: one split pays any sum that the notes hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nanobarter.core.units import Quantity


@dataclass(frozen=True)
class Exact:
    """These notes (places in the list) are the sum."""

    picked: tuple[int, ...]


@dataclass(frozen=True)
class Resize:
    """First swap these notes for these quantities at the mint, then choose again."""

    inputs: tuple[int, ...]
    outputs: tuple[Quantity, ...]


def decompose(quantity: Quantity, denominations: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """Return the fewest denominations that add up to the quantity, largest first.

    ``denominations`` are powers of two with 1 among them; the largest may repeat.
    """
    parts, left = list[Quantity](), int(quantity)
    for denomination in sorted(denominations, reverse=True):
        count, left = divmod(left, denomination)
        parts += [denomination] * count
    if left:
        raise ValueError(f"{quantity} is no sum of {sorted(denominations)}")
    return tuple(parts)


def choose(
    have: Sequence[Quantity], wanted: Quantity, denominations: Sequence[Quantity], *, notes_max: int
) -> Exact | Resize | None:
    """Return how to pay ``wanted`` with the notes at hand, or None when their sum is too small.

    ``denominations`` are those of the keyset that fresh notes come from; at most ``notes_max`` notes go into one
    request and come out of it. A result of ``Resize`` makes progress: after it ``choose`` again is nearer to Exact.
    """
    order = sorted(range(len(have)), key=lambda i: (-have[i], i))
    picked, left = list[int](), int(wanted)
    for i in order:
        if have[i] <= left:
            picked.append(i)
            left -= have[i]
    if left == 0 and len(picked) <= notes_max:
        return Exact(tuple(picked))
    if left == 0:
        return _merge(have, picked[-notes_max:], denominations, notes_max)
    chosen = set(picked)
    spare = [i for i in order if i not in chosen]
    if not spare:
        return None
    split = spare[-1]
    change = Quantity(have[split] - left)
    outputs = decompose(Quantity(left), denominations) + decompose(change, denominations)
    if len(outputs) > notes_max:
        # A keyset of small denominations cannot carry so large a note at once; pay what fits, hold on to the rest.
        return None
    return Resize((split,), outputs)


def _merge(
    have: Sequence[Quantity], small: list[int], denominations: Sequence[Quantity], notes_max: int
) -> Resize | None:
    """Swap the smallest of too many notes for fewer; None when the keyset has nothing larger to offer."""
    outputs = decompose(Quantity(sum(have[i] for i in small)), denominations)
    if len(outputs) >= min(len(small), notes_max):
        return None
    return Resize(tuple(small), outputs)
