"""What goes wrong in a world that nobody means: chances and bounds, all times in milliseconds."""

from dataclasses import dataclass

from nanobarter.core.units import MINUTE


@dataclass(frozen=True)
class Luck:
    """The faults of one world. What is zero does not happen."""

    loss: float = 0.0  # of a message, whichever way
    repeat: float = 0.0  # it comes twice
    delay: tuple[int, int] = (20, 400)  # one way; messages overtake each other
    late: float = 0.0  # it takes up to ``late_max`` instead
    late_max: int = 30_000
    disk: tuple[int, int] = (1, 12)  # a durable write
    crash: float = 0.0  # at each point between a write and a send
    crashes_max: int = 0
    down: tuple[int, int] = (1_000, 60_000)
    torn: float = 0.5  # a write under way when its node crashes is lost (else it is on disk, and nobody knows)
    skew: int = 0  # clocks are off by up to so much
    jumps: int = 0  # clocks that jump once, by up to ``jump_max`` either way
    jump_max: int = 2 * MINUTE
    partitions: int = 0  # times that the nodes fall into two halves
    partition_max: int = 3 * MINUTE
    outages: int = 0  # issuers that are away once, for up to ``outage_max``
    outage_max: int = 0
    proposals_max: int = 8  # drafts of the same ring, one after the other, until one becomes an agreement
