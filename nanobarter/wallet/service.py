"""The wallet: notes I hold at many mints, the locks I make and take, and the leases they become.

Every operation may be called again after a crash or an unanswered call, with the same arguments: it finds the body
that it wrote and goes on from there. Operations raise Unreachable when the mint did not answer in the tries of one
call, and PeerFault when it lied; in both cases the body stays in the journal and the background round repeats it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from nanobarter.core.errors import InvariantBroken, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId, PublicKey
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import Contract, LockState
from nanobarter.mint.messages import LockTerms
from nanobarter.wallet import archive, copies, rows
from nanobarter.wallet.acts import Acts
from nanobarter.wallet.courier import Courier
from nanobarter.wallet.events import WalletEvent
from nanobarter.wallet.handover import Handover
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.leasing import Leases
from nanobarter.wallet.locking import LockKeys, Locks
from nanobarter.wallet.payments import Payment, Payments
from nanobarter.wallet.receiving import Receiving
from nanobarter.wallet.recovery import Recovery
from nanobarter.wallet.remembrance import Remembrance
from nanobarter.wallet.upkeep import Upkeep


@dataclass(frozen=True)
class Holding:
    """What the wallet has of one quality; ``reserved`` of it is promised."""

    quality: Quality
    quantity: Quantity
    reserved: Quantity


FreeOwn = Callable[[LeaseKind], Quantity]


class Wallet:
    """See the module. ``seed`` is the person's, ``key`` the node's; ``free_own`` says what is left of one's pledge.

    Without ``free_own`` reservations of one's own quality are not bounded here, only by the mint when it locks.
    """

    def __init__(
        self,
        *,
        store: Store,
        seed: bytes,
        key: SigningKey,
        caller: Caller,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        free_own: FreeOwn | None = None,
    ) -> None:
        self._store, self._key, self._clock, self._limits, self._free_own = store, key, clock, limits, free_own
        self._observers = list[Callable[[WalletEvent], None]]()
        self.keysets = Keysets(store, caller, clock, limits)
        self.courier = Courier(
            store=store,
            seed=seed,
            caller=caller,
            clock=clock,
            limits=limits,
            keysets=self.keysets,
            told=self._tell,
        )
        self.payments = Payments(
            store=store,
            seed=seed,
            clock=clock,
            entropy=entropy,
            limits=limits,
            keysets=self.keysets,
            courier=self.courier,
        )

        self._acts = Acts(store=store, clock=clock, limits=limits, courier=self.courier)
        self._locks = Locks(
            store=store,
            seed=seed,
            key=key,
            payments=self.payments,
            acts=self._acts,
            free=self._free,
        )
        self._leases = Leases(entropy=entropy, payments=self.payments, acts=self._acts)
        self._handover = Handover(
            store=store,
            clock=clock,
            limits=limits,
            keysets=self.keysets,
            payments=self.payments,
        )
        self.receiving = Receiving(
            store=store,
            clock=clock,
            limits=limits,
            keysets=self.keysets,
            acts=self._acts,
            courier=self.courier,
            handover=self._handover,
        )
        self.remembrance = Remembrance(store, clock, self.keysets, self._tell)
        self._recovery = Recovery(
            store=store, seed=seed, clock=clock, limits=limits, keysets=self.keysets, courier=self.courier
        )
        self.upkeep = Upkeep(
            store=store, clock=clock, limits=limits, courier=self.courier, payments=self.payments, told=self._tell
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Repeat unanswered bodies and renew ageing notes until cancelled."""
        task_status.started()
        while True:
            await self.round()
            await trio.sleep(self._limits.wallet_round / SECOND)

    async def round(self) -> None:
        """Do once what ``run`` does again and again."""
        await self.upkeep.round()
        await self._catch_up()
        await self.remembrance.withdraw()
        await self.receiving.again()

    async def _catch_up(self) -> None:
        """Where another copy of this wallet is ahead, let our counters go on behind it."""
        for issuer in self._store.read_now(copies.collided):
            try:
                await self.restore(issuer)
            except (Unreachable, PeerFault):
                continue
            await self._store.write(lambda db, issuer=issuer: copies.caught_up(db, issuer))

    def copies_seen(self) -> int:
        """Return at how many mints another copy of this wallet was seen; more than none needs its person."""
        return self._store.read_now(copies.seen)

    # -- what I have

    def holdings(self) -> list[Holding]:
        """Return what is held of each quality, notes in bodies under way included, in a stable order."""
        now = self._clock.now()
        sums = self._store.read_now(lambda db: rows.sums(db, now))
        reserved = self._store.read_now(lambda db: {q: rows.reserved(db, q, now) for q in sums})
        return [Holding(q, sums[q], min(reserved[q], sums[q])) for q in sorted(sums)]

    def free(self, quality: Quality) -> Quantity:
        """Return what is held and promised to nobody; of one's own quality, what may still be pledged."""
        return self._free(Payment(b"", quality, Quantity(0), None, self._clock.now()))

    def terms_hash(self, quality: Quality) -> Hash | None:
        """Return the hash of terms under which most of the free notes of a quality stand."""
        return self.payments.free(Payment(b"", quality, Quantity(0), None, self._clock.now()))[0]

    def leases(self) -> list[Signed]:
        """Return the newest signed contract of each lease received and not yet over."""
        now = self._clock.now()
        return self._store.read_now(lambda db: archive.leases_after(db, now))

    def observe(self, callback: Callable[[WalletEvent], None]) -> None:
        """Be told each event after its commit. A crash in between loses the call, not the event: see ``events``."""
        self._observers.append(callback)

    def events(self, *, after_sequence: int = 0, count: int = 1000) -> list[tuple[int, WalletEvent]]:
        """Return recorded events in order, with the sequence to go on from."""
        return self._store.read_now(lambda db: archive.events_after(db, after_sequence, count))

    def _tell(self, event: WalletEvent) -> None:
        for callback in list(self._observers):
            callback(event)

    async def restore(self, issuer: NodeId) -> Quantity:
        """Find the notes of an issuer again from the phrase; returns how much came back. Repeatable.

        Raises Unreachable or PeerFault. Notes that were given away as text and not yet cashed come back too.
        """
        events = await self._recovery.restore(issuer)
        for event in events:
            self._tell(event)
        return Quantity(sum(event.quantity for event in events))

    # -- promises

    def _free(self, payment: Payment) -> Quantity:
        if payment.quality.issuer != self._key.node_id:
            return self.payments.free(payment)[1]
        if self._free_own is None:
            return Quantity(2**60)
        now, free = self._clock.now(), self._free_own(payment.quality.kind)
        promised = self._store.read_now(lambda db: rows.reserved(db, payment.quality, now, payment.purpose))
        return Quantity(max(0, free - promised))

    async def reserve(self, purpose: bytes, quality: Quality, quantity: Quantity, until: Instant) -> Refused | None:
        """Promise a quantity to a purpose until an instant; a repeat replaces the promise.

        One's own quality is promised from free pledged space, any other from notes held. NO_STOCK says what is free.
        """
        if quantity <= 0:
            raise InvariantBroken(f"a reservation of {quantity} MiB")
        async with self.payments.turn(quality):
            free = self._free(Payment(purpose, quality, quantity, None, until))
            if free < quantity:
                return Refused(Reason.NO_STOCK, f"{free} MiB are free")
            await self._store.write(lambda db: rows.reserve(db, purpose, quality, quantity, until))
        return None

    async def unreserve(self, purpose: bytes) -> None:
        """End all promises to a purpose."""
        sql = "DELETE FROM wallet_reservations WHERE purpose = ?"
        await self._store.write(lambda db: db.execute(sql, (purpose,)).rowcount)

    # -- locks: see ``locking`` for what each step promises

    def lock_keys(self, draft_id: bytes, index: int) -> LockKeys:
        """Return a party's keys in a draft: the same whenever asked, from the phrase."""
        return self._locks.lock_keys(draft_id, index)

    async def lock(self, purpose: bytes, terms: LockTerms, valid_until: Instant) -> Signed | Refused:
        """Lock the leg of a ring, paid out of a purpose's reservation; returns the issuer's receipt."""
        return await self._locks.lock(purpose, terms, valid_until)

    async def open(
        self, terms: LockTerms, preimages: tuple[bytes, ...], proof: Signed | None = None
    ) -> LockState | Refused:
        """Open a lock with all its preimages; a late open needs the receipt of the arc before it."""
        return await self._locks.open(terms, preimages, proof)

    async def release(self, terms: LockTerms) -> LockState | Refused:
        """Give an incoming lock back at once."""
        return await self._locks.release(terms)

    async def refund(self, terms: LockTerms) -> LockState | Refused:
        """Return one's own lock after its deadline."""
        return await self._locks.refund(terms)

    async def take(self, terms: LockTerms) -> Quantity | Refused:
        """Turn an opened lock in my favour, or my own returned one, into notes; returns how much came in."""
        return await self._locks.take(terms)

    async def take_lease(self, terms: LockTerms, holder: PublicKey) -> Signed | Refused:
        """Turn an opened lock in my favour into a lease of ``holder``; returns the signed contract."""
        return await self._locks.take_lease(terms, holder)

    # -- leases: see ``leasing``

    async def redeem(
        self, quality: Quality, quantity: Quantity, holder: PublicKey, *, purpose: bytes | None = None
    ) -> Signed | Refused:
        """Turn notes into a lease of ``holder``; returns the contract. Repeatable only with a ``purpose``."""
        return await self._leases.redeem(quality, quantity, holder, purpose=purpose)

    async def extend(
        self, contract: Contract, holder_key: SigningKey, keep: Quantity, *, purpose: bytes = b""
    ) -> Signed | Refused:
        """Lengthen a lease by one term from its old end, for ``keep`` MiB of notes; returns the new contract."""
        return await self._leases.extend(contract, holder_key, keep, purpose=purpose)

    # -- notes as text

    async def note_send(self, quality: Quality, quantity: Quantity) -> str | Refused:
        """Return a line of text worth so much; the notes leave the wallet. Lines made are kept: see ``tokens``."""
        made = await self._handover.send(Payment(b"", quality, quantity, None, self._acts.until()))
        if isinstance(made, Refused):
            return made
        for event in made[1]:
            self._tell(event)
        return made[0]

    async def note_receive(self, text: str) -> tuple[Quality, Quantity] | Refused:
        """Swap the notes in a line of text for fresh ones of mine; returns what came in. Repeatable.

        Also takes back a line of one's own that nobody has cashed. See ``receiving`` for what it raises.
        """
        return await self.receiving.receive(text)

    def tokens(self) -> list[tuple[str, Quality, Quantity, Instant]]:
        """Return the lines made and not taken back, the newest first. They are money: do not print them unasked."""
        return self._store.read_now(archive.tokens)
