"""The wallet: notes I hold at many mints, the locks I make and take, and the leases they become.

Every operation may be called again after a crash or an unanswered call, with the same arguments: it finds the body
that it wrote and goes on from there. Operations raise Unreachable when the mint did not answer in the tries of one
call, and PeerFault when it lied; in both cases the body stays in the journal and the background round repeats it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import InvariantBroken, PeerFault, Reason, Refused
from nanobarter.core.ids import Hash, LockId, PublicKey, sha256
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant, LeaseKind, Quantity, after
from nanobarter.mint.messages import (
    Answer,
    Body,
    Contract,
    ExtendBody,
    Leased,
    LeaseTerms,
    LockAnswer,
    LockBody,
    LockState,
    LockTerms,
    OpenBody,
    RedeemBody,
    RefundBody,
    Refusal,
    ReleaseBody,
    TakeBody,
)
from nanobarter.wallet import archive, rows
from nanobarter.wallet.answers import locked_terms, preimages_fit
from nanobarter.wallet.choice import decompose
from nanobarter.wallet.courier import Courier
from nanobarter.wallet.events import WalletEvent
from nanobarter.wallet.handover import Handover, subject_of
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.payments import Payment, Payments
from nanobarter.wallet.rows import Cheque, Held, Meaning
from nanobarter.wallet.secrets import Coin, lock_key
from nanobarter.wallet.token import parse_token
from nanobarter.wallet.upkeep import Upkeep


@dataclass(frozen=True)
class Holding:
    """What the wallet has of one quality; ``reserved`` of it is promised."""

    quality: Quality
    quantity: Quantity
    reserved: Quantity


@dataclass(frozen=True)
class LockKeys:
    """A party's two keys in one draft: ``to`` takes its incoming lock, ``refund`` gets its own one back."""

    to: SigningKey
    refund: SigningKey


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
        self._store, self._seed, self._key, self._clock, self._limits = store, seed, key, clock, limits
        self._entropy, self._free_own = entropy, free_own
        self._observers = list[Callable[[WalletEvent], None]]()
        self._busy: dict[bytes, trio.Lock] = {}
        self._lock_keys: dict[PublicKey, tuple[bytes, int, str]] = {}
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

        self._handover = Handover(
            store=store,
            clock=clock,
            limits=limits,
            keysets=self.keysets,
            courier=self.courier,
            payments=self.payments,
        )
        self._upkeep = Upkeep(
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
        await self._upkeep.round()

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

    # -- locks

    def lock_keys(self, draft_id: bytes, index: int) -> LockKeys:
        """Return a party's keys in a draft: the same whenever asked, from the phrase."""
        to, refund = (lock_key(self._seed, draft_id, index, role) for role in ("to", "refund"))
        self._lock_keys[to.public] = (draft_id, index, "to")
        self._lock_keys[refund.public] = (draft_id, index, "refund")
        return LockKeys(to, refund)

    def _key_of(self, public: PublicKey) -> SigningKey | None:
        """Return the secret of a lock's key; the names of those that paid for a lock survive a crash."""
        named = self._lock_keys.get(public) or self._store.read_now(lambda db: archive.find_lock_key(db, public))
        return None if named is None else lock_key(self._seed, *named)

    async def lock(self, purpose: bytes, terms: LockTerms, valid_until: Instant) -> Signed | Refused:
        """Lock the leg of a ring and return the issuer's receipt; pays out of the reservation of ``purpose``.

        From one's own free pledge when one is the issuer, from notes of exactly the sum otherwise. Refused CONFLICT
        when another lock with this id was asked for before.
        """
        quality = Quality(terms.issuer, terms.kind)
        own = terms.issuer == self._key.node_id
        names = list(self._lock_keys.items())
        await self._store.write(lambda db: archive.put_lock_keys(db, names))

        async def make() -> Cheque | Refused:
            async with self.payments.turn(quality):
                payment = Payment(purpose, quality, terms.quantity, terms.terms_hash, valid_until)
                notes = list[Held]() if own else await self.payments.exact(payment)
                if isinstance(notes, Refused):
                    return notes
                if own and self._free(payment) < terms.quantity:
                    return Refused(Reason.NO_STOCK, "the free space is promised to others")
                body = LockBody(terms.issuer, valid_until, tuple(h.note for h in notes), terms)
                signers = [self._key] if own else self.payments.keys(notes)
                meaning = Meaning(quality, terms.terms_hash, terms.quantity, "lock")
                subject = b"lock" + terms.lock_id
                return await self.payments.write(body, signers, subject, meaning, notes=notes, purpose=purpose)

        answer = await self._act(b"lock" + terms.lock_id, make)
        if isinstance(answer, LockAnswer):
            same = locked_terms(answer) == terms
            return answer.locked if same else Refused(Reason.CONFLICT, "another lock has this id")
        return _no(answer)

    async def open(
        self, terms: LockTerms, preimages: tuple[bytes, ...], proof: Signed | None = None
    ) -> LockState | Refused:
        """Open a lock with all its preimages; ``proof`` is the receipt of the arc before it, for a late open."""
        body = OpenBody(terms.issuer, self._until(), terms.lock_id, preimages, proof)
        answer = await self._act_on_lock("open", terms, body, [])
        if isinstance(answer, LockState) and answer.preimages and not preimages_fit(terms.hashes, answer.preimages):
            raise PeerFault("it shows preimages that do not fit the lock", evidence=encode(answer))
        return answer

    async def release(self, terms: LockTerms) -> LockState | Refused:
        """Give an incoming lock back at once (its to_key must be mine)."""
        signer = self._key_of(terms.to_key)
        if signer is None:
            return _not_mine(terms.lock_id)
        body = ReleaseBody(terms.issuer, self._until(), terms.lock_id)
        return await self._act_on_lock("release", terms, body, [signer])

    async def refund(self, terms: LockTerms) -> LockState | Refused:
        """Return one's own lock after its deadline (its refund_key must be mine)."""
        signer = self._key_of(terms.refund_key)
        if signer is None:
            return _not_mine(terms.lock_id)
        body = RefundBody(terms.issuer, self._until(), terms.lock_id)
        return await self._act_on_lock("refund", terms, body, [signer])

    async def _act_on_lock(
        self, how: str, terms: LockTerms, body: OpenBody | ReleaseBody | RefundBody, signers: list[SigningKey]
    ) -> LockState | Refused:
        subject = how.encode() + terms.lock_id
        meaning = Meaning(Quality(terms.issuer, terms.kind), terms.terms_hash, terms.quantity, how)
        answer = await self._act(subject, lambda: self.payments.write(body, signers, subject, meaning))
        return answer if isinstance(answer, LockState) else _no(answer)

    async def take(self, terms: LockTerms) -> Quantity | Refused:
        """Turn an opened lock in my favour, or my own returned one, into notes; returns how much came in.

        A lock on one's own space that was returned goes back to free space: the mint then refuses, nothing is lost.
        """
        quality = Quality(terms.issuer, terms.kind)

        async def make() -> Cheque | Refused:
            keyset = await self.keysets.current(quality, terms.terms_hash)
            if keyset is None:
                return Refused(Reason.UNKNOWN_KEYSET, f"{quality} has no current keyset under these terms")
            parts = decompose(terms.quantity, keyset.denominations)
            if len(parts) > self._limits.request_notes_max:
                return Refused(Reason.TOO_MANY, f"{terms.quantity} MiB need {len(parts)} notes")
            coins, outputs = await self.courier.outputs(keyset, parts)
            body = TakeBody(terms.issuer, self._until(), terms.lock_id, outputs, None)
            return await self._write_take(terms, body, coins)

        answer = await self._act(b"take" + terms.lock_id, make)
        if isinstance(answer, Refusal | Refused):
            return _no(answer)
        if isinstance(answer, Leased):
            return Refused(Reason.CONFLICT, "this lock was taken as a lease")
        return terms.quantity

    async def take_lease(self, terms: LockTerms, holder: PublicKey) -> Signed | Refused:
        """Turn an opened lock in my favour into a lease of ``holder``; returns the signed contract."""

        async def make() -> Cheque | Refused:
            lease = LeaseTerms(terms.kind, terms.quantity, holder)
            return await self._write_take(terms, TakeBody(terms.issuer, self._until(), terms.lock_id, (), lease), ())

        answer = await self._act(b"take" + terms.lock_id, make)
        if isinstance(answer, Leased):
            return answer.contract
        if isinstance(answer, Refusal | Refused):
            return _no(answer)
        return Refused(Reason.CONFLICT, "this lock was taken as notes")

    async def _write_take(self, terms: LockTerms, body: TakeBody, coins: tuple[Coin, ...]) -> Cheque | Refused:
        mine, own = self._key_of(terms.to_key), self._key_of(terms.refund_key)
        signer = mine or own
        if signer is None:
            return _not_mine(terms.lock_id)
        how = "take" if mine is not None else "returned"
        meaning = Meaning(Quality(terms.issuer, terms.kind), terms.terms_hash, terms.quantity, how)
        return await self.payments.write(body, [signer], b"take" + terms.lock_id, meaning, coins=coins)

    # -- leases

    async def redeem(
        self, quality: Quality, quantity: Quantity, holder: PublicKey, *, purpose: bytes | None = None
    ) -> Signed | Refused:
        """Turn notes into a lease of ``holder``; returns the signed contract.

        With a ``purpose`` the call is repeatable and pays out of its reservation; without one each call is a new
        lease, and one that was cut off by a crash is finished in the background and shows in ``leases``.
        """
        name = self._entropy.token(16) if purpose is None else purpose
        subject = b"redeem" + sha256(encode((name, quality.issuer, quality.kind, quantity, holder)))

        def body(notes: list[Held]) -> Body:
            lease = LeaseTerms(quality.kind, quantity, holder)
            return RedeemBody(quality.issuer, self._until(), tuple(h.note for h in notes), lease)

        payment = Payment(name, quality, quantity, None, self._until())
        return await self._pay_lease(subject, payment, "redeem", body, [])

    async def extend(
        self, contract: Contract, holder_key: SigningKey, keep: Quantity, *, purpose: bytes = b""
    ) -> Signed | Refused:
        """Lengthen a lease by one term from its old end, for ``keep`` MiB paid in notes of its kind and terms."""
        subject = b"extend" + contract.lease_id + contract.version.to_bytes(8, "big")
        quality = Quality(contract.issuer, contract.terms.kind)

        def body(notes: list[Held]) -> Body:
            inputs = tuple(h.note for h in notes)
            return ExtendBody(contract.issuer, self._until(), inputs, contract.lease_id, keep)

        payment = Payment(purpose, quality, keep, contract.terms_hash, self._until())
        return await self._pay_lease(subject, payment, "extend", body, [holder_key])

    async def _pay_lease(
        self,
        subject: bytes,
        payment: Payment,
        how: str,
        body_of: Callable[[list[Held]], Body],
        more: list[SigningKey],
    ) -> Signed | Refused:
        async def make() -> Cheque | Refused:
            async with self.payments.turn(payment.quality):
                notes = await self.payments.exact(payment)
                if isinstance(notes, Refused):
                    return notes
                meaning = Meaning(payment.quality, payment.terms_hash, payment.quantity, how)
                signers = self.payments.keys(notes) + more
                return await self.payments.write(
                    body_of(notes), signers, subject, meaning, notes=notes, purpose=payment.purpose
                )

        answer = await self._act(subject, make)
        return answer.contract if isinstance(answer, Leased) else _no(answer)

    # -- notes as text

    async def note_send(self, quality: Quality, quantity: Quantity) -> str | Refused:
        """Return a line of text worth so much; the notes leave the wallet. Lines made are kept: see ``tokens``."""
        made = await self._handover.send(Payment(b"", quality, quantity, None, self._until()))
        if isinstance(made, Refused):
            return made
        for event in made[1]:
            self._tell(event)
        return made[0]

    async def note_receive(self, text: str) -> tuple[Quality, Quantity] | Refused:
        """Swap the notes in a line of text for fresh ones of mine; returns what came in. Repeatable.

        Also takes back a line of one's own that nobody has cashed. Raises UsageError for a text that is no note.
        """
        token = parse_token(text)
        answer = await self._act(subject_of(token), lambda: self._handover.cash(token))
        if isinstance(answer, Refusal | Refused):
            return _no(answer)
        await self._handover.settle(token)
        keyset = self.keysets.known(token.notes[0].keyset)
        if keyset is None:
            raise InvariantBroken("a note was cashed under a keyset that is not known")
        return keyset.quality, token.quantity

    def tokens(self) -> list[tuple[str, Quality, Quantity, Instant]]:
        """Return the lines made and not taken back, the newest first. They are money: do not print them unasked."""
        return self._store.read_now(archive.tokens)

    # -- one operation

    def _until(self) -> Instant:
        return after(self._clock.now(), self._limits.wallet_body_valid)

    async def _act(self, subject: bytes, make: Callable[[], Awaitable[Cheque | Refused]]) -> Answer | Refused:
        """Send the body of a subject, writing one first where none is; a dead one found there is replaced once."""
        async with self._one_at_a_time(subject):
            old = self._store.read_now(lambda db: rows.find_cheque(db, subject))
            if old is not None:
                answer = await self.courier.deliver(old)
                if not isinstance(answer, Refusal):
                    return answer
                if self._store.read_now(lambda db: rows.find_cheque(db, subject)) is not None:
                    return _no(answer)
            made = await make()
            return made if isinstance(made, Refused) else await self.courier.deliver(made)

    @asynccontextmanager
    async def _one_at_a_time(self, subject: bytes) -> AsyncGenerator[None]:
        """Hold off a second call for the same subject until the first is through."""
        busy = self._busy.setdefault(subject, trio.Lock())
        try:
            async with busy:
                yield
        finally:
            if not busy.locked():
                self._busy.pop(subject, None)


def _no(answer: Answer | Refused) -> Refused:
    if isinstance(answer, Refused):
        return answer
    if isinstance(answer, Refusal):
        return Refused(answer.reason, answer.detail)
    raise InvariantBroken(f"an operation was answered with {type(answer).__name__}")


def _not_mine(lock: LockId) -> Refused:
    return Refused(Reason.NOT_OWNER, f"the keys of lock {lock.hex()[:12]} are not of a draft of mine")
