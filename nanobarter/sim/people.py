"""Who takes part: the same nodes in every world, so that their keys, notes and mints are made once per process.

RSA is costly, so all mints sign with the same two keys, made at the first world; and what a lock is turned into is
asked for under messages that were never blinded and is not signed (``purse``). The rules, rows and totals of the
mints are the production ones; whether blinding works is no question of a world of swaps.
"""

import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Final

from nanobarter.core.ids import Hash, NodeId, RequestId, sha256
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.mint import blind, keysets, pledge, rows, times
from nanobarter.mint.messages import BlindOutput, Note
from nanobarter.mint.notes import Keyset, check_announcement, note_message
from nanobarter.mint.outcomes import Book, output_id
from nanobarter.mint.rsa import load_key, make_key
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.sim.clock import START
from nanobarter.swap.tables import MIGRATIONS as SWAP_TABLES

KIND: Final = LeaseKind("30d")
TERMS: Final = Hash(sha256(b"a world's terms"))
PLEDGED: Final = Quantity(1 << 20)
DENOMINATIONS: Final = (Quantity(32), Quantity(64))
QUANTITIES: Final = (Quantity(32), Quantity(64), Quantity(96))
PARTIES: Final = 8

_PURSE_TABLE: Final = "CREATE TABLE sim_takes (lock_id BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID"


@dataclass(frozen=True)
class Coin:
    """A note with its secret."""

    note: Note
    owner: SigningKey


@dataclass(frozen=True)
class Person:
    """A node: its key, what its mint knows without asking its tables, and those tables."""

    name: str
    key: SigningKey
    book: Book
    keyset: Keyset
    db: sqlite3.Connection
    coins: dict[NodeId, dict[Quantity, Coin]]
    """Its notes that others hold: one of each denomination per party."""


def key_of(name: str) -> SigningKey:
    """Return the key behind a name."""
    return SigningKey(sha256(b"world/" + name.encode()))


@cache
def party_key(index: int) -> SigningKey:
    """Return the node key of the index-th of those who may be parties."""
    return key_of(f"party {index}")


@cache
def _private() -> dict[Quantity, bytes]:
    return {quantity: make_key() for quantity in DENOMINATIONS}


@cache
def person(name: str) -> Person:
    """Return one of the people, with a mint that has issued each party one note of each denomination."""
    key = key_of(name)
    db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
    for migration in (*MINT_TABLES, *SWAP_TABLES):
        db.executescript(migration.sql)
    db.execute(_PURSE_TABLE)
    pledge.set_pledges(db, {KIND: PLEDGED})
    window = keysets.Wanted(KIND, Instant(START - DAY))
    signed = keysets.announce(key, window, _private(), TERMS, LIMITS)
    keysets.add(db, signed, _private())
    keyset = check_announcement(signed)
    coins = {party_key(i).node_id: _issue(db, keyset, f"{name} to {i}") for i in range(PARTIES)}
    times.advance_time(db, Instant(START - DAY))
    book = Book(
        node=key.node_id,
        key=key.public,
        keysets={keyset.keyset_id: keyset},
        numbers={keyset.keyset_id: 1},
        terms_hash=TERMS,
        request_valid_max=LIMITS.request_valid_max,
        locks_max=LIMITS.mint_locks_max,
        alive_gap=LIMITS.mint_alive_gap,
    )
    return Person(name, key, book, keyset, db, coins)


def _issue(db: sqlite3.Connection, keyset: Keyset, label: str) -> dict[Quantity, Coin]:
    made = dict[Quantity, Coin]()
    request = rows.add_request(db, RequestId(sha256(label.encode())), Instant(START - DAY), Instant(START + 100 * DAY))
    for quantity in DENOMINATIONS:
        owner, modulus = key_of(f"{label}: {quantity}"), keyset.moduli[quantity]
        message = note_message(keyset.keyset_id, quantity, owner.public)
        factor = blind.factor_from(owner.secret * 9, modulus)
        done = blind.blind(blind.PSS_DETERMINISTIC, modulus, message, salt=bytes(48), factor=factor)
        raw = load_key(_private()[quantity])
        signature = blind.finalize(
            blind.PSS_DETERMINISTIC, modulus, message, blind.blind_sign(raw, done.message), done.inverse
        )
        output = BlindOutput(keyset.keyset_id, quantity, done.message)
        rows.add_issued(db, 1, output_id(output), quantity, request=request)
        rows.move(db, KIND, outstanding=quantity)
        made[quantity] = Coin(Note(keyset.keyset_id, quantity, owner.public, signature), owner)
    return made
