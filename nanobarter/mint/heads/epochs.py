"""What the head of an epoch says, read from the mint's tables.

An epoch is over once the durable time has passed its end: nothing can be committed in it any more, since dates never
run back. Its rows never change either, until they are purged weeks later; so its entries may be read from any later
commit, while sums and counts are those of one instant, read in one transaction.
"""

from dataclasses import dataclass
from typing import Final

from nanobarter.core.canonical import decode
from nanobarter.core.ids import KeysetId
from nanobarter.core.units import Instant, Quantity
from nanobarter.mint.answer_messages import Contract, Locked
from nanobarter.mint.messages import LockTerms
from nanobarter.mint.proofs import entries
from nanobarter.mint.proofs.heads import KEYSETS_MAX, Count, Head, KeysetCounts, Promises
from nanobarter.mint.proofs.tree import ISSUED, LEASES, LOCKS, SPENT, Entry, SortedTree
from nanobarter.mint.rows import ROW_BYTES_MAX, Db
from nanobarter.mint.rules import EPOCH_SPAN

LATE_MAX: Final = 24  # epochs; a head is not made later: rows are kept for weeks, so they are all there until then


Listed = dict[int, list[Entry]]
"""The entries of each tree, by its number."""


@dataclass(frozen=True)
class Sums:
    """What stands at one instant."""

    at: Instant
    promises: tuple[Promises, ...]
    keysets: tuple[KeysetCounts, ...]


def sums(db: Db, at: Instant) -> Sums:
    """Return the totals and counts of this transaction; ``at`` must be the durable time in it."""
    sql = "SELECT kind, pledged, outstanding, locked, leased FROM mint_totals ORDER BY kind"
    promises = tuple(Promises(*row) for row in db.execute(sql).fetchall())
    counts = dict[bytes, list[Count]]()
    sql = (
        "SELECT keyset_id, quantity, issued, spent FROM mint_keys JOIN mint_keysets ON number = keyset "
        "WHERE issued > 0 AND closed < 2 ORDER BY issue_from DESC, keyset_id, quantity"
    )
    for keyset, quantity, issued, spent in db.execute(sql):
        counts.setdefault(keyset, []).append(Count(Quantity(quantity), issued, spent))
    listed = [KeysetCounts(KeysetId(keyset), tuple(found)) for keyset, found in counts.items()]
    return Sums(at, promises, tuple(listed[:KEYSETS_MAX]))


def due(db: Db, newest: int | None, now_epoch: int) -> list[int]:
    """Return the epochs that are over and still need a head: those with commits, and the last one in any case."""
    first = max(now_epoch - LATE_MAX, 0 if newest is None else newest + 1)
    sql = "SELECT DISTINCT committed_at / ? FROM mint_requests WHERE committed_at >= ? AND committed_at < ?"
    found = {row[0] for row in db.execute(sql, (EPOCH_SPAN, first * EPOCH_SPAN, now_epoch * EPOCH_SPAN))}
    if first < now_epoch:
        found.add(now_epoch - 1)
    return sorted(found)


def entries_in(db: Db, epoch: int) -> Listed:
    """Return the entries of an epoch's four trees. Reads the spent and issued rows once: some seconds at 10^7."""
    span = (epoch * EPOCH_SPAN, (epoch + 1) * EPOCH_SPAN)
    within = "committed_at >= ? AND committed_at < ?"
    joined = "JOIN mint_requests AS r ON r.number = t.request WHERE r." + within
    spent = db.execute(f"SELECT t.note, r.request_id FROM mint_spent AS t {joined}", span)  # noqa: S608 - no values
    issued = db.execute(f"SELECT t.output, r.request_id FROM mint_issued AS t {joined}", span)  # noqa: S608 - as above
    locks = db.execute("SELECT terms, locked_at FROM mint_locks WHERE locked_at >= ? AND locked_at < ?", span)
    results = db.execute(
        f"SELECT result FROM mint_requests WHERE result IS NOT NULL AND {within}",  # noqa: S608 - as above
        span,
    )
    return {
        ISSUED: [entries.issued(output, request) for output, request in issued],
        SPENT: [entries.spent(note, request) for note, request in spent],
        LOCKS: [entries.locked(Locked(_terms(raw), Instant(at))) for raw, at in locks],
        LEASES: [entries.leased(_contract(raw)) for (raw,) in results],
    }


def _terms(raw: bytes) -> LockTerms:
    return decode(raw, LockTerms, size_max=ROW_BYTES_MAX)


def _contract(raw: bytes) -> Contract:
    return decode(raw, Contract, size_max=ROW_BYTES_MAX)


def compose(epoch: int, generation: int, since: Instant, stands: Sums, listed: Listed) -> Head:
    """Return the head of an epoch."""
    roots = {tree: SortedTree(tree, found).root for tree, found in listed.items()}
    return Head(
        epoch=epoch,
        generation=generation,
        since=since,
        at=stands.at,
        promises=stands.promises,
        keysets=stands.keysets,
        issued=roots[ISSUED],
        spent=roots[SPENT],
        locks=roots[LOCKS],
        leases=roots[LEASES],
    )
