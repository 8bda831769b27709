"""Puts the index of a vault as it was found at peers in the place of one that is lost or cannot be trusted."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nanobarter.core.canonical import decode
from nanobarter.core.damage import open_to_read
from nanobarter.core.errors import PeerFault
from nanobarter.core.ids import PublicKey
from nanobarter.core.keys import Signed
from nanobarter.mint.answer_messages import Contract
from nanobarter.storage.leases import keep_contract, read_contract

_BATCH: Final = 1000
_CONTRACT_MAX: Final = 4096
_TABLES: Final = (  # parents first
    "storage_packs",
    "storage_chunks",
    "storage_snapshots",
    "storage_placed_packs",
    "storage_placements",
    "storage_heads_published",
)


def swap_index(db: sqlite3.Connection, found: Path, holder: PublicKey) -> list[tuple[Signed, Contract]]:
    """Take over the index in another store's file; returns the leases in it. In the caller's transaction.

    Leases known before stay: they may be younger than the index. Known files are forgotten, so that the next backup
    reads everything again and stores what the index does not have.
    """
    leases = list[tuple[Signed, Contract]]()
    with closing(open_to_read(found)) as other:
        db.execute("DELETE FROM storage_files")
        for table in reversed(_TABLES):
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        for table in _TABLES:
            rows = other.execute(f"SELECT * FROM {table}")  # noqa: S608 - as above
            _insert(db, table, rows)
        for (raw,) in other.execute("SELECT contract FROM storage_leases").fetchall():
            signed = decode(raw, Signed, size_max=_CONTRACT_MAX)
            try:
                contract = read_contract(signed, holder)
            except PeerFault:
                continue
            keep_contract(db, signed, contract)
            leases.append((signed, contract))
    return leases


def _insert(db: sqlite3.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    while batch := list(islice(rows, _BATCH)):
        marks = ", ".join("?" * len(batch[0]))
        db.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)  # noqa: S608 - names of our own tables
