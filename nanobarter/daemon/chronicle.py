"""What happened in this node's barter, kept for its person: the agreements it took part in, and the ledger.

Events come as they happen and must not wait; they go through a queue and are written in order. What a crash keeps
out of the queue is booked at the next start from what the wallet and the mint recorded themselves.
"""

import sqlite3
from typing import Final, Literal

import msgspec
import trio

from nanobarter.core.ids import DraftId, NodeId, show_node
from nanobarter.core.ports import Clock
from nanobarter.core.store import Migration, Store
from nanobarter.core.units import Instant, LeaseKind
from nanobarter.daemon.facade import Agreement
from nanobarter.mint import events as mint_events
from nanobarter.mint.events import MintEvent
from nanobarter.mint.service import Mint
from nanobarter.swap.events import (
    Aborted,
    Amount,
    Approved,
    Asked,
    DraftRefused,
    DraftSeen,
    Settled,
    SwapEvent,
    taken_in,
)
from nanobarter.swap.news import endings
from nanobarter.translator.happened import from_ending, from_mint, from_swap
from nanobarter.translator.ledger import Ledger
from nanobarter.wallet.events import WalletEvent
from nanobarter.wallet.service import Wallet

MIGRATIONS: Final = (
    Migration(
        "chronicle",
        1,
        """
        CREATE TABLE chronicle_agreements (
            draft_id TEXT PRIMARY KEY,
            at INTEGER NOT NULL,
            told TEXT NOT NULL
        ) STRICT;
        """,
    ),
    Migration("chronicle", 2, "CREATE INDEX chronicle_agreements_by_time ON chronicle_agreements (at);"),
)
QUEUE_MAX: Final = 10_000  # a node at 20 agreements a second is told of in full while one commit takes minutes
FORGET: Final = (  # in each write, and strangers make them: it must not look at all rows
    "DELETE FROM chronicle_agreements"
    " WHERE at < (SELECT at FROM chronicle_agreements ORDER BY at DESC LIMIT 1 OFFSET ?)"
)
SHOWN_MAX: Final = 1000
KEPT_MAX: Final = 10_000  # the ledger remembers all that settled; this list is for looking

State = Literal["drafted", "approved", "settled", "refused", "aborted"]


class Chronicle:
    """Keeps the agreements and the ledger. ``take`` may be called from any callback of the services."""

    def __init__(self, *, store: Store, clock: Clock, ledger: Ledger, wallet: Wallet, mint: Mint) -> None:
        self._store, self._clock, self._ledger, self._wallet, self._mint = store, clock, ledger, wallet, mint
        self._in, self._out = trio.open_memory_channel[SwapEvent | MintEvent | WalletEvent](QUEUE_MAX)
        self._unbooked = dict[DraftId, Amount]()
        for observe in (mint.observe, wallet.observe):
            observe(self.take)

    def take(self, event: SwapEvent | MintEvent | WalletEvent) -> None:
        """Queue an event. When the queue is full it is dropped here; the next start books what matters."""
        if isinstance(event, Settled | Aborted) and (taken := taken_in(event)) is not None:
            self._unbooked[event.draft_id] = taken
        try:
            self._in.send_nowait(event)
        except trio.WouldBlock:
            return

    def unbooked(self, issuer: NodeId) -> list[tuple[LeaseKind, int]]:
        """Return how much of an issuer's notes rings took of us that the ledger does not tell yet."""
        return [(quality.kind, quantity) for quality, quantity in self._unbooked.values() if quality.issuer == issuer]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Catch up with what a crash kept out, then write what comes, until cancelled."""
        await self._ledger.follow_leases(self._mint.leases())
        await self._ledger.follow(self._wallet)
        await self._ledger.record(*map(from_ending, await self._store.read(endings)))
        lapsed = (from_mint(lapse, lapse.at) for lapse in self._mint.lapses())
        await self._ledger.record(*(happened for happened in lapsed if happened is not None))
        task_status.started()
        async for event in self._out:
            now = self._clock.now()
            match event:
                case Asked():
                    pass  # nothing is promised yet: nbctl draft list shows it
                case DraftSeen() | Approved() | DraftRefused() | Settled() | Aborted():
                    await self._keep(_told(event, now))
                    if (happened := from_swap(event, now)) is not None:
                        await self._ledger.record(happened)
                        self._unbooked.pop(event.draft_id, None)
                case (
                    mint_events.LockMade()
                    | mint_events.LockOpened()
                    | mint_events.LockReturned()
                    | mint_events.LeaseStarted()
                    | mint_events.LeaseExtended()
                    | mint_events.LeaseEnded()
                    | mint_events.PromisesLapsed()
                ):
                    if (happened := from_mint(event, now)) is not None:
                        await self._ledger.record(happened)
                case _:
                    await self._ledger.follow(self._wallet)

    async def _keep(self, row: Agreement) -> None:
        def keep(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO chronicle_agreements VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET at = excluded.at, told = excluded.told",
                (row.draft_id, row.at, msgspec.json.encode(row).decode()),
            )
            db.execute(FORGET, (KEPT_MAX - 1,))

        await self._store.write(keep)

    async def agreements(self) -> list[Agreement]:
        """Return the newest agreements, oldest of them first."""
        sql = "SELECT told FROM chronicle_agreements ORDER BY at DESC, draft_id LIMIT ?"
        rows = await self._store.read(lambda db: db.execute(sql, (SHOWN_MAX,)).fetchall())
        return [msgspec.json.decode(told, type=Agreement) for (told,) in reversed(rows)]


def _told(event: DraftSeen | Approved | DraftRefused | Settled | Aborted, now: Instant) -> Agreement:
    draft = event.draft_id.hex()
    match event:
        case DraftSeen(proposer=proposer):
            return Agreement(draft_id=draft, parties=(show_node(proposer),), state="drafted", at=now)
        case Approved(gives=(quality, quantity)):
            return Agreement(
                draft_id=draft, parties=(), state="approved", at=now,
                gave_issuer=show_node(quality.issuer), gave_kind=quality.kind, gave_mib=quantity,
            )  # fmt: skip
        case DraftRefused(by=by, reason=reason, detail=detail):
            who = () if by is None else (show_node(by),)
            return Agreement(draft_id=draft, parties=who, state="refused", at=now, detail=f"{reason.name}: {detail}")
        case Settled(gave=(gave, gave_quantity), got=(got, got_quantity), parties=parties):
            return Agreement(
                draft_id=draft, parties=tuple(map(show_node, parties)), state="settled", at=now,
                gave_issuer=show_node(gave.issuer), gave_kind=gave.kind, gave_mib=gave_quantity,
                got_issuer=show_node(got.issuer), got_kind=got.kind, got_mib=got_quantity,
            )  # fmt: skip
        case Aborted(how=how, reason=reason, detail=detail):
            return Agreement(
                draft_id=draft, parties=(), state="aborted", at=now, detail=f"{how}: {reason.name}: {detail}"
            )
