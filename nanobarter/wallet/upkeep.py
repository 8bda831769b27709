"""What the wallet does unasked: repeats unanswered bodies, renews ageing notes, drops what is over.

One round does each once, mint by mint, and passes over mints that are silent or lie: they are asked again next round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection

import trio

from nanobarter.core.errors import PeerFault, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import INSTANT_MAX, Instant, Quantity, after
from nanobarter.wallet import archive, rows
from nanobarter.wallet.courier import Courier
from nanobarter.wallet.events import WalletEvent
from nanobarter.wallet.payments import Payments
from nanobarter.wallet.rows import Cheque, Held


@dataclass(frozen=True)
class Renewed:
    """How much of a quality got fresh notes, and what stood against the rest."""

    quality: Quality
    quantity: Quantity
    problem: str = ""


class Upkeep:
    """The wallet's background round."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        limits: Limits,
        courier: Courier,
        payments: Payments,
        told: Callable[[WalletEvent], None],
    ) -> None:
        self._store, self._clock, self._limits = store, clock, limits
        self._courier, self._payments, self._told = courier, payments, told

    async def round(self) -> None:
        """Do everything that is due once."""
        now, most = self._clock.now(), self._limits.wallet_round_bodies_max
        due = self._store.read_now(lambda db: rows.open_cheques(db, now, most))
        ahead = after(now, self._limits.wallet_refresh_ahead)
        ageing = self._store.read_now(lambda db: rows.ageing_notes(db, ahead, most))
        async with trio.open_nursery() as nursery:
            for mint in {cheque.mint for cheque in due}:
                nursery.start_soon(self._repeat, [cheque for cheque in due if cheque.mint == mint])
        async with trio.open_nursery() as nursery:
            for mint in {held.quality.issuer for held in ageing}:
                nursery.start_soon(self._renew, mint, ageing)
        await self._tidy()

    async def _repeat(self, cheques: list[Cheque]) -> None:
        for cheque in cheques:
            try:
                await self._courier.deliver(cheque)
            except Unreachable:
                return  # the others would meet the same silence
            except PeerFault:
                continue

    async def _renew(self, mint: NodeId, ageing: list[Held]) -> None:
        mine = [held for held in ageing if held.quality.issuer == mint]
        try:
            for quality, terms in dict.fromkeys((held.quality, held.terms_hash) for held in mine):
                await self._payments.renew([h for h in mine if (h.quality, h.terms_hash) == (quality, terms)])
        except (Unreachable, PeerFault):
            return

    async def refresh(self, issuer: NodeId | None, *, everything: bool) -> list[Renewed]:
        """Renew notes now: those that age, or all; of one issuer, or of each. What fails is told, not raised."""
        now = self._clock.now()
        until = Instant(INSTANT_MAX) if everything else after(now, self._limits.wallet_refresh_ahead)
        held = self._store.read_now(lambda db: rows.ageing_notes(db, until, self._limits.wallet_refresh_max))
        groups = dict[tuple[Quality, Hash], list[Held]]()
        for one in held:
            if issuer in (None, one.quality.issuer) and one.redeem_until > now:
                groups.setdefault((one.quality, one.terms_hash), []).append(one)
        return [await self._refresh(quality, notes) for (quality, _), notes in sorted(groups.items())]

    async def _refresh(self, quality: Quality, notes: list[Held]) -> Renewed:
        done, size = 0, self._limits.request_notes_max
        for first in range(0, len(notes), size):
            try:
                renewed = await self._payments.renew(notes[first : first + size])
            except (Unreachable, PeerFault) as error:
                return Renewed(quality, Quantity(done), str(error))
            if isinstance(renewed, Refused):
                return Renewed(quality, Quantity(done), renewed.detail or renewed.reason.name)
            done += renewed
        return Renewed(quality, Quantity(done))

    async def _tidy(self) -> None:
        now, limits = self._clock.now(), self._limits

        def change(db: Connection) -> list[WalletEvent]:
            over = archive.lapse_notes(db, now) + archive.end_leases(db, now)
            archive.prune(db, now, limits.wallet_journal_kept, limits.wallet_events_kept)
            return archive.add_events(db, over)

        for event in await self._store.write(change):
            self._told(event)
