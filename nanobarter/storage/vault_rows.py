"""What the vault knows of the shares that it keeps: exact quotas, in one transaction with what they count.

Every function takes the database connection of a ``Store`` change or question.
"""

import sqlite3
from dataclasses import dataclass

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import Hash, LeaseId, PublicKey
from nanobarter.core.units import Instant
from nanobarter.storage.vault_messages import Entry, FoundLease


@dataclass(frozen=True)
class Lease:
    """What the vault needs of a contract. ``ends_at`` without the grace."""

    lease_id: LeaseId
    holder: PublicKey
    quota_bytes: int
    ends_at: Instant


def find_lease(db: sqlite3.Connection, lease_id: LeaseId) -> Lease | None:
    """Return the lease as last seen, for when the mint has forgotten it."""
    row = db.execute(
        "SELECT lease_id, holder, quota_bytes, ends_at FROM storage_vault_leases WHERE lease_id = ?", (lease_id,)
    ).fetchone()
    return Lease(*row) if row else None


def keep_lease(db: sqlite3.Connection, lease: Lease) -> None:
    """Note a lease, or its newer version."""
    db.execute(
        "INSERT INTO storage_vault_leases VALUES (?, ?, ?, 0, ?) "
        "ON CONFLICT DO UPDATE SET quota_bytes = excluded.quota_bytes, ends_at = excluded.ends_at",
        (lease.lease_id, lease.holder, lease.quota_bytes, lease.ends_at),
    )


def used_bytes(db: sqlite3.Connection, lease_id: LeaseId) -> int:
    """Return the bytes of all shares and heads under a lease."""
    row = db.execute("SELECT used_bytes FROM storage_vault_leases WHERE lease_id = ?", (lease_id,)).fetchone()
    return row[0] if row else 0


def _charge(db: sqlite3.Connection, lease: Lease, size: int) -> Refused | None:
    no = would_refuse(db, lease, size)
    if no is not None:
        return no
    charge(db, lease.lease_id, size)
    return None


def charge(db: sqlite3.Connection, lease_id: LeaseId, size: int) -> None:
    """Count bytes that are there, whatever the quota is."""
    db.execute("UPDATE storage_vault_leases SET used_bytes = used_bytes + ? WHERE lease_id = ?", (size, lease_id))


def find_share(db: sqlite3.Connection, lease_id: LeaseId, share: Hash) -> Entry | None:
    """Return what is known of a share."""
    row = db.execute(
        "SELECT size, committed FROM storage_vault_shares WHERE lease_id = ? AND share_id = ?", (lease_id, share)
    ).fetchone()
    return Entry(share, row[0], bool(row[1])) if row else None


def allocate(db: sqlite3.Connection, lease: Lease, share: Hash, size: int, at: Instant) -> Entry | Refused:
    """Set bytes aside, or find that they are. ``at`` is the holder's time: later deletes name a later one."""
    keep_lease(db, lease)
    found = find_share(db, lease.lease_id, share)
    if found is not None:
        if found.size != size:
            return Refused(Reason.CONFLICT, f"this share was allocated with {found.size} bytes")
        return found
    no = _charge(db, lease, size)
    if no is not None:
        return no
    db.execute("INSERT INTO storage_vault_shares VALUES (?, ?, ?, 0, ?)", (lease.lease_id, share, size, at))
    return Entry(share, size, committed=False)


def commit(db: sqlite3.Connection, lease_id: LeaseId, share: Hash) -> bool:
    """Mark a share as whole and on disk. False when there is no such allocation any more."""
    changed = db.execute(
        "UPDATE storage_vault_shares SET committed = 1 WHERE lease_id = ? AND share_id = ?", (lease_id, share)
    )
    return changed.rowcount == 1


def place(db: sqlite3.Connection, lease: Lease, share: Hash, size: int, at: Instant) -> Refused | None:
    """Take a share into the books that is whole on disk already."""
    found = allocate(db, lease, share, size, at)
    if isinstance(found, Refused):
        return found
    commit(db, lease.lease_id, share)
    return None


def would_refuse(db: sqlite3.Connection, lease: Lease, size: int) -> Refused | None:
    """Return why so many bytes more would not be taken, as things stand."""
    used = used_bytes(db, lease.lease_id)
    if size > 0 and used + size > lease.quota_bytes:
        left = max(lease.quota_bytes - used, 0)
        return Refused(Reason.OVER_QUOTA, f"{size} bytes where {left} of {lease.quota_bytes} are left")
    return None


def delete(db: sqlite3.Connection, lease: Lease, share: Hash, at: Instant) -> bool:
    """Forget a share and give its bytes back. False when there is none, or it was allocated at that time or later."""
    row = db.execute(
        "DELETE FROM storage_vault_shares WHERE lease_id = ? AND share_id = ? AND allocated_at < ? RETURNING size",
        (lease.lease_id, share, at),
    ).fetchone()
    if row is not None:
        _charge(db, lease, -row[0])
    return row is not None


def entries(db: sqlite3.Connection, lease_id: LeaseId, after: bytes, count: int) -> list[Entry]:
    """Return so many shares whose root sorts after this one."""
    rows = db.execute(
        "SELECT share_id, size, committed FROM storage_vault_shares "
        "WHERE lease_id = ? AND share_id > ? ORDER BY share_id LIMIT ?",
        (lease_id, after, count),
    )
    return [Entry(Hash(share), size, bool(committed)) for share, size, committed in rows]


