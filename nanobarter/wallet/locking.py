"""Locks: the legs of rings that I give or take. Each step is one operation that may be called again after a crash."""

from collections.abc import Callable
from dataclasses import dataclass

from nanobarter.core.canonical import encode
from nanobarter.core.errors import PeerFault, Reason, Refused
from nanobarter.core.ids import LockId, PublicKey
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, Quantity
from nanobarter.mint.answer_messages import Leased, LockAnswer, LockState, Refusal
from nanobarter.mint.messages import LeaseTerms, LockBody, LockTerms, OpenBody, RefundBody, ReleaseBody, TakeBody
from nanobarter.wallet import archive
from nanobarter.wallet.acts import Acts, no_of
from nanobarter.wallet.answers import locked_terms, preimages_fit
from nanobarter.wallet.payments import Payment, Payments
from nanobarter.wallet.rows import Cheque, Held, Meaning
from nanobarter.wallet.secrets import Coin, lock_key


@dataclass(frozen=True)
class LockKeys:
    """A party's two keys in one draft: ``to`` takes its incoming lock, ``refund`` gets its own one back."""

    to: SigningKey
    refund: SigningKey


class Locks:
    """Makes, settles and takes locks. ``free`` says what of a quality is not promised to other purposes."""

    def __init__(
        self,
        *,
        store: Store,
        seed: bytes,
        key: SigningKey,
        payments: Payments,
        acts: Acts,
        free: Callable[[Payment], Quantity],
    ) -> None:
        self._store, self._seed, self._key, self._free = store, seed, key, free
        self._payments, self._acts = payments, acts
        self._lock_keys: dict[PublicKey, tuple[bytes, int, str]] = {}

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
            async with self._payments.turn(quality):
                payment = Payment(purpose, quality, terms.quantity, terms.terms_hash, valid_until)
                notes = list[Held]() if own else await self._payments.exact(payment)
                if isinstance(notes, Refused):
                    return notes
                if own and self._free(payment) < terms.quantity:
                    return Refused(Reason.NO_STOCK, "the free space is promised to others")
                body = LockBody(terms.issuer, valid_until, tuple(h.note for h in notes), terms)
                signers = [self._key] if own else self._payments.keys(notes)
                meaning = Meaning(quality, terms.terms_hash, terms.quantity, "lock")
                subject = b"lock" + terms.lock_id
                return await self._payments.write(body, signers, subject, meaning, notes=notes, purpose=purpose)

        answer = await self._acts.act(b"lock" + terms.lock_id, make)
        if isinstance(answer, LockAnswer):
            same = locked_terms(answer) == terms
            return answer.locked if same else Refused(Reason.CONFLICT, "another lock has this id")
        return no_of(answer)

    async def open(
        self, terms: LockTerms, preimages: tuple[bytes, ...], proof: Signed | None = None
    ) -> LockState | Refused:
        """Open a lock with all its preimages; ``proof`` is the receipt of the arc before it, for a late open."""
        body = OpenBody(terms.issuer, self._acts.until(), terms.lock_id, preimages, proof)
        answer = await self._act_on_lock("open", terms, body, [])
        if isinstance(answer, LockState) and answer.preimages and not preimages_fit(terms.hashes, answer.preimages):
            raise PeerFault("it shows preimages that do not fit the lock", evidence=encode(answer))
        return answer

    async def release(self, terms: LockTerms) -> LockState | Refused:
        """Give an incoming lock back at once (its to_key must be mine)."""
        signer = self._key_of(terms.to_key)
        if signer is None:
            return _not_mine(terms.lock_id)
        body = ReleaseBody(terms.issuer, self._acts.until(), terms.lock_id)
        return await self._act_on_lock("release", terms, body, [signer])

    async def refund(self, terms: LockTerms) -> LockState | Refused:
        """Return one's own lock after its deadline (its refund_key must be mine)."""
        signer = self._key_of(terms.refund_key)
        if signer is None:
            return _not_mine(terms.lock_id)
        body = RefundBody(terms.issuer, self._acts.until(), terms.lock_id)
        return await self._act_on_lock("refund", terms, body, [signer])

    async def _act_on_lock(
        self, how: str, terms: LockTerms, body: OpenBody | ReleaseBody | RefundBody, signers: list[SigningKey]
    ) -> LockState | Refused:
        subject = how.encode() + terms.lock_id
        meaning = Meaning(Quality(terms.issuer, terms.kind), terms.terms_hash, terms.quantity, how)
        answer = await self._acts.act(subject, lambda: self._payments.write(body, signers, subject, meaning))
        return answer if isinstance(answer, LockState) else no_of(answer)

    async def take(self, terms: LockTerms) -> Quantity | Refused:
        """Turn an opened lock in my favour, or my own returned one, into notes; returns how much came in.

        A lock on one's own space that was returned goes back to free space: the mint then refuses, nothing is lost.
        """
        quality = Quality(terms.issuer, terms.kind)

        async def make() -> Cheque | Refused:
            made = await self._payments.fresh(quality, terms.terms_hash, terms.quantity)
            if isinstance(made, Refused):
                return made
            coins, outputs = made
            body = TakeBody(terms.issuer, self._acts.until(), terms.lock_id, outputs, None)
            return await self._write_take(terms, body, coins)

        answer = await self._acts.act(b"take" + terms.lock_id, make, lambda cheque: _is_of(cheque, terms))
        if isinstance(answer, Refusal | Refused):
            return no_of(answer)
        if isinstance(answer, Leased):
            return Refused(Reason.CONFLICT, "this lock was taken as a lease")
        return terms.quantity

    async def take_lease(self, terms: LockTerms, holder: PublicKey) -> Signed | Refused:
        """Turn an opened lock in my favour into a lease of ``holder``; returns the signed contract."""

        async def make() -> Cheque | Refused:
            lease = LeaseTerms(terms.kind, terms.quantity, holder)
            return await self._write_take(
                terms, TakeBody(terms.issuer, self._acts.until(), terms.lock_id, (), lease), ()
            )

        answer = await self._acts.act(b"take" + terms.lock_id, make, lambda cheque: _is_of(cheque, terms))
        if isinstance(answer, Leased):
            return answer.contract
        if isinstance(answer, Refusal | Refused):
            return no_of(answer)
        return Refused(Reason.CONFLICT, "this lock was taken as notes")

    async def _write_take(self, terms: LockTerms, body: TakeBody, coins: tuple[Coin, ...]) -> Cheque | Refused:
        mine, own = self._key_of(terms.to_key), self._key_of(terms.refund_key)
        signer = mine or own
        if signer is None:
            return _not_mine(terms.lock_id)
        how = "take" if mine is not None else "returned"
        meaning = Meaning(Quality(terms.issuer, terms.kind), terms.terms_hash, terms.quantity, how)
        return await self._payments.write(body, [signer], b"take" + terms.lock_id, meaning, coins=coins)


def _is_of(cheque: Cheque, terms: LockTerms) -> bool:
    """Tell whether a body is about this very lock: lock ids are chosen by others, and two issuers may show the same."""
    of = cheque.meaning
    return (of.quality, of.terms_hash, of.quantity) == (
        Quality(terms.issuer, terms.kind),
        terms.terms_hash,
        terms.quantity,
    )


def _not_mine(lock: LockId) -> Refused:
    return Refused(Reason.NOT_OWNER, f"the keys of lock {lock.hex()[:12]} are not of a draft of mine")
