"""Finding notes again from the phrase alone: every coin that may have been, asked for in order until none answers.

A mint signs again only what it signed before, and each coin's secrets come from the seed. What is found is kept when
its mint calls it unspent. Coins of bodies still under way are left to their bodies.
"""

from collections.abc import Sequence
from sqlite3 import Connection

import trio

from nanobarter.core.errors import Malformed, PeerFault
from nanobarter.core.ids import NodeId, NoteId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Quantity, after
from nanobarter.mint.answer_messages import Answer, Minted, States
from nanobarter.mint.messages import Body, Note, RestoreBody, StateBody
from nanobarter.mint.notes import Keyset, note_id
from nanobarter.wallet import answers, archive, rows
from nanobarter.wallet.courier import Courier, blind_coins, seal_request, unblind_coins
from nanobarter.wallet.events import NotesReceived, WalletEvent
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.secrets import Coin

Found = list[tuple[Note, Coin, Keyset]]


class Recovery:
    """Asks one mint at a time for what this phrase holds there."""

    def __init__(
        self, *, store: Store, seed: bytes, clock: Clock, limits: Limits, keysets: Keysets, courier: Courier
    ) -> None:
        self._store, self._seed, self._clock = store, seed, clock
        self._limits, self._keysets, self._courier = limits, keysets, courier

    async def restore(self, issuer: NodeId) -> list[WalletEvent]:
        """Return what came back from an issuer. Raises Unreachable or PeerFault; what was found before stays."""
        await self._keysets.fetch(issuer)
        events = list[WalletEvent]()
        for keyset in self._keysets.of(issuer):
            if keyset.redeemable(self._clock.now()):
                for quantity in keyset.denominations:
                    events += await self._restore(keyset, quantity)
        return events

    async def _restore(self, keyset: Keyset, quantity: Quantity) -> list[WalletEvent]:
        events, size = list[WalletEvent](), self._limits.request_notes_max
        for batch in range(self._limits.wallet_restore_batches_max):
            coins = [Coin(keyset.keyset_id, quantity, batch * size + i) for i in range(size)]
            found = await self._signed_before(keyset, coins)
            if not found:
                break
            spent = await self._spent(keyset.issuer, [note for note, _, _ in found])
            last = max(coin.counter for _, coin, _ in found)

            def change(
                db: Connection, found: Found = found, spent: set[NoteId] = spent, last: int = last
            ) -> list[WalletEvent]:
                rows.skip_counters(db, keyset.keyset_id, quantity, last + 1)
                return self._keep(db, keyset, [f for f in found if note_id(f[0]) not in spent])

            events += await self._store.write(change)
        return events

    def _keep(self, db: Connection, keyset: Keyset, found: Found) -> list[WalletEvent]:
        under_way = rows.coins_under_way(db)
        fresh = [f for f in found if f[1] not in under_way and not rows.has_note(db, note_id(f[0]))]
        rows.add_notes(db, fresh)
        now = self._clock.now()
        return archive.add_events(
            db,
            [
                NotesReceived(keyset.quality, note.quantity, "restore", b"found" + note_id(note), now)
                for note, _, _ in fresh
            ],
        )

    async def _signed_before(self, keyset: Keyset, coins: Sequence[Coin]) -> Found:
        outputs = await trio.to_thread.run_sync(blind_coins, self._seed, keyset, coins)
        until = after(self._clock.now(), self._limits.wallet_body_valid)
        answer, raw = await self._ask(keyset.issuer, RestoreBody(keyset.issuer, until, outputs))
        if not isinstance(answer, Minted) or len(answer.signatures) != len(coins):
            raise PeerFault("it would not say what it signed before", evidence=raw)
        signed = [(c, s) for c, s in zip(coins, answer.signatures, strict=True) if s]
        keysets, known, signatures = [keyset] * len(signed), [c for c, _ in signed], [s for _, s in signed]
        try:
            return await trio.to_thread.run_sync(unblind_coins, self._seed, keysets, known, signatures)
        except Malformed as error:
            await self._keysets.drop(keyset.keyset_id, "a blind signature was false")
            raise PeerFault(f"a signature that it gave again is false: {error}", evidence=raw) from None

    async def _spent(self, issuer: NodeId, notes: Sequence[Note]) -> set[NoteId]:
        until = after(self._clock.now(), self._limits.wallet_body_valid)
        ids = tuple(note_id(note) for note in notes)
        answer, raw = await self._ask(issuer, StateBody(issuer, until, ids, ()))
        if not isinstance(answer, States):
            raise PeerFault("it would not say what became of the notes", evidence=raw)
        try:
            answers.check_witnesses(answer, {note_id(note): note.key for note in notes})
        except Malformed as error:
            raise PeerFault(str(error), evidence=raw) from None
        return {state.note for state in answer.spent}

    async def _ask(self, issuer: NodeId, body: Body) -> tuple[Answer, bytes]:
        request, message = seal_request(body, [])
        raw = await self._courier.ask(issuer, message)
        try:
            return answers.open_answer(raw, issuer, request, size_max=self._limits.request_bytes_max), raw
        except Malformed as error:
            raise PeerFault(f"the mint's answer is wrong: {error}", evidence=raw) from None
