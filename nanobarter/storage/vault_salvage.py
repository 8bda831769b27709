"""A vault whose database was damaged: others' shares are on the disk still, and are taken up again from there.

A file gets its final name only after its bytes were checked and synced, so the name itself says that the share was
whole; should it have rotten since, the next audit shows it like any other. Whose lease it is under, the rows and the
contracts that could be saved tell. Folders of a lease that nothing tells of are kept as *orphans* until the holder
shows its contract to the mint: their owner is told to ask again later, instead of that there is no such lease.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import LeaseId, PublicKey, sha256
from nanobarter.core.keys import Signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.units import Instant, after
from nanobarter.mint.answer_messages import Contract
from nanobarter.storage import vault_rows as rows
from nanobarter.storage.head import read_head
from nanobarter.storage.vault_access import lease_of
from nanobarter.storage.vault_files import id_of
from nanobarter.storage.vault_rows import Lease

Row = tuple[Any, ...]
_ID_BYTES: Final = 32


@dataclass(frozen=True)
class VaultSaved:
    """How many leases and shares go on, and how many shares wait for their holder to show the lease."""

    leases: int
    shares: int
    orphans: int


def take_up(
    db: sqlite3.Connection,
    vault: Path,
    contracts: Iterable[Contract],
    now: Instant,
    *,
    leases: Iterable[Row] = (),
    heads: Iterable[Row] = (),
    limits: Limits = LIMITS,
) -> VaultSaved:
    """Fill the empty tables of a vault from its folders.

    ``leases`` and ``heads`` are the rows of the old tables as far as they can be read; contracts win over rows.
    """
    known = {lease.lease_id: lease for lease in map(_read_lease, leases) if lease is not None}
    known |= {contract.lease_id: lease_of(contract) for contract in contracts}
    for lease in known.values():
        rows.keep_lease(db, lease)
    shares = orphans = 0
    for folder in sorted(vault.iterdir()) if vault.is_dir() else ():
        lease_id = id_of(folder.name)
        if lease_id is None or not folder.is_dir():
            continue
        if LeaseId(lease_id) in known:
            shares += adopt_folder(db, known[LeaseId(lease_id)], folder)
        elif found := len(_shares(folder)):
            orphans += found
            db.execute("INSERT INTO storage_vault_orphans VALUES (?, ?)", (lease_id, after(now, limits.vault_orphans)))
    for row in heads:
        _keep_head(db, row, known, limits)
    return VaultSaved(len(known), shares, orphans)


def adopt_folder(db: sqlite3.Connection, lease: Lease, folder: Path) -> int:
    """Count the shares in the folder of a lease as committed; returns how many. The quota is not asked: they are there.

    They count as allocated long ago, so that their holder may delete them.
    """
    found = _shares(folder)
    rows.keep_lease(db, lease)
    for share, size in found:
        added = db.execute(
            "INSERT OR IGNORE INTO storage_vault_shares VALUES (?, ?, ?, 1, 0)", (lease.lease_id, share, size)
        )
        if added.rowcount:
            rows.charge(db, lease.lease_id, size)
    forget_orphan(db, lease.lease_id)
    return len(found)


def orphans(db: sqlite3.Connection) -> dict[LeaseId, Instant]:
    """Return the leases of which nothing but a folder is known, and until when the folder is kept."""
    found = db.execute("SELECT lease_id, until FROM storage_vault_orphans")
    return {LeaseId(lease_id): Instant(until) for lease_id, until in found}


def forget_orphan(db: sqlite3.Connection, lease_id: LeaseId) -> None:
    """Forget that a folder waits for its lease."""
    db.execute("DELETE FROM storage_vault_orphans WHERE lease_id = ?", (lease_id,))


def _shares(folder: Path) -> list[tuple[bytes, int]]:
    found = ((id_of(file.name), file) for file in sorted(folder.iterdir()))
    return [(name, size) for name, file in found if name is not None and (size := file.stat().st_size)]


def _read_lease(row: Row) -> Lease | None:
    """Return the lease of a row, if it can be one."""
    try:
        lease_id, holder, quota, _, ends = row
        fits = len(lease_id) == len(holder) == _ID_BYTES and quota > 0 and ends > 0
        return Lease(LeaseId(lease_id), PublicKey(holder), quota, Instant(ends)) if fits else None
    except (TypeError, ValueError):
        return None


def _keep_head(db: sqlite3.Connection, row: Row, known: dict[LeaseId, Lease], limits: Limits) -> None:
    """Keep a head whose own key vouches for it; without one its holder, who sends it anew, loses nothing."""
    try:
        head_id, lease_id, _, body = row
        head = decode(body, Signed, size_max=limits.vault_head_bytes_max + 4096)
        sequence = read_head(head, limits.vault_head_bytes_max).sequence
    except (Malformed, TypeError, ValueError):
        return
    if LeaseId(lease_id) in known and sha256(head.key) == head_id:
        rows.put_head(db, known[LeaseId(lease_id)], head_id, sequence, body)