def put_head(db: sqlite3.Connection, lease: Lease, head_id: Hash, sequence: int, body: bytes) -> Refused | None:
    """Keep a head in place of an older one under this lease. The same again is fine, an older one is not."""
    keep_lease(db, lease)
    row = db.execute(
        "SELECT sequence, body FROM storage_vault_heads WHERE head_id = ? AND lease_id = ?", (head_id, lease.lease_id)
    ).fetchone()
    if row is not None and (row[0] > sequence or (row[0] == sequence and row[1] != body)):
        return Refused(Reason.CONFLICT, f"a head with sequence {row[0]} is kept")
    no = _charge(db, lease, len(body) - (len(row[1]) if row else 0))
    if no is not None:
        return no
    db.execute(
        "INSERT INTO storage_vault_heads VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET sequence = excluded.sequence, body = excluded.body",
        (head_id, lease.lease_id, sequence, body),
    )
    return None


def find_head(db: sqlite3.Connection, head_id: Hash) -> bytes | None:
    """Return the newest head under this name."""
    row = db.execute(
        "SELECT body FROM storage_vault_heads WHERE head_id = ? ORDER BY sequence DESC LIMIT 1", (head_id,)
    ).fetchone()
    return row[0] if row else None


def all_leases(db: sqlite3.Connection) -> list[Lease]:
    """Return every lease under which anything was kept."""
    rows = db.execute("SELECT lease_id, holder, quota_bytes, ends_at FROM storage_vault_leases")
    return [Lease(*row) for row in rows]


def leases_of(db: sqlite3.Connection, holder: PublicKey, after: bytes, count: int) -> list[FoundLease]:
    """Return so many leases of a holder whose id sorts after this one."""
    rows = db.execute(
        "SELECT lease_id, used_bytes, ends_at FROM storage_vault_leases WHERE holder = ? AND lease_id > ? "
        "ORDER BY lease_id LIMIT ?",
        (holder, after, count),
    )
    return [FoundLease(*row) for row in rows]


def forget_lease(db: sqlite3.Connection, lease_id: LeaseId) -> None:
    """Forget a lease and everything under it."""
    for table in ("storage_vault_shares", "storage_vault_heads", "storage_vault_leases"):
        db.execute(f"DELETE FROM {table} WHERE lease_id = ?", (lease_id,))  # noqa: S608 - our own table names


def committed(db: sqlite3.Connection) -> dict[LeaseId, set[Hash]]:
    """Return every committed share, by lease."""
    found = dict[LeaseId, set[Hash]]()
    for lease_id, share in db.execute("SELECT lease_id, share_id FROM storage_vault_shares WHERE committed = 1"):
        found.setdefault(LeaseId(lease_id), set()).add(Hash(share))
    return found


def drop_lost(db: sqlite3.Connection, lost: list[tuple[LeaseId, Hash]]) -> None:
    """Forget committed shares whose files are gone, and give their bytes back."""
    for lease_id, share in lost:
        _drop(db, lease_id, share)


def stale_uploads(db: sqlite3.Connection, allocated_before: Instant) -> list[tuple[LeaseId, Hash]]:
    """Return the allocations from before that time that were never committed."""
    found = db.execute(
        "SELECT lease_id, share_id FROM storage_vault_shares WHERE committed = 0 AND allocated_at < ?",
        (allocated_before,),
    )
    return [(LeaseId(lease_id), Hash(share)) for lease_id, share in found]


def drop_stale_uploads(
    db: sqlite3.Connection, among: list[tuple[LeaseId, Hash]], allocated_before: Instant
) -> list[tuple[LeaseId, Hash]]:
    """Forget those of ``among`` that are stale still; return them, so that their files can go too."""
    dropped = list[tuple[LeaseId, Hash]]()
    for lease_id, share in among:
        stale = db.execute(
            "SELECT 1 FROM storage_vault_shares "
            "WHERE lease_id = ? AND share_id = ? AND committed = 0 AND allocated_at < ?",
            (lease_id, share, allocated_before),
        ).fetchone()
        if stale is not None:
            _drop(db, lease_id, share)
            dropped.append((lease_id, share))
    return dropped


def shares(db: sqlite3.Connection) -> set[tuple[LeaseId, Hash]]:
    """Return every share that is known, committed or not."""
    return {
        (LeaseId(row[0]), Hash(row[1])) for row in db.execute("SELECT lease_id, share_id FROM storage_vault_shares")
    }


def _drop(db: sqlite3.Connection, lease_id: LeaseId, share: Hash) -> None:
    row = db.execute(
        "DELETE FROM storage_vault_shares WHERE lease_id = ? AND share_id = ? RETURNING size", (lease_id, share)
    ).fetchone()
    if row is not None:
        db.execute("UPDATE storage_vault_leases SET used_bytes = used_bytes - ? WHERE lease_id = ?", (row[0], lease_id))


def check(db: sqlite3.Connection) -> list[LeaseId]:
    """Return the leases whose count differs from the sum of what is under them: none, or there is a bug."""
    rows = db.execute(
        "SELECT lease_id FROM storage_vault_leases AS l WHERE used_bytes <> "
        "(SELECT coalesce(sum(size), 0) FROM storage_vault_shares AS s WHERE s.lease_id = l.lease_id) + "
        "(SELECT coalesce(sum(length(body)), 0) FROM storage_vault_heads AS h WHERE h.lease_id = l.lease_id)"
    )
    return [LeaseId(lease_id) for (lease_id,) in rows]
