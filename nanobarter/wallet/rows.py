"""The wallet's rows: notes, bodies under way, reservations, counters. Plain functions on a connection.

The journal holds one row per *subject* (what the body is for, for instance one lock), so that an operation called
again after a crash finds what it wrote before. A row is deleted only when the mint has shown that its body was not
honoured and never will be; until then its notes are *held*: the body is a live cheque that anyone may carry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import InvariantBroken
from nanobarter.core.ids import Hash, KeysetId, NodeId, NoteId, RequestId
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.messages import Note
from nanobarter.mint.notes import Keyset, note_id
from nanobarter.wallet.events import NotesSpent, WalletEvent
from nanobarter.wallet.secrets import Coin

_ROW_BYTES_MAX = 256 * 1024


class Meaning(Record, frozen=True):
    """What a body is about, in the wallet's own words: for its events."""

    quality: Quality
    terms_hash: Hash | None
    quantity: Quantity
    how: str


@dataclass(frozen=True)
class Cheque:
    """One row of the journal: a request as it is sent, and what it stands for."""

    request: RequestId
    subject: bytes
    mint: NodeId
    message: bytes
    valid_until: Instant
    coins: tuple[Coin, ...]
    meaning: Meaning
    state: str = "open"
    answer: bytes = b""


@dataclass(frozen=True)
class Held:
    """One note in the wallet."""

    note: Note
    coin: Coin
    quality: Quality
    terms_hash: Hash
    redeem_until: Instant

    @property
    def note_id(self) -> NoteId:
        """The id under which its mint knows it."""
        return note_id(self.note)


_NOTE = "SELECT body, coin, issuer, kind, terms_hash, redeem_until FROM wallet_notes"
_CHEQUE = "SELECT request, subject, mint, message, valid_until, coins, context, state, answer FROM wallet_journal"


def _held(row: tuple[bytes, bytes, bytes, str, bytes, int]) -> Held:
    body, coin, issuer, kind, terms, until = row
    quality = Quality(NodeId(issuer), LeaseKind(kind))
    note = decode(body, Note, size_max=_ROW_BYTES_MAX)
    return Held(note, decode(coin, Coin, size_max=_ROW_BYTES_MAX), quality, Hash(terms), Instant(until))


def _cheque(row: tuple[bytes, bytes, bytes, bytes, int, bytes, bytes, str, bytes]) -> Cheque:
    request, subject, mint, message, until, coins, meaning, state, answer = row
    return Cheque(
        RequestId(request),
        subject,
        NodeId(mint),
        message,
        Instant(until),
        decode(coins, tuple[Coin, ...], size_max=_ROW_BYTES_MAX),
        decode(meaning, Meaning, size_max=_ROW_BYTES_MAX),
        state,
        answer,
    )


# -- notes


def free_notes(db: Connection, quality: Quality, usable_at: Instant) -> list[Held]:
    """Return the notes of a quality that may be spent now and are still good at that instant, oldest end first."""
    sql = f"{_NOTE} WHERE issuer = ? AND kind = ? AND state = 'free' AND redeem_until > ? ORDER BY redeem_until, note"
    return [_held(row) for row in db.execute(sql, (quality.issuer, quality.kind, usable_at))]


def ageing_notes(db: Connection, end_before: Instant, count: int) -> list[Held]:
    """Return some free notes that end before an instant, the most urgent first."""
    sql = f"{_NOTE} WHERE state = 'free' AND redeem_until < ? ORDER BY redeem_until, note LIMIT ?"
    return [_held(row) for row in db.execute(sql, (end_before, count))]


def held_by(db: Connection, request: RequestId) -> list[Held]:
    """Return the notes that a body wants to spend."""
    return [_held(row) for row in db.execute(f"{_NOTE} WHERE held_by = ? ORDER BY note", (request,))]


def sums(db: Connection, now: Instant) -> dict[Quality, Quantity]:
    """Return what the wallet has of each quality: free notes and those held by bodies under way."""
    sql = """SELECT issuer, kind, sum(quantity) FROM wallet_notes
             WHERE state IN ('free', 'held') AND redeem_until > ? GROUP BY issuer, kind"""
    return {Quality(NodeId(i), LeaseKind(k)): Quantity(q) for i, k, q in db.execute(sql, (now,))}


def add_notes(db: Connection, notes: Iterable[tuple[Note, Coin, Keyset]]) -> None:
    """Put fresh notes into the wallet; ones that are there already (a repeat) stay as they are."""
    rows = [
        (
            note_id(note),
            keyset.issuer,
            keyset.announcement.kind,
            keyset.terms_hash,
            keyset.announcement.redeem_until,
            note.quantity,
            encode(coin),
            encode(note),
        )
        for note, coin, keyset in notes
    ]
    db.executemany(
        """INSERT OR IGNORE INTO wallet_notes
           (note, issuer, kind, terms_hash, redeem_until, quantity, coin, body, state)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'free')""",
        rows,
    )


def take_counters(db: Connection, wanted: Sequence[tuple[KeysetId, Quantity]]) -> tuple[Coin, ...]:
    """Return coins never named before; their counters are used up by the commit, whatever becomes of them."""
    coins = list[Coin]()
    for keyset, quantity in wanted:
        (following,) = db.execute(
            """INSERT INTO wallet_counters VALUES (?, ?, 1)
               ON CONFLICT DO UPDATE SET next = next + 1 RETURNING next""",
            (keyset, quantity),
        ).fetchone()
        coins.append(Coin(keyset, quantity, following - 1))
    return tuple(coins)


