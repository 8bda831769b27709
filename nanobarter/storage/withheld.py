"""Shares withheld: a peer shows others of its shares, round after round, and never this one.

Whoever lost a share would rather say nothing than sign that he lost it: silence convicts nobody. So a silence counts
too, for our own opinion alone, where nothing else explains it: the peer was there and showed another share in the same
round. One such round may be chance, a restart in the middle of it for instance. So each twelfth of the grace for
silent peers counts once, and eight must be counted without a single proof of the share. Time in which the peer was off,
or we were, does not count: nothing was shown. The share itself is treated like any that is silent: once the grace is
over it is not counted on, and repair stores it elsewhere; but who needs it still asks for it, and may get it.
"""

import sqlite3
from typing import Final

from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant
from nanobarter.storage.placements import Placement

PROBLEM: Final = "withheld, while other shares were shown"


def withheld(db: sqlite3.Connection, placement: Placement, at: Instant, limits: Limits) -> bool:
    """Note that a peer left a share unanswered in a round in which it showed another one.

    True once, when that has lasted for long enough to be taken for a wrong answer.
    """
    key = (placement.pack_id, placement.index, placement.node)
    counted = db.execute(
        "UPDATE storage_placements SET withheld = withheld + 1, withheld_at = ? WHERE state = 'held' "
        "AND pack_id = ? AND share_index = ? AND node = ? AND (withheld = 0 OR withheld_at <= ?) RETURNING withheld",
        (at, *key, at - limits.audit_offline // 12),
    ).fetchone()
    return counted is not None and counted[0] == limits.audit_withheld_twelfths
