"""Reading and writing heads; each function is one step inside a transaction of the caller's."""

from dataclasses import dataclass
from typing import Final

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.units import DAY, Instant, Span, after
from nanobarter.mint.proofs.heads import HEAD_BYTES_MAX, Head
from nanobarter.mint.proofs.tree import Entry
from nanobarter.mint.rows import Db, change_one, one

CLOCK_AHEAD_MAX: Final = Span(2 * DAY)  # how far ahead of the true time a lost state may have dated things
_SIGNED_MAX = HEAD_BYTES_MAX + 256


@dataclass(frozen=True)
class Memory:
    """How far back a mint remembers: since when, and how often that began anew."""

    generation: int
    since: Instant


def memory(db: Db) -> Memory:
    """Return the generation that this mint is in."""
    row = one(db, "SELECT generation, since FROM heads_memory")
    return Memory(0, Instant(0)) if row is None else Memory(row[0], Instant(row[1]))


def begin_generation(db: Db, generation: int, now: Instant) -> Memory:
    """Begin anew after a restoration: what may have been dated before it is no longer held against our heads.

    What was lost may carry later dates than ``now``, if the clock ran ahead before; ``CLOCK_AHEAD_MAX`` allows for it.
    Raises UsageError unless the generation is higher than any before.
    """
    if generation <= memory(db).generation:
        raise UsageError(f"generation {generation} was there before")
    since = after(now, CLOCK_AHEAD_MAX)
    change_one(db, "UPDATE heads_memory SET generation = ?, since = ? WHERE one = 1", generation, since)
    return Memory(generation, since)


def _read(row: tuple[bytes] | None) -> Signed | None:
    return None if row is None else decode(row[0], Signed, size_max=_SIGNED_MAX)


# -- own


def own_head(db: Db, epoch: int | None) -> Signed | None:
    """Return our head of an epoch (the newest when None), of the newest generation that has one."""
    if epoch is None:
        return _read(one(db, "SELECT signed FROM heads_own ORDER BY epoch DESC, generation DESC LIMIT 1"))
    return _read(one(db, "SELECT signed FROM heads_own WHERE epoch = ? ORDER BY generation DESC LIMIT 1", epoch))


def same_head(db: Db, head: Head, signed: Signed) -> bool:
    """Tell whether this very head of ours is among those kept."""
    sql = "SELECT signed FROM heads_own WHERE epoch = ? AND generation = ?"
    return _read(one(db, sql, head.epoch, head.generation)) == signed


def newest_epoch(db: Db) -> int | None:
    """Return the epoch of our newest head."""
    row = one(db, "SELECT max(epoch) FROM heads_own")
    return None if row is None else row[0]


def add_own(db: Db, head: Head, signed: Signed, entries: dict[int, list[Entry]]) -> None:
    """Keep a head with the entries of its trees; only afterwards may it be shown."""
    name = (head.epoch, head.generation)
    db.execute("INSERT INTO heads_own VALUES (?, ?, ?)", (*name, encode(signed)))
    for tree, listed in entries.items():
        blob = b"".join(entry.key + entry.value for entry in sorted(listed, key=lambda entry: entry.key))
        db.execute("INSERT INTO heads_entries VALUES (?, ?, ?, ?)", (*name, tree, blob))


def entries_of(db: Db, head: Head, tree: int) -> list[Entry]:
    """Return the entries of one tree of a head of ours."""
    sql = "SELECT entries FROM heads_entries WHERE epoch = ? AND generation = ? AND tree = ?"
    row = one(db, sql, head.epoch, head.generation, tree)
    blob: bytes = b"" if row is None else row[0]
    return [Entry(blob[at : at + 32], blob[at + 32 : at + 64]) for at in range(0, len(blob), 64)]


def prune_own(db: Db, before_epoch: int) -> None:
    """Forget heads that are too old to be asked for."""
    db.execute("DELETE FROM heads_own WHERE epoch < ?", (before_epoch,))
    db.execute("DELETE FROM heads_entries WHERE epoch < ?", (before_epoch,))


# -- others'


def seen_head(db: Db, node: NodeId, epoch: int | None) -> Signed | None:
    """Return the head of a node that we saw, of an epoch or the newest."""
    if epoch is None:
        sql = "SELECT signed FROM heads_seen WHERE node = ? ORDER BY epoch DESC, generation DESC LIMIT 1"
        return _read(one(db, sql, node))
    sql = "SELECT signed FROM heads_seen WHERE node = ? AND epoch = ? ORDER BY generation DESC LIMIT 1"
    return _read(one(db, sql, node, epoch))


def seen_heads(db: Db, node: NodeId) -> list[Signed]:
    """Return all heads of a node that we saw, the oldest first."""
    found = db.execute("SELECT signed FROM heads_seen WHERE node = ? ORDER BY epoch, generation", (node,))
    return [decode(raw, Signed, size_max=_SIGNED_MAX) for (raw,) in found]


def add_seen(db: Db, node: NodeId, head: Head, signed: Signed, *, per_node: int, nodes: int) -> None:
    """Keep a head of another mint; the oldest of the node, and the nodes longest unheard of, give way."""
    db.execute(
        "INSERT OR IGNORE INTO heads_seen VALUES (?, ?, ?, ?)", (node, head.epoch, head.generation, encode(signed))
    )
    db.execute(
        "DELETE FROM heads_seen WHERE node = ? AND epoch NOT IN "
        "(SELECT epoch FROM heads_seen WHERE node = ? ORDER BY epoch DESC LIMIT ?)",
        (node, node, per_node),
    )
    db.execute(
        "DELETE FROM heads_seen WHERE node NOT IN "
        "(SELECT node FROM heads_seen GROUP BY node ORDER BY max(epoch) DESC, node LIMIT ?)",
        (nodes,),
    )