def skip_counters(db: Connection, keyset: KeysetId, quantity: Quantity, following: int) -> None:
    """Never name a coin below ``following`` again: it was used by an earlier life of this wallet."""
    db.execute(
        "INSERT INTO wallet_counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)",
        (keyset, quantity, following),
    )


def has_note(db: Connection, note: NoteId) -> bool:
    """Tell whether a note is in the wallet, whatever its state."""
    return db.execute("SELECT 1 FROM wallet_notes WHERE note = ?", (note,)).fetchone() is not None


def coins_under_way(db: Connection) -> set[Coin]:
    """Return the coins that bodies under way will bring."""
    found = db.execute("SELECT coins FROM wallet_journal WHERE state = 'open'").fetchall()
    return {coin for (raw,) in found for coin in decode(raw, tuple[Coin, ...], size_max=_ROW_BYTES_MAX)}


# -- the journal


def find_cheque(db: Connection, subject: bytes) -> Cheque | None:
    """Return the row of a subject."""
    row = db.execute(f"{_CHEQUE} WHERE subject = ?", (subject,)).fetchone()
    return None if row is None else _cheque(row)


def get_cheque(db: Connection, request: RequestId) -> Cheque | None:
    """Return the row of a request."""
    row = db.execute(f"{_CHEQUE} WHERE request = ?", (request,)).fetchone()
    return None if row is None else _cheque(row)


def open_cheques(db: Connection, now: Instant, count: int) -> list[Cheque]:
    """Return bodies to send again: those never answered, and refused ones whose time is over."""
    sql = f"{_CHEQUE} WHERE state = 'open' AND (answer = x'' OR valid_until < ?) ORDER BY at LIMIT ?"
    return [_cheque(row) for row in db.execute(sql, (now, count))]


def write_cheque(db: Connection, cheque: Cheque, inputs: Sequence[NoteId], now: Instant) -> None:
    """Write a body and hold its notes. Raises InvariantBroken when a note is not free: two bodies would spend it."""
    db.execute(
        """INSERT INTO wallet_journal
           (request, subject, mint, message, valid_until, coins, context, state, at)
           VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?)""",
        (
            cheque.request,
            cheque.subject,
            cheque.mint,
            cheque.message,
            cheque.valid_until,
            encode(cheque.coins),
            encode(cheque.meaning),
            now,
        ),
    )
    for note in inputs:
        sql = "UPDATE wallet_notes SET state = 'held', held_by = ? WHERE note = ? AND state = 'free'"
        if db.execute(sql, (cheque.request, note)).rowcount != 1:
            raise InvariantBroken("a note would be spent by two bodies")


def finish_cheque(db: Connection, cheque: Cheque, state: str, answer: bytes) -> bool:
    """Note the final answer and drop the notes it spent. False when that was done before."""
    sql = "UPDATE wallet_journal SET state = ?, answer = ? WHERE request = ? AND state = 'open'"
    if db.execute(sql, (state, answer, cheque.request)).rowcount != 1:
        return False
    db.execute("DELETE FROM wallet_notes WHERE held_by = ?", (cheque.request,))
    return True


def note_refusal(db: Connection, cheque: Cheque, answer: bytes) -> None:
    """Remember a no that is not final: the body stays valid."""
    db.execute("UPDATE wallet_journal SET answer = ? WHERE request = ? AND state = 'open'", (answer, cheque.request))


def bury_cheque(db: Connection, cheque: Cheque, spent: set[NoteId], now: Instant) -> list[WalletEvent]:
    """Forget a body that can no longer be honoured; its notes are free again, but for those spent elsewhere."""
    lost = [held for held in held_by(db, cheque.request) if held.note_id in spent]
    db.executemany("DELETE FROM wallet_notes WHERE note = ?", [(held.note_id,) for held in lost])
    db.execute("UPDATE wallet_notes SET state = 'free', held_by = NULL WHERE held_by = ?", (cheque.request,))
    db.execute("DELETE FROM wallet_journal WHERE request = ?", (cheque.request,))
    return [NotesSpent(h.quality, h.note.quantity, "elsewhere", b"gone" + h.note_id, now) for h in lost]


# -- reservations


def reserved(db: Connection, quality: Quality, now: Instant, besides: bytes | None = None) -> Quantity:
    """Return how much of a quality is promised to purposes (other than ``besides``) and not yet spent."""
    sql = """SELECT coalesce(sum(quantity), 0) FROM wallet_reservations
             WHERE issuer = ? AND kind = ? AND until > ? AND purpose IS NOT ?"""
    return Quantity(db.execute(sql, (quality.issuer, quality.kind, now, besides)).fetchone()[0])


def reserve(db: Connection, purpose: bytes, quality: Quality, quantity: Quantity, until: Instant) -> None:
    """Promise a quantity to a purpose; a repeat replaces the promise."""
    sql = "INSERT OR REPLACE INTO wallet_reservations VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, (purpose, quality.issuer, quality.kind, quantity, until))


def use_reservation(db: Connection, purpose: bytes, quality: Quality, quantity: Quantity) -> None:
    """Lessen a purpose's reservation by what was just paid from it."""
    key = (purpose, quality.issuer, quality.kind)
    where = "WHERE purpose = ? AND issuer = ? AND kind = ?"
    db.execute(f"DELETE FROM wallet_reservations {where} AND quantity <= ?", (*key, quantity))  # noqa: S608
    db.execute(f"UPDATE wallet_reservations SET quantity = quantity - ? {where}", (quantity, *key))  # noqa: S608
