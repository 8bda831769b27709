"""A damaged database made anew: what of it goes on, by which proof, and what peers have to give back.

Nothing is deleted: the damaged file stays beside the new one under a dated name. The parts of a node stand or fall
alone, and each by its own proof:

- the mint with its agreements: only if its audit finds nothing and its counter is the newest; else a new generation
  begins, as in a home put back from an old copy, and sealed leases and locks go on;
- the wallet: row by row; what does not prove itself comes back from the issuers by the phrase;
- the vault: others' shares lie on the disk as files; leases that nothing tells of wait for their holders;
- the index of the own backups: taken over if SQLite can read all of it, and compared with the one at the peers, or
  fetched from there (``rebuilding``).
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nanobarter.core.keys import SigningKey
from nanobarter.core.salvage import Wreck, copy_readable, copy_whole, parents_first, shapes_of, without_triggers
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.daemon import rebuild_state
from nanobarter.daemon.home import Home
from nanobarter.daemon.rebuild_state import IndexIs, Rebuilt
from nanobarter.mint import rows as mint_rows
from nanobarter.mint import salvage as mint_salvage
from nanobarter.mint.salvage import Carried
from nanobarter.storage import vault_salvage
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import read_contract
from nanobarter.storage.vault_salvage import VaultSaved
from nanobarter.translator import ledger_audit
from nanobarter.wallet import salvage as wallet_salvage

Row = tuple[Any, ...]
_OWN: Final = ("daemon_rebuild", "schema_versions")
_ALONE: Final = ("storage_leaving", "storage_evidence")  # of the storage tables, those whose rows stand alone


@dataclass(frozen=True)
class Saved:
    """What a new database has of the damaged one. ``carried`` is None where the mint's books are whole."""

    carried: Carried | None
    wallet_whole: bool
    vault: VaultSaved
    index: IndexIs
    history: bool


@dataclass(frozen=True)
class Ground:
    """What a rebuild stands on besides the wreck."""

    home: Home
    key: SigningKey
    seed: bytes
    pledged: Mapping[LeaseKind, Quantity]
    now: Instant
    why: str
    newest: bool
    """Whether the file is as new as what the node signed: its log is not lost."""


def fill(db: sqlite3.Connection, wreck: Wreck, ground: Ground) -> Saved:
    """Fill a fresh database from a wreck. In the caller's transaction."""
    parts = _parts(db)
    carried = _mint(db, wreck, ground, parts["mint"])
    wallet_whole, clean = _wallet(db, wreck, ground, parts["wallet"])
    history = wallet_whole and copy_whole(wreck, db, parts["history"])
    if history and (bad := ledger_audit.audit(db)):
        with without_triggers(db):
            ledger_audit.forget(db, bad)
    index = _index(db, wreck, ground, parts["index"])
    for table in parts["alone"]:
        copy_readable(wreck, db, table)
    vault = vault_salvage.take_up(
        db,
        ground.home.vault_path,
        mint_rows.live_leases(db),
        ground.now,
        leases=wreck.readable("storage_vault_leases"),
        heads=wreck.readable("storage_vault_heads"),
    )
    notes = "here" if carried is None and wallet_whole and clean else "missing"
    rebuild_state.keep(db, Rebuilt(ground.now, ground.why, index, notes))
    return Saved(carried, wallet_whole, vault, index, history)


def _parts(db: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the tables of each part of a node."""
    found = {name: list[str]() for name in ("mint", "wallet", "history", "index", "vault", "alone")}
    for table in shapes_of(db):
        if table not in _OWN:
            found[_part_of(table)].append(table)
    return {name: parents_first(db, tables) for name, tables in found.items()}


def _part_of(table: str) -> str:
    prefix = table.partition("_")[0]
    if table.startswith("storage_vault_"):
        return "vault"
    if prefix == "storage" and table not in _ALONE:
        return "index"
    return {"mint": "mint", "heads": "mint", "swap": "mint", "wallet": "wallet", "ledger": "history"}.get(
        prefix, "alone"
    )


def _mint(db: sqlite3.Connection, wreck: Wreck, ground: Ground, tables: Sequence[str]) -> Carried | None:
    mark = ground.home.read_mark()
    db.execute("SAVEPOINT mint")
    whole = ground.newest and copy_whole(wreck, db, tables) and mint_salvage.is_whole(db, mark)
    if not whole:
        db.execute("ROLLBACK TO mint")
    db.execute("RELEASE mint")
    if whole:
        return None
    shapes = shapes_of(db)

    def rows(table: str) -> Iterator[Row]:
        return wreck.readable(table) if wreck.has(table, shapes[table]) else iter(())

    return mint_salvage.begin_anew(
        db,
        ground.key,
        ground.now,
        ground.pledged,
        leases=rows("mint_leases"),
        locks=rows("mint_locks"),
        marks=rows("mint_marks"),
        mark=mark,
    )


def _wallet(db: sqlite3.Connection, wreck: Wreck, ground: Ground, tables: Sequence[str]) -> tuple[bool, bool]:
    """Take the wallet over; tell whether in full, and whether every row proved itself."""
    if copy_whole(wreck, db, tables):
        return True, not wallet_salvage.drop_bad(db, ground.seed)
    for table, good in wallet_salvage.checks(ground.seed).items():
        copy_readable(wreck, db, table, good)
    return False, False


def _index(db: sqlite3.Connection, wreck: Wreck, ground: Ground, tables: Sequence[str]) -> IndexIs:
    pending = any(row[3] == "missing" for row in wreck.readable("daemon_rebuild"))
    if not pending and copy_whole(wreck, db, tables):
        used = any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in _USED)  # noqa: S608 - our names
        return "unsure" if used else "here"
    copy_readable(wreck, db, "storage_leases", _own_lease(ground.seed))
    return "missing"


_USED: Final = ("storage_packs", "storage_snapshots", "storage_placed_packs", "storage_heads_published")


def _own_lease(seed: bytes) -> Callable[[Row], bool]:
    holder = VaultKeys.from_seed(seed).signing.public

    def good(row: Row) -> bool:
        contract = read_contract(wallet_salvage.read_signed(row[5]), holder)
        return (contract.lease_id, contract.issuer, contract.start, contract.end) == (row[0], row[1], row[3], row[4])

    return wallet_salvage.never_raising(good)
