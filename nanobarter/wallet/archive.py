"""What the wallet remembers besides notes: events, leases, what the keys of locks derive from, notes given away."""

from collections.abc import Iterable
from sqlite3 import Connection
from typing import cast

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import Hash, LeaseId, NodeId, NoteId, PublicKey
from nanobarter.core.keys import Signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind, Quantity, Span, before
from nanobarter.mint.answer_messages import Contract
from nanobarter.wallet.events import EVENT_BYTES_MAX, LeaseEnded, NotesSpent, WalletEvent

_BYTES_MAX = 64 * 1024

KeyName = tuple[bytes, int, str]
"""Draft, party and role: what a lock's key is derived from."""

# -- events


def add_events(db: Connection, events: Iterable[WalletEvent]) -> list[WalletEvent]:
    """Append events and return those that were new: an event's key is booked once."""
    sql = "INSERT OR IGNORE INTO wallet_events (key, body) VALUES (?, ?)"
    return [event for event in events if db.execute(sql, (event.key, encode(event))).rowcount == 1]


def events_after(db: Connection, sequence: int, count: int) -> list[tuple[int, WalletEvent]]:
    """Return the events behind a sequence number, in order."""
    sql = "SELECT sequence, body FROM wallet_events WHERE sequence > ? ORDER BY sequence LIMIT ?"
    return [(number, _event(body)) for number, body in db.execute(sql, (sequence, count))]


def _event(body: bytes) -> WalletEvent:
    return decode(body, cast("type[WalletEvent]", WalletEvent), size_max=EVENT_BYTES_MAX)


# -- leases


def put_lease(db: Connection, contract: Contract, signed: Signed) -> None:
    """Keep a contract; a newer version replaces the older."""
    db.execute(
        """INSERT INTO wallet_leases VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
           SET version = excluded.version, ends = excluded.ends, signed = excluded.signed
           WHERE excluded.version >= version""",
        (contract.lease_id, contract.version, contract.end, encode(signed)),
    )


def get_contract(db: Connection, lease: LeaseId) -> Contract | None:
    """Return the newest contract of a lease."""
    row = db.execute("SELECT signed FROM wallet_leases WHERE lease = ?", (lease,)).fetchone()
    if row is None:
        return None
    signed = decode(row[0], Signed, size_max=_BYTES_MAX)
    return decode(signed.body, Contract, size_max=_BYTES_MAX)


def leases_after(db: Connection, now: Instant) -> list[Signed]:
    """Return the contracts that end later than an instant, the first to end first."""
    sql = "SELECT signed FROM wallet_leases WHERE ends > ? ORDER BY ends, lease"
    return [decode(raw, Signed, size_max=_BYTES_MAX) for (raw,) in db.execute(sql, (now,))]


def end_leases(db: Connection, now: Instant) -> list[WalletEvent]:
    """Forget the leases that are over and return that they ended."""
    over = db.execute("DELETE FROM wallet_leases WHERE ends <= ? RETURNING signed", (now,)).fetchall()
    contracts = [
        decode(decode(raw, Signed, size_max=_BYTES_MAX).body, Contract, size_max=_BYTES_MAX) for (raw,) in over
    ]
    return [
        LeaseEnded(Quality(c.issuer, c.terms.kind), c.terms.quantity, c.lease_id, b"ended" + c.lease_id, c.end)
        for c in contracts
    ]


# -- keys of locks


def put_lock_keys(db: Connection, names: Iterable[tuple[PublicKey, KeyName]]) -> None:
    """Remember what keys are derived from; the secrets themselves are never stored."""
    rows = [(public, *name) for public, name in names]
    db.executemany("INSERT OR IGNORE INTO wallet_lock_keys VALUES (?, ?, ?, ?)", rows)


def find_lock_key(db: Connection, public: PublicKey) -> KeyName | None:
    """Return what a key is derived from."""
    return db.execute("SELECT draft, party, role FROM wallet_lock_keys WHERE public = ?", (public,)).fetchone()


# -- notes given away as text


def put_token(db: Connection, digest: Hash, token: str, quality: Quality, quantity: Quantity, now: Instant) -> None:
    """Keep a line of text that was made, so that a crash before it was shown loses nothing."""
    values = (digest, token, quality.issuer, quality.kind, quantity, now)
    db.execute("INSERT OR IGNORE INTO wallet_tokens VALUES (?, ?, ?, ?, ?, ?)", values)


def tokens(db: Connection) -> list[tuple[str, Quality, Quantity, Instant]]:
    """Return the lines made and not yet taken back, the newest first."""
    sql = "SELECT token, issuer, kind, quantity, at FROM wallet_tokens ORDER BY at DESC, digest"
    return [(t, Quality(NodeId(i), LeaseKind(k)), Quantity(q), Instant(a)) for t, i, k, q, a in db.execute(sql)]


def drop_token(db: Connection, digest: Hash, notes: Iterable[NoteId]) -> None:
    """Forget a line, in or out, and the notes in it."""
    db.execute("DELETE FROM wallet_incoming WHERE digest = ?", (digest,))
    db.execute("DELETE FROM wallet_tokens WHERE digest = ?", (digest,))
    db.executemany("DELETE FROM wallet_notes WHERE note = ? AND state = 'sent'", [(note,) for note in notes])


# -- growing old


def lapse_notes(db: Connection, now: Instant) -> list[WalletEvent]:
    """Drop the free notes whose mint no longer redeems them, and return that they lapsed; sent ones go quietly."""
    sql = "DELETE FROM wallet_notes WHERE redeem_until <= ? AND state = ? RETURNING note, issuer, kind, quantity"
    db.execute(sql, (now, "sent")).fetchall()
    lapsed = db.execute(sql, (now, "free")).fetchall()
    return [
        NotesSpent(Quality(NodeId(i), LeaseKind(k)), Quantity(q), "lapsed", b"gone" + note, now)
        for note, i, k, q in lapsed
    ]


def prune(db: Connection, now: Instant, kept: Span, events_kept: int) -> None:
    """Drop what no mint and no ledger will ask for again."""
    old = before(now, kept)
    db.execute("DELETE FROM wallet_notes WHERE held_by IN (SELECT request FROM wallet_journal WHERE at < ?)", (old,))
    db.execute("DELETE FROM wallet_journal WHERE at < ?", (old,))
    db.execute("DELETE FROM wallet_reservations WHERE until <= ?", (now,))
    db.execute("DELETE FROM wallet_keysets WHERE purge_at <= ?", (old,))
    (last,) = db.execute("SELECT coalesce(max(sequence), 0) FROM wallet_events").fetchone()
    db.execute("DELETE FROM wallet_events WHERE sequence <= ?", (last - events_kept,))
