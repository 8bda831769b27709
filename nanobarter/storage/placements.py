"""Where one's own shares are: the rows, and the health that follows from them.

A row is written before the first byte of its share leaves ('placing'), turns 'held' with the first proof, 'bad' with
a proof that is wrong, and 'leaving' until the peer has confirmed that it forgot the share. All of them count as
bytes under their lease. Functions take the connection of a ``Store`` change or question.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nanobarter.core.ids import Hash, LeaseId, NodeId, PackId
from nanobarter.core.units import Instant

PlacedKind = Literal["data", "meta", "catalog"]
PlacementState = Literal["placing", "held", "bad", "leaving"]


@dataclass(frozen=True)
class PlacedPackRow:
    """A pack that was placed, whole or in part."""

    pack_id: PackId
    kind: PlacedKind
    k: int
    n: int
    share_size: int
    thin: bool


@dataclass(frozen=True)
class Placement:
    """One share at one peer."""

    pack_id: PackId
    index: int
    node: NodeId
    lease_id: LeaseId
    root: Hash
    size: int
    state: PlacementState
    last_proof_at: Instant
    silent_since: Instant | None


_COLUMNS = "pack_id, share_index, node, lease_id, root, size, state, last_proof_at, silent_since"

_PUT = (
    f"INSERT INTO storage_placements ({_COLUMNS}, held) "  # noqa: S608 - our own column names
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "lease_id = excluded.lease_id, root = excluded.root, size = excluded.size, state = excluded.state, "
    "last_proof_at = excluded.last_proof_at, silent_since = excluded.silent_since, held = excluded.held, "
    "withheld = 0"
)


def _placements(rows: Iterable[tuple[object, ...]]) -> list[Placement]:
    return [Placement(*row) for row in rows]  # pyright: ignore[reportArgumentType] - STRICT columns


def keep_pack(db: sqlite3.Connection, pack: PlacedPackRow) -> None:
    """Note a pack before its first share is placed."""
    db.execute(
        "INSERT INTO storage_placed_packs (pack_id, kind, k, n, share_size, thin) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET thin = excluded.thin, given_up = 0",
        (pack.pack_id, pack.kind, pack.k, pack.n, pack.share_size, int(pack.thin)),
    )


def note_thin(db: sqlite3.Connection, pack: PlacedPackRow) -> None:
    """Note whether a pack has all that one would wish; one that was given up meanwhile stays so."""
    db.execute("UPDATE storage_placed_packs SET thin = ? WHERE pack_id = ?", (int(pack.thin), pack.pack_id))


def find_pack(db: sqlite3.Connection, pack_id: PackId) -> PlacedPackRow | None:
    """Return what is known of a pack."""
    rows = _packs(db, "WHERE pack_id = ?", (pack_id,))
    return rows[0] if rows else None


def all_packs(db: sqlite3.Connection) -> list[PlacedPackRow]:
    """Return all packs that are wanted, by id."""
    return _packs(db, "WHERE given_up = 0", ())


def packs_to_judge(db: sqlite3.Connection) -> list[PlacedPackRow]:
    """Return the wanted packs that hold something, or of which peers have enough: what can be safe or lost.

    A backup that is cut off, fails, or is under way, leaves packs noted on which no snapshot rests and of which peers
    took fewer shares than bring one back. They are nobody's, and their absence is no loss. Nor is that of a pack on
    its way for the first time, whose first shares are held while the others are being placed, or of a catalog that is
    noted only.
    """
    where = (
        "AS wanted WHERE given_up = 0 AND ("
        "EXISTS (SELECT 1 FROM storage_packs AS known WHERE known.pack_id = wanted.pack_id) "
        "OR NOT EXISTS (SELECT 1 FROM storage_placements AS p WHERE p.pack_id = wanted.pack_id "
        "AND p.state = 'placing') "
        "AND CASE kind WHEN 'catalog' THEN EXISTS (SELECT 1 FROM storage_placements AS p "
        "WHERE p.pack_id = wanted.pack_id) ELSE k <= (SELECT count(DISTINCT share_index) FROM storage_placements AS p "
        "WHERE p.pack_id = wanted.pack_id AND p.state IN ('held', 'bad')) END)"
    )
    return _packs(db, where, ())


def _packs(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[PlacedPackRow]:
    rows = db.execute(
        f"SELECT pack_id, kind, k, n, share_size, thin FROM storage_placed_packs {where} ORDER BY pack_id",  # noqa: S608
        values,
    )
    return [PlacedPackRow(*row[:5], thin=bool(row[5])) for row in rows]


def of_pack(db: sqlite3.Connection, pack_id: PackId) -> list[Placement]:
    """Return all placements of a pack, by index."""
    sql = f"SELECT {_COLUMNS} FROM storage_placements WHERE pack_id = ? ORDER BY share_index, node"  # noqa: S608
    return _placements(db.execute(sql, (pack_id,)))


def in_state(db: sqlite3.Connection, state: PlacementState) -> list[Placement]:
    """Return all placements in a state, the one proven longest ago first."""
    sql = f"SELECT {_COLUMNS} FROM storage_placements WHERE state = ? ORDER BY last_proof_at, root"  # noqa: S608
    return _placements(db.execute(sql, (state,)))


def all_placements(db: sqlite3.Connection) -> list[Placement]:
    """Return all placements, by pack and index."""
    sql = f"SELECT {_COLUMNS} FROM storage_placements ORDER BY pack_id, share_index, node"  # noqa: S608
    return _placements(db.execute(sql))


def put(db: sqlite3.Connection, placement: Placement, held: bytes | None = None) -> None:
    """Record a placement, or its new state; ``held`` is the peer's receipt, a canonical Signed, where there is one."""
    p = placement
    values = (p.pack_id, p.index, p.node, p.lease_id, p.root, p.size, p.state, p.last_proof_at, p.silent_since, held)
    db.execute(_PUT, values)


