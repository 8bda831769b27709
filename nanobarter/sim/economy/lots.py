"""Notes and leases as lots: when they end, and how many MiB."""

from collections.abc import Iterable


def without(lots: Iterable[tuple[int, int]], quantity: int) -> list[tuple[int, int]]:
    """Return what is left after so much was given, of those that end first."""
    left, kept = quantity, list[tuple[int, int]]()
    for end, size in sorted(lots):
        taken = min(left, size)
        left -= taken
        if size > taken:
            kept.append((end, size - taken))
    return kept
