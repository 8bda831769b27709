"""The books of a whole network, read from the nodes' files: what issuers owe must be what holders have.

A mint's own audit finds what its rows contradict. It cannot know whether a note that it counts as outstanding lies
in any wallet, or in two; that shows only when all wallets are read beside all mints.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from nanobarter.core.canonical import decode
from nanobarter.core.keys import Signed
from nanobarter.daemon.holdings import contract_of
from nanobarter.swap.states import State
from nanobarter.swap.tables import STATE_MAX
from nanobarter.wallet.secrets import Coin

_BYTES_MAX = 256 * 1024


@dataclass
class Books:
    """What one node's file says; keys are raw ids."""

    outstanding: int = 0
    locked: int = 0
    leased: int = 0
    spent: set[bytes] = field(default_factory=set[bytes])
    honoured: set[bytes] = field(default_factory=set[bytes])
    leases: dict[bytes, int] = field(default_factory=dict[bytes, int])
    notes: dict[bytes, tuple[bytes, int]] = field(default_factory=dict[bytes, tuple[bytes, int]])
    cheques: list[tuple[bytes, bytes, int]] = field(default_factory=list[tuple[bytes, bytes, int]])
    held_leases: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    filed_leases: set[bytes] = field(default_factory=set[bytes])
    live_drafts: int = 0


def read_books(state: Path) -> Books:
    """Return the books of one node, in one consistent view of its file."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=10)) as db:
        db.execute("BEGIN")
        books = Books()
        totals = db.execute("SELECT sum(outstanding), sum(locked), sum(leased) FROM mint_totals").fetchone()
        books.outstanding, books.locked, books.leased = (int(x or 0) for x in totals)
        books.spent = {row[0] for row in db.execute("SELECT note FROM mint_spent")}
        books.honoured = {row[0] for row in db.execute("SELECT request_id FROM mint_requests")}
        books.leases = dict(db.execute("SELECT lease_id, quantity FROM mint_leases WHERE ended = 0").fetchall())
        for note, issuer, quantity in db.execute("SELECT note, issuer, quantity FROM wallet_notes"):
            books.notes[note] = (issuer, quantity)
        for request, mint, coins in db.execute("SELECT request, mint, coins FROM wallet_journal WHERE state = 'open'"):
            brings = decode(coins, tuple[Coin, ...], size_max=_BYTES_MAX)
            books.cheques.append((request, mint, sum(coin.quantity for coin in brings)))
        for lease, signed in db.execute("SELECT lease, signed FROM wallet_leases"):
            books.held_leases[lease] = contract_of(decode(signed, Signed, size_max=_BYTES_MAX)).issuer
        books.filed_leases = {row[0] for row in db.execute("SELECT lease_id FROM storage_leases")}
        books.live_drafts = db.execute("SELECT count(*) FROM swap_drafts WHERE ended = 0").fetchone()[0]
    return books


def draft_states(state: Path) -> set[str]:
    """Return the names of the states in which a node's drafts are; none while it has no tables."""
    try:
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=1)) as db:
            found = db.execute("SELECT state FROM swap_drafts").fetchall()
    except sqlite3.Error:
        return set()
    return {type(decode(blob, cast("type[State]", State), size_max=STATE_MAX)).__name__ for (blob,) in found}


def unsettled(books: Iterable[Books]) -> str:
    """Return what is still under way, or nothing."""
    drafts = cheques = locked = 0
    for each in books:
        drafts, cheques, locked = drafts + each.live_drafts, cheques + len(each.cheques), locked + each.locked
    if drafts or cheques or locked:
        return f"{drafts} drafts live, {cheques} bodies open, {locked} MiB locked"
    return ""


def contradictions(network: dict[bytes, Books]) -> list[str]:
    """Return what does not add up between the nodes, by node id; nothing may be under way but bodies."""
    found = list[str]()
    copies = Counter(note for books in network.values() for note in books.notes)
    found += [f"note {note.hex()[:12]} lies in {many} wallets" for note, many in copies.items() if many > 1]
    copies = Counter(lease for books in network.values() for lease in books.held_leases)
    found += [f"lease {lease.hex()[:12]} is held by {many}" for lease, many in copies.items() if many > 1]
    for issuer, mint in network.items():
        name = issuer.hex()[:8]
        notes = sum(
            quantity
            for books in network.values()
            for note, (of, quantity) in books.notes.items()
            if of == issuer and note not in mint.spent
        )
        coming = sum(
            brings
            for books in network.values()
            for request, of, brings in books.cheques
            if of == issuer and request in mint.honoured
        )
        if notes + coming != mint.outstanding:
            found.append(f"mint {name}: {mint.outstanding} MiB outstanding, {notes} held, {coming} on their way")
        if mint.locked:
            found.append(f"mint {name}: {mint.locked} MiB are locked although every draft has ended")
        held = {lease for books in network.values() for lease, of in books.held_leases.items() if of == issuer}
        if held != set(mint.leases):
            lost, made = len(set(mint.leases) - held), len(held - set(mint.leases))
            found.append(f"mint {name}: {lost} leases run that nobody holds, {made} are held that do not run")
        if sum(mint.leases.values()) != mint.leased:
            found.append(f"mint {name}: {mint.leased} MiB leased, {sum(mint.leases.values())} in its leases")
    return found