def receipt(db: sqlite3.Connection, placement: Placement) -> bytes | None:
    """Return what the peer signed when it took the share, if it is here."""
    key = (placement.pack_id, placement.index, placement.node)
    sql = "SELECT held FROM storage_placements WHERE pack_id = ? AND share_index = ? AND node = ?"
    row = db.execute(sql, key).fetchone()
    return row[0] if row else None


def begin(db: sqlite3.Connection, placement: Placement) -> bool:
    """Record a placement before its first byte leaves; tell whether its pack is still wanted."""
    row = db.execute("SELECT given_up FROM storage_placed_packs WHERE pack_id = ?", (placement.pack_id,)).fetchone()
    if row is None or row[0]:
        return False
    put(db, placement)
    return True


def drop_if_leaving(db: sqlite3.Connection, placement: Placement) -> None:
    """Forget a placement that the peer deleted, unless the share was placed there again meanwhile."""
    key = (placement.pack_id, placement.index, placement.node)
    row = db.execute(
        "SELECT state FROM storage_placements WHERE pack_id = ? AND share_index = ? AND node = ?", key
    ).fetchone()
    if row is not None and row[0] == "leaving":
        drop(db, placement)


def drop(db: sqlite3.Connection, placement: Placement) -> None:
    """Forget a placement: the peer has none of it. A pack that was given up goes with its last one."""
    key = (placement.pack_id, placement.index, placement.node)
    db.execute("DELETE FROM storage_placements WHERE pack_id = ? AND share_index = ? AND node = ?", key)
    _forget_given_up(db, placement.pack_id)


def leave(db: sqlite3.Connection, placement: Placement) -> None:
    """Mark a placement as to be deleted at the peer."""
    key = (placement.pack_id, placement.index, placement.node)
    db.execute(
        "UPDATE storage_placements SET state = 'leaving' WHERE pack_id = ? AND share_index = ? AND node = ?", key
    )


def leave_pack(db: sqlite3.Connection, pack_id: PackId) -> None:
    """Mark all placements of a pack as to be deleted, and stop counting the pack; without any it is forgotten."""
    db.execute("UPDATE storage_placements SET state = 'leaving' WHERE pack_id = ?", (pack_id,))
    db.execute("UPDATE storage_placed_packs SET given_up = 1 WHERE pack_id = ?", (pack_id,))
    _forget_given_up(db, pack_id)


