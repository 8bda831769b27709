"""What is kept of drafts that have ended: how, for late questions, and what our bids gave in them.

Whoever lets drafts end for nothing must not fill the disk. One that never became an agreement is kept for as long as
it can be sent again, and no more than a number of them: were it forgotten sooner, its proposer could only draft it
once more, and our new approval would have a new secret. Of agreements that came to nothing a larger number is kept.
What took something of a bid stays for weeks: what settled, what paid us and has to be made good, and what we paid for
nothing. An owner who gives at most so much does not mean so much for each of them.
"""

import sqlite3
from typing import Final, TypeGuard, cast

from nanobarter.core.canonical import decode
from nanobarter.core.ids import AgreementId, BidId, DraftId
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, Quantity, before
from nanobarter.swap.messages import AGREED_MAX, DRAFT_MAX, open_approve
from nanobarter.swap.states import TAKING, Ended, State

TABLES: Final = """
    CREATE TABLE swap_settled ( -- what bids of ours gave
        draft BLOB PRIMARY KEY, bid BLOB NOT NULL, quantity INTEGER NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX swap_settled_bid ON swap_settled (bid, quantity);
    CREATE INDEX swap_drafts_refused ON swap_drafts (changed) WHERE ended = 1 AND agreement IS NULL;
    CREATE INDEX swap_drafts_over ON swap_drafts (changed) WHERE ended = 1 AND agreement IS NOT NULL;
    CREATE INDEX swap_hashes_draft ON swap_hashes (draft);
"""
STATE_MAX: Final = DRAFT_MAX + 3 * AGREED_MAX + 64 * 1024
Db = sqlite3.Connection

_REFUSED: Final = "SELECT draft FROM swap_drafts WHERE ended = 1 AND agreement IS NULL"
_BROKEN: Final = (
    "SELECT draft FROM swap_drafts WHERE ended = 1 AND agreement IS NOT NULL"
    " AND draft NOT IN (SELECT draft FROM swap_settled)"
)


def fill(db: Db) -> None:
    """Note what bids gave in the drafts of a file that was written before this was noted."""
    for draft, blob, at in db.execute("SELECT draft, state, changed FROM swap_drafts WHERE ended = 1").fetchall():
        state = read_state(blob)
        if isinstance(state, Ended):
            note(db, DraftId(draft), state, Instant(at))


def note(db: Db, draft: DraftId, state: Ended, now: Instant) -> None:
    """Note what a draft took of our bid, if it took anything. Call it in the write that ends the draft."""
    if takes(state):
        row = (draft, state.mine.bid, open_approve(state.mine.approval).quantity, now)
        db.execute("INSERT OR IGNORE INTO swap_settled VALUES (?, ?, ?, ?)", row)


def takes(state: State | None) -> TypeGuard[Ended]:
    """Tell whether a draft has ended and took what was promised in it: as agreed, by a debt, or for nothing."""
    return isinstance(state, Ended) and state.outcome in TAKING


def settled_quantity(db: Db, bid: BidId) -> Quantity:
    """Return how much a bid of ours gave, or owes, in the drafts that are still remembered."""
    (quantity,) = db.execute("SELECT coalesce(sum(quantity), 0) FROM swap_settled WHERE bid = ?", (bid,)).fetchone()
    return Quantity(quantity)


def ended_agreements(db: Db) -> list[tuple[AgreementId, Ended, Instant]]:
    """Return the ended drafts that had become agreements, and when each ended, the first one first."""
    sql = "SELECT agreement, state, changed FROM swap_drafts WHERE ended = 1 AND agreement IS NOT NULL ORDER BY changed"
    found = [(AgreementId(a), read_state(blob), Instant(at)) for a, blob, at in db.execute(sql).fetchall()]
    return [(a, state, at) for a, state, at in found if isinstance(state, Ended)]


def is_over(db: Db, agreement: AgreementId) -> bool:
    """Tell whether we were a party of an agreement that has ended."""
    sql = "SELECT 1 FROM swap_drafts WHERE agreement = ? AND ended = 1"
    return db.execute(sql, (agreement,)).fetchone() is not None


def forget_most(db: Db, limits: Limits) -> None:
    """Forget the oldest ended drafts beyond the numbers that are kept. Call it in each write that ends a draft."""
    _forget(db, f"{_REFUSED} ORDER BY changed DESC LIMIT -1 OFFSET ?", limits.swap_refused_max)
    (over,) = db.execute("SELECT count(*) FROM swap_drafts WHERE ended = 1 AND agreement IS NOT NULL").fetchone()
    if over > limits.swap_broken_max:  # else there is nothing to sort out
        _forget(db, f"{_BROKEN} ORDER BY changed DESC LIMIT -1 OFFSET ?", limits.swap_broken_max)


def forget_old(db: Db, limits: Limits, now: Instant) -> None:
    """Forget ended drafts that can no longer matter: nobody can send them again, or all their locks have lapsed."""
    _forget(db, f"{_REFUSED} AND changed < ?", before(now, limits.swap_refused_kept))
    kept_since = before(now, limits.swap_kept)
    db.execute("DELETE FROM swap_drafts WHERE ended = 1 AND changed < ?", (kept_since,))
    db.execute("DELETE FROM swap_settled WHERE at < ?", (kept_since,))


def _forget(db: Db, which: str, bound: int) -> None:
    gone = db.execute(which, (bound,)).fetchall()
    db.executemany("DELETE FROM swap_drafts WHERE draft = ?", gone)
    db.executemany("DELETE FROM swap_hashes WHERE draft = ?", gone)


def read_state(blob: bytes) -> State:
    """Return a state as it was written."""
    return decode(blob, cast("type[State]", State), size_max=STATE_MAX)
