"""Which rows of a damaged wallet can be kept: those that prove themselves, by a signature, a checksum or the phrase.

What is dropped is not lost: notes come back from their issuers by the phrase (``recovery``).
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from nanobarter.core.canonical import decode
from nanobarter.core.errors import NanobarterError
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed, open_signed
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, Contract
from nanobarter.mint.messages import Note
from nanobarter.mint.notes import check_announcement, note_id
from nanobarter.mint.restoration import open_restored
from nanobarter.wallet.secrets import lock_key
from nanobarter.wallet.token import parse_token

Row = tuple[Any, ...]
_BYTES_MAX: Final = 256 * 1024


def checks(seed: bytes) -> dict[str, Callable[[Row], bool]]:
    """Return, by table, what tells a good row; the tables are those whose rows stand alone."""
    found: dict[str, Callable[[Row], bool]] = {
        "wallet_keysets": _keyset,
        "wallet_leases": _lease,
        "wallet_tokens": lambda row: bool(parse_token(row[1])),
        "wallet_incoming": lambda row: bool(parse_token(row[1])),
        "wallet_lock_keys": lambda row: lock_key(seed, *row[1:4]).public == row[0],
        "wallet_restorations": lambda row: open_restored(read_signed(row[3])).generation == row[1],
    }
    return {table: never_raising(good) for table, good in found.items()}


def drop_bad(db: sqlite3.Connection, seed: bytes) -> int:
    """Drop what does not prove itself from a wallet that was taken over in full; return how many rows that were."""
    dropped, good_note = 0, never_raising(lambda row: note_id(decode(row[1], Note, size_max=_BYTES_MAX)) == row[0])
    for row in db.execute("SELECT note, body FROM wallet_notes").fetchall():
        if not good_note(row):
            dropped += db.execute("DELETE FROM wallet_notes WHERE note = ?", row[:1]).rowcount
    for table, good in checks(seed).items():
        (key,) = db.execute("SELECT name FROM pragma_table_info(?) WHERE pk = 1", (table,)).fetchone()
        for row in db.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608 - names of our own tables
            if not good(row):
                sql = f"DELETE FROM {table} WHERE {key} = ?"  # noqa: S608 - as above
                dropped += db.execute(sql, row[:1]).rowcount
    return dropped


def _keyset(row: Row) -> bool:
    keyset = check_announcement(read_signed(row[2]), NodeId(row[1]))
    return keyset.keyset_id == row[0]


def _lease(row: Row) -> bool:
    signed = read_signed(row[3])
    contract = open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=_BYTES_MAX)
    columns = (contract.lease_id, contract.version, contract.end)
    return signed.signer == contract.issuer and columns == (row[0], row[1], row[2])


def read_signed(raw: bytes) -> Signed:
    """Return the signed record in a row. Raises Malformed."""
    return decode(raw, Signed, size_max=_BYTES_MAX)


def never_raising(good: Callable[[Row], bool]) -> Callable[[Row], bool]:
    """Return the check, with every failure to read the row as a no."""

    def judge(row: Row) -> bool:
        try:
            return good(row)
        except (NanobarterError, TypeError, ValueError, OverflowError, AttributeError):
            return False

    return judge
