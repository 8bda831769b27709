"""Each head that the mint signed against its trees, and the trees against the rows that they were grown from.

A row can vanish together with every running number that counts it; a head that was signed before cannot follow.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.core.keys import Signed
from nanobarter.mint.audit_rows import young
from nanobarter.mint.findings import Finding, found, read
from nanobarter.mint.heads.epochs import entries_in
from nanobarter.mint.heads.rows import entries_of
from nanobarter.mint.proofs.heads import Head, open_head
from nanobarter.mint.proofs.tree import ISSUED, LEASES, LOCKS, SPENT, Entry, SortedTree
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import EPOCH_SPAN

COMPARED_MAX: Final = 24  # heads compared with rows, the newest: each costs one pass over the spent and issued rows
_TREES: Final = {ISSUED: "issued", SPENT: "spent", LOCKS: "locks", LEASES: "leases"}


def heads(db: Db) -> Iterator[Finding]:
    """Compare heads with their columns, signers, laws, trees and rows. A mint without heads has nothing to compare."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'heads_own'").fetchone() is None:
        return
    before = None
    signed = db.execute("SELECT epoch, generation, signed FROM heads_own ORDER BY epoch, generation").fetchall()
    since = max(young(db), signed[-COMPARED_MAX][0] * EPOCH_SPAN - 1 if len(signed) >= COMPARED_MAX else 0)
    for epoch, generation, raw in signed:
        name = f"{epoch}/{generation}"
        head = _opened(db, raw)
        if head is None:
            yield found("heads_own", name, 0, "its head is not signed by this mint")
            continue
        if (head.epoch, head.generation) != (epoch, generation):
            yield found("heads_own", name, 0, "its columns are not those of its head")
        yield from _law(name, head, before)
        yield from _trees(db, name, head, compare_rows=epoch * EPOCH_SPAN > since)
        before = head
    sql = "SELECT epoch, generation, tree FROM heads_entries LEFT JOIN heads_own USING (epoch, generation) "
    for epoch, generation, tree in db.execute(f"{sql} WHERE signed IS NULL").fetchall():
        yield found("heads_entries", f"{epoch}/{generation}/{_TREES[tree]}", 0, "no head is above this tree")


def _opened(db: Db, raw: bytes) -> Head | None:
    signed = read(raw, Signed, size_max=len(raw))
    if signed is None:
        return None
    announced = (read(row[0], Signed) for row in db.execute("SELECT signed FROM mint_keysets"))
    try:
        return open_head(signed) if all(a is None or a.key == signed.key for a in announced) else None
    except Malformed:
        return None


def _law(name: str, head: Head, before: Head | None) -> Iterator[Finding]:
    for kind in head.promises:
        over = kind.outstanding + kind.locked + kind.leased - kind.pledged
        if over > 0:
            yield found("heads_own", name, over, f"it promises {over} MiB of {kind.kind} more than is pledged")
    counts = {(k.keyset, c.quantity): c for k in head.keysets for c in k.counts}
    for keyset in () if before is None else before.keysets:
        for count in keyset.counts:
            now = counts.get((keyset.keyset, count.quantity))
            if now is not None and (now.issued < count.issued or now.spent < count.spent):
                yield found("heads_own", name, count.quantity, f"its counts of keyset {keyset.keyset.hex()} ran back")


def _trees(db: Db, name: str, head: Head, *, compare_rows: bool) -> Iterator[Finding]:
    rows = _rows(db, head.epoch) if compare_rows else {}
    for tree, called in _TREES.items():
        kept = entries_of(db, head, tree)
        if _root(tree, kept) != head.root(tree):
            yield found("heads_entries", f"{name}/{called}", 0, "its entries do not hash to the root that was signed")
        elif tree in rows:
            lost, more = Counter(kept), Counter(rows[tree])
            for entry in (lost - more).keys() | (more - lost).keys():
                what = (
                    "is gone from the rows" if entry in lost else "is in the rows, and was not when the head was signed"
                )
                yield found("heads_entries", f"{name}/{called}", 0, f"{entry.key.hex()} {what}")


def _rows(db: Db, epoch: int) -> dict[int, list[Entry]]:
    try:
        return entries_in(db, epoch)
    except Malformed:  # the audit of the rows names the one that cannot be read
        return {}


def _root(tree: int, entries: list[Entry]) -> object:
    return SortedTree(tree, entries).root
