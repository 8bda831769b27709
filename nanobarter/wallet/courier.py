"""Carries bodies to mints: written before they are sent, repeated until answered, settled exactly once.

What can go wrong: we crash at any point (the row is there, or nothing left the node), a message is lost (the same
bytes are sent again, and the mint looks up the request id first), the mint refuses (the body stays a live cheque
until its ``valid_until`` is past and the mint, asked again, signs that it was not honoured), or the mint lies (its
answer proves it, is kept, and only that mint's notes are hurt). It ends since every body has a ``valid_until``.
"""

from collections.abc import Callable, Sequence
from sqlite3 import Connection
from typing import cast

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Unreachable
from nanobarter.core.ids import NodeId, NoteId, PublicKey, RequestId, sha256
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant, Quantity, after
from nanobarter.mint.answer_messages import Answer, Contract, Leased, LockAnswer, LockState, Minted, Refusal, States
from nanobarter.mint.blind import PSS_DETERMINISTIC, blind, finalize
from nanobarter.mint.messages import (
    DOMAIN_REQUEST,
    BlindOutput,
    Body,
    ExtendBody,
    LockBody,
    Note,
    OpenBody,
    RedeemBody,
    RefundBody,
    ReleaseBody,
    Request,
    StateBody,
    TakeBody,
)
from nanobarter.mint.notes import Keyset, note_message
from nanobarter.wallet import answers, archive, copies, rows
from nanobarter.wallet.events import LeaseReceived, NotesReceived, NotesSpent, WalletEvent
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.rows import Cheque
from nanobarter.wallet.secrets import Coin, blinding_factor, note_key, note_salt

_SPENDS = {"lock", "redeem", "extend"}
_BRINGS = {"take", "returned", "token", "restore"}


def seal_request(body: Body, signers: Sequence[SigningKey]) -> tuple[RequestId, bytes]:
    """Return the request's id and its canonical bytes with a witness by each signer, in the order of the inputs."""
    raw = encode(body)
    request = RequestId(sha256(raw))
    witnesses = tuple(signer.sign(DOMAIN_REQUEST, request) for signer in signers)
    return request, encode(Request(raw, witnesses))


def blind_coins(seed: bytes, keyset: Keyset, coins: Sequence[Coin]) -> tuple[BlindOutput, ...]:
    """Return the blinded messages of coins, to be signed by the keyset's mint. Raises Malformed for a bad modulus."""
    return tuple(BlindOutput(c.keyset, c.quantity, _blinded(seed, keyset, c)[1]) for c in coins)


def _blinded(seed: bytes, keyset: Keyset, coin: Coin) -> tuple[bytes, bytes, int]:
    """Return message, blinded message and the secret inverse: the same whenever the coin is the same."""
    message = note_message(coin.keyset, coin.quantity, note_key(seed, coin).public)
    modulus = keyset.moduli[coin.quantity]
    factor = blinding_factor(seed, coin, message, modulus)
    made = blind(PSS_DETERMINISTIC, modulus, message, salt=note_salt(seed, coin, message), factor=factor)
    return message, made.message, made.inverse


def unblind_coins(
    seed: bytes, keysets: Sequence[Keyset], coins: Sequence[Coin], signatures: Sequence[bytes]
) -> list[tuple[Note, Coin, Keyset]]:
    """Return the finished notes. Raises Malformed when a signature is not of its blinded message."""
    if len(signatures) != len(coins):
        raise Malformed(f"{len(signatures)} signatures for {len(coins)} notes")
    made = list[tuple[Note, Coin, Keyset]]()
    for keyset, coin, blind_signature in zip(keysets, coins, signatures, strict=True):
        message, _, inverse = _blinded(seed, keyset, coin)
        signature = finalize(PSS_DETERMINISTIC, keyset.moduli[coin.quantity], message, blind_signature, inverse)
        made.append((Note(coin.keyset, coin.quantity, note_key(seed, coin).public, signature), coin, keyset))
    return made


