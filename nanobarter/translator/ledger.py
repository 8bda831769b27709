"""The book of what happened: double-entry, one commodity per quality, each thing booked exactly once.

The book follows the wallet's own record by a durable mark, and takes settled rings and the mint's leases as they are
told. Being told twice, or again after a crash, changes nothing. ``tables`` makes the database hold the law of zero.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from sqlite3 import Connection

from nanobarter.core.canonical import encode
from nanobarter.core.errors import InvariantBroken, LocalFault
from nanobarter.core.ids import LeaseId, NodeId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import Contract
from nanobarter.translator.entries import (
    Draft,
    Happening,
    Known,
    LeaseGiven,
    LeaseServed,
    Posting,
    PromisesLapsed,
    RingOver,
    Settled,
    entry_of,
    lease_after,
    ring_name,
)
from nanobarter.translator.ledger_audit import REMEDY, audit
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import Deal, Rates, Reliability, Verdicts
from nanobarter.wallet.events import LeaseEnded, LeaseReceived, NotesReceived, NotesSpent
from nanobarter.wallet.service import Wallet

_WALLET_MARK = "wallet"


@dataclass(frozen=True)
class Entry:
    """A booked entry. ``number`` counts up in the order of booking."""

    number: int
    at: Instant
    text: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True)
class Standing:
    """What stands in one account in one quality, its exact worth if any is known, and where that figure came from."""

    account: str
    quality: Quality
    amount: int
    worth: Fraction | None
    source: str


class Ledger:
    """The node's book. ``reliability`` says what is known of an issuer, ``quotes`` what others offer at present.

    ``verdict`` tells whose notes are worth nothing, or no more than their reliability says (``Rates``).
    """

    def __init__(
        self,
        *,
        store: Store,
        node: NodeId,
        clock: Clock,
        pet: Pet,
        limits: Limits = LIMITS,
        reliability: Reliability = lambda _node: None,
        quotes: Callable[[], Iterable[Deal]] = lambda: (),
        verdict: Verdicts = lambda _node: None,
    ) -> None:
        self._store, self._node, self._clock, self._limits = store, node, clock, limits
        self._reliability, self._quotes, self._verdict = reliability, quotes, verdict
        self.pet = pet

    # -- writing

    async def record(self, *events: Happening) -> int:
        """Book what happened and return how many of the events were new."""
        return await self._store.write(lambda db: sum(book(db, event, self._node) for event in events))

    async def follow(self, wallet: Wallet) -> int:
        """Book all that the wallet recorded since the last time; returns how many events were new.

        The mark moves in the same commit as the entries, so that a crash neither skips nor doubles.
        """
        new = 0
        while True:
            mark = self._store.read_now(_wallet_mark)
            batch = wallet.events(after_sequence=mark, count=self._limits.ledger_batch_max)
            if not batch:
                return new

            def change(db: Connection, batch: Sequence[tuple[int, Happening]] = tuple(batch)) -> int:
                booked = sum(book(db, event, self._node) for _, event in batch)
                db.execute("INSERT OR REPLACE INTO ledger_marks VALUES (?, ?)", (_WALLET_MARK, batch[-1][0]))
                return booked

            new += await self._store.write(change)

    async def follow_leases(self, given: Sequence[Contract]) -> int:
        """Book the leases at my own mint that began or ended untold, for instance in a crash; call it at start."""
        running = {contract.lease_id for contract in given}
        gone = [lease for lease in self._store.read_now(self._given) if lease not in running]
        began = [LeaseGiven(contract, contract.start) for contract in given]
        return await self.record(*began, *(LeaseServed(lease, self._clock.now()) for lease in gone))

    def _given(self, db: Connection) -> list[LeaseId]:
        rows = db.execute("SELECT lease FROM ledger_leases WHERE issuer = ? ORDER BY lease", (self._node,))
        return [LeaseId(lease) for (lease,) in rows]

    # -- reading

    def check(self) -> None:
        """Raise LocalFault when an entry cannot be right: figures made of it would be believed."""
        if bad := self._store.read_now(audit):
            raise LocalFault(f"the ledger is wrong: {bad[0].told}", hint=REMEDY)

    def entries(self, *, after: int = 0, count: int = 1000, since: int = 0, until: int = 2**62) -> list[Entry]:
        """Return entries behind a number that happened in [since, until), in the order of booking."""
        return self._store.read_now(lambda db: read_entries(db, after, count, since, until))

    def newest(self, count: int) -> list[Entry]:
        """Return the entries booked last, in the order of booking."""
        (last,) = self._store.read_now(
            lambda db: db.execute("SELECT ifnull(max(entry), 0) FROM ledger_entries").fetchone()
        )
        return self.entries(after=last - count, count=count)

    def balance(self) -> list[Standing]:
        """Return what stands in each account and quality, in stable order; what is even is left out."""
        rates = self.rates()
        rows = self._store.read_now(read_balance)
        return [self._standing(account, quality, amount, rates) for account, quality, amount in rows]

    def _standing(self, account: str, quality: Quality, amount: int, rates: Rates) -> Standing:
        figure = rates.figure(quality)
        if figure is None:
            return Standing(account, quality, amount, None, "no rate is known")
        return Standing(account, quality, amount, self.pet.amount(amount, figure), figure.source)

    def rates(self) -> Rates:
        """Return what is known of worths at this moment."""
        deals = self._store.read_now(lambda db: read_deals(db, self._limits.ledger_deals_max))
        return Rates(
            own=self._node,
            deals=[*deals, *self._quotes()],
            reliability=self._reliability,
            now=self._clock.now(),
            verdict=self._verdict,
        )

    def deals(self) -> list[Deal]:
        """Return what went for what in the settled agreements, the newest ones that are looked at, oldest first."""
        return self._store.read_now(lambda db: read_deals(db, self._limits.ledger_deals_max))[::-1]

    def clean_leases(self) -> dict[NodeId, int]:
        """Return how many terms each issuer has kept for us to the end."""
        sql = "SELECT issuer, count(*) FROM ledger_postings WHERE account = 'expenses:used' GROUP BY issuer"
        return {NodeId(i): many for i, many in self._store.read_now(lambda db: db.execute(sql).fetchall())}


# -- on a connection


def book(db: Connection, event: Happening, node: NodeId) -> bool:
    """Book one event; False when it was booked before."""
    if db.execute("INSERT OR IGNORE INTO ledger_seen VALUES (?)", (name_of(event),)).rowcount == 0:
        return False
    change = lease_after(event)
    known = Known(node, None if change is None else _lease(db, change[0]))
    draft = entry_of(event, known)
    if draft is not None:
        write_entry(db, draft)
    if change is not None:
        _remember_lease(db, *change)
    if isinstance(event, Settled):
        _remember_deal(db, event)
    return True


def name_of(event: Happening) -> bytes:
    """Return what tells one event from all others, however often it is told."""
    match event:
        case NotesReceived() | NotesSpent() | LeaseReceived() | LeaseEnded():
            return event.key
        case Settled() | RingOver():
            return ring_name(event.agreement)
        case PromisesLapsed():
            return event.name
        case LeaseGiven():
            return b"given" + encode((event.contract.lease_id, event.contract.version))
        case LeaseServed():
            return b"served" + event.lease_id


def write_entry(db: Connection, draft: Draft) -> None:
    """Write an entry and close it. Raises InvariantBroken when it does not sum to zero: the book stays as it was."""
    sums = dict[Quality, int]()
    for posting in draft.postings:
        sums[posting.quality] = sums.get(posting.quality, 0) + posting.amount
    if any(sums.values()) or not draft.postings:
        raise InvariantBroken(f"the entry {draft.text!r} does not sum to zero")
    sql = "INSERT INTO ledger_entries (key, at, text) VALUES (?, ?, ?) RETURNING entry"
    (entry,) = db.execute(sql, (draft.key, draft.at, draft.text)).fetchone()
    db.executemany(
        "INSERT INTO ledger_postings VALUES (?, ?, ?, ?, ?, ?)",
        [(entry, i, p.account, p.quality.issuer, p.quality.kind, p.amount) for i, p in enumerate(draft.postings)],
    )
    db.execute("UPDATE ledger_entries SET closed = 1 WHERE entry = ?", (entry,))


def _wallet_mark(db: Connection) -> int:
    row = db.execute("SELECT value FROM ledger_marks WHERE name = ?", (_WALLET_MARK,)).fetchone()
    return 0 if row is None else row[0]


def _lease(db: Connection, lease: LeaseId) -> tuple[Quality, Quantity] | None:
    row = db.execute("SELECT issuer, kind, quantity FROM ledger_leases WHERE lease = ?", (lease,)).fetchone()
    return None if row is None else (Quality(NodeId(row[0]), LeaseKind(row[1])), Quantity(row[2]))


def _remember_lease(db: Connection, lease: LeaseId, state: tuple[Quality, Quantity] | None) -> None:
    if state is None:
        db.execute("DELETE FROM ledger_leases WHERE lease = ?", (lease,))
        return
    quality, quantity = state
    sql = "INSERT OR REPLACE INTO ledger_leases VALUES (?, ?, ?, ?)"
    db.execute(sql, (lease, quality.issuer, quality.kind, quantity))


def _remember_deal(db: Connection, event: Settled) -> None:
    (gave, given), (got, gotten) = event.gave, event.got
    values = (event.agreement, event.at, gave.issuer, gave.kind, given, got.issuer, got.kind, gotten)
    db.execute("INSERT OR IGNORE INTO ledger_deals VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def read_entries(db: Connection, after: int, count: int, since: int, until: int) -> list[Entry]:
    """Return closed entries with their postings."""
    sql = """SELECT entry, at, text FROM ledger_entries
             WHERE closed = 1 AND entry > ? AND at >= ? AND at < ? ORDER BY entry LIMIT ?"""
    found = db.execute(sql, (after, since, until, count)).fetchall()
    return [Entry(entry, Instant(at), text, _postings(db, entry)) for entry, at, text in found]


def _postings(db: Connection, entry: int) -> tuple[Posting, ...]:
    sql = "SELECT account, issuer, kind, amount FROM ledger_postings WHERE entry = ? ORDER BY line"
    return tuple(Posting(a, Quality(NodeId(i), LeaseKind(k)), n) for a, i, k, n in db.execute(sql, (entry,)))


def read_balance(db: Connection) -> list[tuple[str, Quality, int]]:
    """Return the sum of each account and quality that is not even."""
    sql = """SELECT account, issuer, kind, sum(amount) FROM ledger_postings
             GROUP BY account, issuer, kind HAVING sum(amount) <> 0 ORDER BY account, kind, issuer"""
    return [(account, Quality(NodeId(i), LeaseKind(k)), amount) for account, i, k, amount in db.execute(sql)]


def read_deals(db: Connection, count: int, since: int = 0, until: int = 2**62) -> list[Deal]:
    """Return the newest deals of a span of time."""
    sql = """SELECT gave_issuer, gave_kind, gave, got_issuer, got_kind, got, at FROM ledger_deals
             WHERE at >= ? AND at < ? ORDER BY at DESC, key LIMIT ?"""
    return [
        Deal(Quality(NodeId(gi), LeaseKind(gk)), g, Quality(NodeId(ti), LeaseKind(tk)), t, Instant(at))
        for gi, gk, g, ti, tk, t, at in db.execute(sql, (since, until, count))
    ]