def _forget_given_up(db: sqlite3.Connection, pack_id: PackId) -> None:
    db.execute(
        "DELETE FROM storage_placed_packs WHERE pack_id = ?1 AND given_up = 1 "
        "AND NOT EXISTS (SELECT 1 FROM storage_placements WHERE pack_id = ?1)",
        (pack_id,),
    )


def leave_given_up(db: sqlite3.Connection) -> int:
    """Mark what a repair under way placed of packs that were given up."""
    return db.execute(
        "UPDATE storage_placements SET state = 'leaving' WHERE state IN ('held', 'bad') AND pack_id IN "
        "(SELECT pack_id FROM storage_placed_packs WHERE given_up = 1)"
    ).rowcount


def abandon_started(db: sqlite3.Connection) -> int:
    """After a crash: what was being placed is to be deleted, since nobody knows how far it got.

    Packs of which no peer has anything and that nothing rests on are forgotten.
    """
    db.execute(
        "DELETE FROM storage_placed_packs WHERE (given_up = 1 OR kind <> 'catalog') "
        "AND NOT EXISTS (SELECT 1 FROM storage_placements AS p WHERE p.pack_id = storage_placed_packs.pack_id) "
        "AND NOT EXISTS (SELECT 1 FROM storage_packs AS k WHERE k.pack_id = storage_placed_packs.pack_id)"
    )
    return db.execute("UPDATE storage_placements SET state = 'leaving' WHERE state = 'placing'").rowcount


def proven(db: sqlite3.Connection, placement: Placement, at: Instant) -> None:
    """Note a valid proof."""
    key = (placement.pack_id, placement.index, placement.node)
    db.execute(
        "UPDATE storage_placements SET last_proof_at = ?, silent_since = NULL, withheld = 0 "
        "WHERE state = 'held' AND pack_id = ? AND share_index = ? AND node = ?",
        (at, *key),
    )


def silent(db: sqlite3.Connection, placement: Placement, at: Instant) -> None:
    """Note that a peer gave no usable answer; the first silence counts."""
    key = (placement.pack_id, placement.index, placement.node)
    db.execute(
        "UPDATE storage_placements SET silent_since = coalesce(silent_since, ?) "
        "WHERE state = 'held' AND pack_id = ? AND share_index = ? AND node = ?",
        (at, *key),
    )


def node_silent(db: sqlite3.Connection, node: NodeId, at: Instant) -> None:
    """Note for all shares at a peer that it does not answer."""
    db.execute(
        "UPDATE storage_placements SET silent_since = coalesce(silent_since, ?) WHERE state = 'held' AND node = ?",
        (at, node),
    )


def suspect(db: sqlite3.Connection, placement: Placement) -> None:
    """Put a placement first in line for the next audit: its bytes came back wrong, or not at all."""
    key = (placement.pack_id, placement.index, placement.node)
    db.execute(
        "UPDATE storage_placements SET last_proof_at = 0 "
        "WHERE state = 'held' AND pack_id = ? AND share_index = ? AND node = ?",
        key,
    )


def wrong(db: sqlite3.Connection, placement: Placement, at: Instant, problem: str, evidence: bytes) -> bool:
    """Note a broken promise with its evidence, and stop counting the share.

    False when the promise no longer stood: the share was given up here, or its lease ended, while it was asked for.
    """
    lease = "SELECT 1 FROM storage_leases WHERE lease_id = ? AND ends_at > ?"
    if db.execute(lease, (placement.lease_id, at)).fetchone() is None:
        return False
    key = (placement.pack_id, placement.index, placement.node)
    changed = db.execute(
        "UPDATE storage_placements SET state = 'bad' "
        "WHERE state = 'held' AND pack_id = ? AND share_index = ? AND node = ?",
        key,
    ).rowcount
    if changed:
        db.execute(
            "INSERT INTO storage_evidence (node, root, at, problem, answer) VALUES (?, ?, ?, ?, ?)",
            (placement.node, placement.root, at, problem, evidence),
        )
    return changed > 0


def caught_since(db: sqlite3.Connection, since: Instant) -> set[NodeId]:
    """Return the peers that broke their promise since then."""
    return {
        NodeId(node) for (node,) in db.execute("SELECT DISTINCT node FROM storage_evidence WHERE at >= ?", (since,))
    }