class Courier:
    """Sends what the journal holds. ``told`` gets each event once, after its commit."""

    def __init__(
        self,
        *,
        store: Store,
        seed: bytes,
        caller: Caller,
        clock: Clock,
        limits: Limits,
        keysets: Keysets,
        told: Callable[[WalletEvent], None],
    ) -> None:
        self._store, self._seed, self._caller = store, seed, caller
        self._clock, self._limits, self._keysets, self._told = clock, limits, keysets, told

    async def outputs(
        self, keyset: Keyset, quantities: Sequence[Quantity]
    ) -> tuple[tuple[Coin, ...], tuple[BlindOutput, ...]]:
        """Return fresh coins, their counters durable, and their blinded messages. A bad modulus is a PeerFault."""
        wanted = [(keyset.keyset_id, quantity) for quantity in quantities]
        coins = await self._store.write(lambda db: rows.take_counters(db, wanted))
        try:
            return coins, await trio.to_thread.run_sync(blind_coins, self._seed, keyset, coins)
        except Malformed as error:
            raise PeerFault(f"its keyset is bad: {error}", evidence=encode(keyset.signed)) from None

    async def deliver(self, cheque: Cheque) -> Answer:
        """Return the mint's final or latest answer to a written body; refusals too.

        Raises Unreachable when no answer came in the tries of one call (the background round goes on), PeerFault
        when the mint's answer is a lie.
        """
        found = self._store.read_now(lambda db: rows.get_cheque(db, cheque.request))
        if found is None:
            return Refusal(cheque.request, Reason.EXPIRED, self._clock.now(), "the request was given up", None)
        if found.state == "cheated":
            raise PeerFault("the mint answered this request with a false signature", evidence=found.answer)
        done = found.state == "done"
        raw = found.answer if done else await self.ask(cheque.mint, cheque.message)
        try:
            answer = answers.open_answer(raw, cheque.mint, cheque.request, size_max=self._limits.request_bytes_max)
            if not done:
                await self._settle(cheque, answer, raw)
        except Malformed as error:
            raise PeerFault(f"the mint's answer is wrong: {error}", evidence=raw) from None
        return answer

    async def ask(self, mint: NodeId, message: bytes) -> bytes:
        """Return the raw answer, after a few tries. Raises Unreachable or PeerFault."""
        pause = self._limits.wallet_backoff / SECOND
        for left in reversed(range(self._limits.wallet_tries_max)):
            try:
                return await self._caller.call(mint, "mint.request", message, timeout=self._limits.call_timeout)
            except Unreachable:
                if not left:
                    raise
            await trio.sleep(pause)
            pause *= 2
        raise Unreachable("no try is allowed")

    async def _settle(self, cheque: Cheque, answer: Answer, raw: bytes) -> None:
        size_max = self._limits.request_bytes_max
        match answer, _body(cheque, size_max):
            case Refusal(), _:
                await self._refused(cheque, answer, raw)
            case Minted(), _ if cheque.coins:
                await self._minted(cheque, answer, raw)
            case LockAnswer(), LockBody() as body:
                answers.check_locked(answer, body, size_max=size_max)
                await self._finish(cheque, raw, self._spent(cheque))
            case LockState(), (OpenBody() | RefundBody() | ReleaseBody()) as body:
                answers.check_lock_state(answer, body)
                await self._finish(cheque, raw, [])
            case Leased(), (RedeemBody() | ExtendBody() | TakeBody()) as body:
                await self._leased(cheque, answer, body, raw)
            case _:
                raise Malformed("the answer is of another kind than the request")

    def _spent(self, cheque: Cheque) -> list[WalletEvent]:
        meaning = cheque.meaning
        if meaning.how not in _SPENDS or not self._store.read_now(lambda db: rows.held_by(db, cheque.request)):
            return []
        how = "lock" if meaning.how == "lock" else "redeem" if meaning.how == "redeem" else "extend"
        return [NotesSpent(meaning.quality, meaning.quantity, how, b"spent" + cheque.request, self._clock.now())]

    async def _minted(self, cheque: Cheque, answer: Minted, raw: bytes) -> None:
        keysets = [self._keysets.known(coin.keyset) for coin in cheque.coins]
        known = [keyset for keyset in keysets if keyset is not None]
        if len(known) != len(keysets):
            raise Malformed("a keyset of the request is no longer known")
        try:
            notes = await trio.to_thread.run_sync(unblind_coins, self._seed, known, cheque.coins, answer.signatures)
        except Malformed:
            await self._cheated(cheque, raw)
            raise
        meaning, events = cheque.meaning, list[WalletEvent]()
        if meaning.how in _BRINGS:
            how = "take" if meaning.how == "take" else "returned" if meaning.how == "returned" else "token"
            key = b"received" + cheque.request
            events.append(NotesReceived(meaning.quality, meaning.quantity, how, key, self._clock.now()))
        await self._finish(cheque, raw, events, notes)

    async def _cheated(self, cheque: Cheque, raw: bytes) -> None:
        """Give up the notes that paid for a false signature, and the keyset: its messages are never blinded again."""
        held = self._store.read_now(lambda db: rows.held_by(db, cheque.request))
        now = self._clock.now()
        events = [NotesSpent(h.quality, h.note.quantity, "cheated", b"gone" + h.note_id, now) for h in held]
        await self._finish(cheque, raw, events, state="cheated")
        for keyset in {coin.keyset for coin in cheque.coins}:
            await self._keysets.drop(keyset, "a blind signature was false")

    async def _leased(
        self, cheque: Cheque, answer: Leased, body: RedeemBody | ExtendBody | TakeBody, raw: bytes
    ) -> None:
        before = self._store.read_now(lambda db: _contract_before(db, body))
        contract = answers.check_contract(answer.contract, body, before, size_max=self._limits.request_bytes_max)
        meaning = cheque.meaning
        how = "redeem" if meaning.how == "redeem" else "extend" if meaning.how == "extend" else "take"
        events = self._spent(cheque)
        key, now = b"leased" + cheque.request, self._clock.now()
        events.append(
            LeaseReceived(meaning.quality, contract.terms.quantity, how, contract.lease_id, contract.end, key, now)
        )
        await self._finish(cheque, raw, events, lease=(contract, answer.contract))

    async def _finish(
        self,
        cheque: Cheque,
        raw: bytes,
        events: Sequence[WalletEvent],
        notes: Sequence[tuple[Note, Coin, Keyset]] = (),
        *,
        lease: tuple[Contract, Signed] | None = None,
        state: str = "done",
    ) -> None:
        def change(db: Connection) -> list[WalletEvent]:
            if not rows.finish_cheque(db, cheque, state, raw):
                return []
            rows.add_notes(db, notes)
            if lease is not None:
                archive.put_lease(db, *lease)
            return archive.add_events(db, events)

        for event in await self._store.write(change):
            self._told(event)

    # -- noes

    async def _refused(self, cheque: Cheque, refusal: Refusal, raw: bytes) -> None:
        held = self._store.read_now(lambda db: rows.held_by(db, cheque.request))
        if refusal.at <= cheque.valid_until and (held or cheque.coins):
            await self._store.write(lambda db: self._note_refusal(db, cheque, refusal, raw))
            return
        keys = {h.note_id: h.note.key for h in held}
        spent = await self._spent_elsewhere(cheque, keys) if keys else set[NoteId]()
        now = self._clock.now()

        def change(db: Connection) -> list[WalletEvent]:
            lost = rows.bury_cheque(db, cheque, spent, now)
            copies.note_spent(db, lost, now)
            return archive.add_events(db, lost)

        for event in await self._store.write(change):
            self._told(event)

    def _note_refusal(self, db: Connection, cheque: Cheque, refusal: Refusal, raw: bytes) -> None:
        rows.note_refusal(db, cheque, raw)
        if cheque.coins and copies.collides(refusal):
            copies.note_collision(db, cheque.mint, self._clock.now())

    async def _spent_elsewhere(self, cheque: Cheque, keys: dict[NoteId, PublicKey]) -> set[NoteId]:
        """Ask what became of the notes of a dead body. A question changes nothing, so it needs no journal."""
        until = after(self._clock.now(), self._limits.wallet_body_valid)
        request, message = seal_request(StateBody(cheque.mint, Instant(until), tuple(keys), ()), [])
        raw = await self.ask(cheque.mint, message)
        answer = answers.open_answer(raw, cheque.mint, request, size_max=self._limits.request_bytes_max)
        if not isinstance(answer, States):
            raise Malformed("it would not say what became of the notes")
        return answers.check_spent(answer, keys, cheque.request, cheque.valid_until)


def _body(cheque: Cheque, size_max: int) -> Body:
    request = decode(cheque.message, Request, size_max=size_max)
    return decode(request.body, cast("type[Body]", Body), size_max=size_max)


def _contract_before(db: Connection, body: Body) -> Contract | None:
    return archive.get_contract(db, body.lease_id) if isinstance(body, ExtendBody) else None
