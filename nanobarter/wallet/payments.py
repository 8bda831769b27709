"""Getting exactly the notes for a sum, and the promises on what is left: one payer per quality at a time."""

from dataclasses import dataclass
from sqlite3 import Connection

import trio

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import Hash, NodeId, RequestId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, Quantity
from nanobarter.mint.answer_messages import Refusal
from nanobarter.mint.messages import BlindOutput, Body, SwapBody
from nanobarter.wallet import rows
from nanobarter.wallet.choice import Exact, Resize, choose, decompose
from nanobarter.wallet.courier import Courier, seal_request
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.rows import Cheque, Held, Meaning
from nanobarter.wallet.secrets import Coin, note_key


@dataclass(frozen=True)
class Payment:
    """What to pay: so much of a quality under one hash of terms (any, when None), good until an instant."""

    purpose: bytes
    quality: Quality
    quantity: Quantity
    terms_hash: Hash | None
    until: Instant


class Payments:
    """Chooses notes, splits and merges them at their mint, and renews old ones."""

    def __init__(
        self,
        *,
        store: Store,
        seed: bytes,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        keysets: Keysets,
        courier: Courier,
    ) -> None:
        self._store, self._seed, self._clock, self._entropy = store, seed, clock, entropy
        self._limits, self._keysets, self._courier = limits, keysets, courier
        self._turns: dict[Quality, trio.Lock] = {}

    def turn(self, quality: Quality) -> trio.Lock:
        """Return the lock that a payer of this quality holds from the choice to the written body."""
        return self._turns.setdefault(quality, trio.Lock())

    def keys(self, notes: list[Held]) -> list[SigningKey]:
        """Return the keys that spend notes, in their order."""
        return [note_key(self._seed, held.coin) for held in notes]

    def groups(self, quality: Quality, until: Instant) -> dict[Hash, list[Held]]:
        """Return the free notes of a quality by the hash of their terms."""
        found = dict[Hash, list[Held]]()
        for held in self._store.read_now(lambda db: rows.free_notes(db, quality, until)):
            found.setdefault(held.terms_hash, []).append(held)
        return found

    def free(self, payment: Payment) -> tuple[Hash | None, Quantity]:
        """Return the terms to pay under, and what is free of them beside the promises to other purposes."""
        groups = self.groups(payment.quality, payment.until)
        sums = {terms: sum(h.note.quantity for h in notes) for terms, notes in groups.items()}
        terms = payment.terms_hash or max(sums, key=lambda t: (sums[t], t), default=None)
        promised = self._store.read_now(
            lambda db: rows.reserved(db, payment.quality, self._clock.now(), payment.purpose)
        )
        have = sums.get(terms, 0) if terms is not None else 0
        return terms, Quantity(max(0, have - promised))

    async def exact(self, payment: Payment) -> list[Held] | Refused:
        """Return free notes of exactly the sum, after the swaps that this takes. Call it in the quality's turn.

        Raises Unreachable or PeerFault when their mint does not do its part.
        """
        await self._resume(payment.quality)
        for _ in range(self._limits.wallet_resizes_max + 1):
            terms, free = self.free(payment)
            if terms is None or free < payment.quantity:
                return Refused(Reason.NO_STOCK, f"{free} MiB of {payment.quality} are free, {payment.quantity} wanted")
            held = self.groups(payment.quality, payment.until)[terms]
            keyset = await self._keysets.current(payment.quality, terms)
            denominations = [Quantity(1 << i) for i in range(61)] if keyset is None else keyset.denominations
            have = [h.note.quantity for h in held]
            plan = choose(have, payment.quantity, denominations, notes_max=self._limits.request_notes_max)
            if isinstance(plan, Exact):
                return [held[i] for i in plan.picked]
            if plan is None:
                return Refused(Reason.TOO_MANY, f"{payment.quantity} MiB of {payment.quality} need too many notes")
            if keyset is None:
                return Refused(Reason.UNKNOWN_KEYSET, f"{payment.quality} has no keyset for change under these terms")
            refused = await self.swap([held[i] for i in plan.inputs], plan, "split")
            if refused is not None:
                return refused
        return Refused(Reason.TOO_MANY, f"{payment.quantity} MiB of {payment.quality} took too many swaps")

    async def fresh(
        self, quality: Quality, terms: Hash | None, quantity: Quantity
    ) -> tuple[tuple[Coin, ...], tuple[BlindOutput, ...]] | Refused:
        """Return fresh coins worth a quantity, and what their mint shall sign.

        Raises Unreachable when the mint's announcements are needed and it is silent, PeerFault when they are bad.
        """
        keyset = await self._keysets.current(quality, terms)
        if keyset is None:
            return Refused(Reason.UNKNOWN_KEYSET, f"{quality} has no current keyset under these terms")
        parts = decompose(quantity, keyset.denominations)
        if len(parts) > self._limits.request_notes_max:
            return Refused(Reason.TOO_MANY, f"{quantity} MiB need {len(parts)} notes")
        return await self._courier.outputs(keyset, parts)

    async def _resume(self, quality: Quality) -> None:
        """Finish swaps of this quality that a crash or a lost answer left open: their notes are wanted now."""
        for cheque in self._store.read_now(
            lambda db: rows.open_cheques(db, self._clock.now(), self._limits.wallet_round_bodies_max)
        ):
            if cheque.meaning.how == "split" and cheque.meaning.quality == quality:
                await self._courier.deliver(cheque)

    async def swap(self, notes: list[Held], plan: Resize, how: str) -> Refused | None:
        """Swap notes for fresh ones of the planned quantities at their mint. Call it in the quality's turn."""
        quality, terms = notes[0].quality, notes[0].terms_hash
        keyset = await self._keysets.current(quality, terms)
        if keyset is None:
            return Refused(Reason.UNKNOWN_KEYSET, f"{quality} has no current keyset under these terms")
        coins, outputs = await self._courier.outputs(keyset, plan.outputs)
        until = Instant(self._clock.now() + self._limits.wallet_body_valid)
        body = SwapBody(quality.issuer, until, tuple(h.note for h in notes), outputs)
        meaning = Meaning(quality, terms, Quantity(sum(plan.outputs)), how)
        cheque = await self.write(body, self.keys(notes), self._subject(how), meaning, coins=coins, notes=notes)
        answer = await self._courier.deliver(cheque)
        return Refused(answer.reason, answer.detail) if isinstance(answer, Refusal) else None

    def _subject(self, how: str) -> bytes:
        return how.encode() + self._entropy.token(16)

    async def write(
        self,
        body: Body,
        signers: list[SigningKey],
        subject: bytes,
        meaning: Meaning,
        *,
        coins: tuple[Coin, ...] = (),
        notes: list[Held] | None = None,
        purpose: bytes | None = None,
    ) -> Cheque:
        """Sign a body, make it and all it means durable, and return it. Nothing has left the node yet."""
        request, message = seal_request(body, signers)
        mint: NodeId = body.mint
        cheque = Cheque(RequestId(request), subject, mint, message, body.valid_until, coins, meaning)

        def change(db: Connection) -> None:
            rows.write_cheque(db, cheque, [h.note_id for h in notes or ()], self._clock.now())
            if purpose is not None:
                rows.use_reservation(db, purpose, meaning.quality, meaning.quantity)

        await self._store.write(change)
        return cheque

    async def renew(self, notes: list[Held]) -> Quantity | Refused:
        """Swap notes of one quality and terms for fresh ones of the same sum; returns how much was swapped.

        Zero when its mint has nothing that lasts longer, or the notes are no longer free.
        """
        async with self.turn(notes[0].quality):
            still = {h.note_id for h in self.groups(notes[0].quality, self._clock.now()).get(notes[0].terms_hash, [])}
            keyset = await self._keysets.current(notes[0].quality, notes[0].terms_hash)
            if keyset is None:
                return Refused(Reason.UNKNOWN_KEYSET, f"{notes[0].quality} has no current keyset under these terms")
            until = keyset.announcement.redeem_until
            mine = [h for h in notes if h.note_id in still and h.redeem_until < until][: self._limits.request_notes_max]
            quantity = Quantity(sum(h.note.quantity for h in mine))
            outputs = decompose(quantity, keyset.denominations)
            if not mine:
                return quantity
            if len(outputs) > self._limits.request_notes_max:
                return Refused(Reason.TOO_MANY, f"{quantity} MiB need {len(outputs)} notes")
            return await self.swap(mine, Resize((), outputs), "refresh") or quantity
