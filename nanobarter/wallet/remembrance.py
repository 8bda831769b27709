"""What the wallet holds that a mint signed: shown to that mint when it connects, since its store may be older than it.

And the other side: a mint that says it was restored has made its former notes worthless.
"""

from collections.abc import Callable
from itertools import pairwise
from sqlite3 import Connection
from typing import cast

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import KeysetId, NodeId, NoteId
from nanobarter.core.keys import Signed
from nanobarter.core.ports import Clock
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import ANSWER_BYTES_MAX, Answer, LockAnswer, Minted
from nanobarter.mint.messages import REQUEST_BYTES_MAX, Body, Note, Request, SwapBody, TakeBody
from nanobarter.mint.proofs.records import Exchange
from nanobarter.mint.restoration import (
    EXCHANGE_BYTES_MAX,
    EXCHANGES_MAX,
    STATEMENTS_MAX,
    Remembered,
    Restored,
    exposes,
    open_restored,
)
from nanobarter.wallet import archive
from nanobarter.wallet.events import NotesSpent, WalletEvent
from nanobarter.wallet.keysets import Keysets

_ANNOUNCEMENTS_SHOWN = 16  # 6 kB each
_ROW_BYTES_MAX = 256 * 1024


def remembered(db: Connection, mint: NodeId, now: Instant) -> Remembered:
    """Return the newest statements of each sort that this mint signed."""
    sql = "SELECT signed FROM wallet_keysets WHERE issuer = ? AND purge_at > ? ORDER BY purge_at DESC LIMIT ?"
    announced = [_signed(raw) for (raw,) in db.execute(sql, (mint, now, _ANNOUNCEMENTS_SHOWN))]
    leases = (_signed(raw) for (raw,) in db.execute("SELECT signed FROM wallet_leases ORDER BY ends DESC"))
    contracts = [signed for signed in leases if signed.signer == mint][:STATEMENTS_MAX]
    locked, exchanges = list[Signed](), list[Exchange]()
    sql = "SELECT message, answer FROM wallet_journal WHERE mint = ? AND state = 'done' ORDER BY at DESC LIMIT ?"
    for message, raw in db.execute(sql, (mint, STATEMENTS_MAX)):
        signed = _signed(raw)
        answer = decode(signed.body, cast("type[Answer]", Answer), size_max=ANSWER_BYTES_MAX)
        if isinstance(answer, LockAnswer):
            locked.append(answer.locked)
        elif isinstance(answer, Minted) and len(exchanges) < EXCHANGES_MAX:
            body = decode(message, Request, size_max=_ROW_BYTES_MAX).body
            kind = decode(body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
            if isinstance(kind, SwapBody | TakeBody) and len(body) + len(raw) <= EXCHANGE_BYTES_MAX:
                exchanges.append(Exchange(body, signed))
    return Remembered(tuple(announced), tuple(contracts), tuple(locked), tuple(exchanges))


def _signed(raw: bytes) -> Signed:
    return decode(raw, Signed, size_max=_ROW_BYTES_MAX)


def note_restoration(db: Connection, signed: Signed) -> bool:
    """Remember a mint's notice; tell whether it is new here."""
    notice = open_restored(signed)
    sql = "INSERT OR IGNORE INTO wallet_restorations (issuer, generation, since, notice) VALUES (?, ?, ?, ?)"
    return db.execute(sql, (signed.signer, notice.generation, notice.since, encode(signed))).rowcount == 1


def restorations(db: Connection) -> dict[NodeId, list[Restored]]:
    """Return what mints said of their restorations, the last one last."""
    found = dict[NodeId, list[Restored]]()
    for issuer, raw in db.execute("SELECT issuer, notice FROM wallet_restorations ORDER BY generation"):
        found.setdefault(NodeId(issuer), []).append(open_restored(_signed(raw)))
    return found


def is_exposed(notices: list[Restored]) -> bool:
    """Tell whether a mint was restored more often than an honest one is."""
    return any(exposes(one, other) for one, other in pairwise(notices))


def withdraw(db: Connection, mint: NodeId, keysets: set[KeysetId], now: Instant) -> list[WalletEvent]:
    """Drop the notes of keysets that their mint retired; those in bodies under way fall free first, or are answered."""
    sql = "SELECT note, body, kind, quantity, state FROM wallet_notes WHERE issuer = ? AND state <> 'held'"
    events, lost = list[WalletEvent](), 0
    for note, body, kind, quantity, state in db.execute(sql, (mint,)).fetchall():
        if decode(body, Note, size_max=_ROW_BYTES_MAX).keyset not in keysets:
            continue
        db.execute("DELETE FROM wallet_notes WHERE note = ?", (note,))
        if state == "free":
            quality = Quality(mint, LeaseKind(kind))
            events.append(NotesSpent(quality, Quantity(quantity), "retired", b"gone" + NoteId(note), now))
            lost += quantity
    sql = """UPDATE wallet_restorations SET lost = lost + ? WHERE issuer = ?
        AND generation = (SELECT max(generation) FROM wallet_restorations WHERE issuer = ?)"""
    db.execute(sql, (lost, mint, mint))
    return events


def losses(db: Connection, since: Instant) -> dict[NodeId, Quantity]:
    """Return how many MiB of our notes went to nothing since an instant, by the restored mints that owed them."""
    sql = "SELECT issuer, sum(lost) FROM wallet_restorations WHERE since >= ? AND lost > 0 GROUP BY issuer"
    return {NodeId(issuer): Quantity(lost) for issuer, lost in db.execute(sql, (since,))}


class Remembrance:
    """What this wallet can tell mints of their past, and what restored mints told it."""

    def __init__(self, store: Store, clock: Clock, keysets: Keysets, told: Callable[[WalletEvent], None]) -> None:
        self._store, self._clock, self._keysets, self._told = store, clock, keysets, told

    def of(self, mint: NodeId) -> Remembered:
        """Return the newest of what this mint signed and the wallet holds."""
        return self._store.read_now(lambda db: remembered(db, mint, self._clock.now()))

    def mints(self) -> list[NodeId]:
        """Return the mints whose answers to requests the wallet keeps."""
        sql = "SELECT DISTINCT mint FROM wallet_journal WHERE state = 'done'"
        return [NodeId(mint) for (mint,) in self._store.read_now(lambda db: db.execute(sql).fetchall())]

    async def hear(self, signed: Signed) -> bool:
        """Take note that a mint was restored; tell whether that is news. Raises Malformed for what is no notice."""
        return await self._store.write(lambda db: note_restoration(db, signed))

    def notices(self) -> dict[NodeId, list[Restored]]:
        """Return what mints said of their restorations."""
        return self._store.read_now(restorations)

    def losses(self, since: Instant) -> dict[NodeId, Quantity]:
        """Return how many MiB of our notes restored mints have retired since an instant."""
        return self._store.read_now(lambda db: losses(db, since))

    async def withdraw(self) -> None:
        """Drop the notes that restored mints have retired, and never make notes of those keysets again."""
        for mint, notices in self.notices().items():
            generation = notices[-1].generation
            old = {k.keyset_id for k in self._keysets.of(mint) if k.announcement.generation < generation}
            if old:
                await self._withdraw(mint, old)

    async def _withdraw(self, mint: NodeId, old: set[KeysetId]) -> None:
        now = self._clock.now()
        for event in await self._store.write(lambda db: archive.add_events(db, withdraw(db, mint, old, now))):
            self._told(event)
        for keyset in old:
            await self._keysets.drop(keyset, "its mint was restored and retired it")
