"""Notes that pass from person to person as a line of text, outside of any ring.

The giver's notes leave the wallet in the same commit that keeps the line. The taker's wallet swaps them at their mint
at once, since the giver knows their secrets too: until the swap is answered nothing is certain.
"""

from sqlite3 import Connection

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import Hash, sha256
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import after
from nanobarter.mint.messages import SwapBody
from nanobarter.mint.notes import Keyset, note_id, verify_note
from nanobarter.wallet import archive
from nanobarter.wallet.events import NotesSpent, WalletEvent
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.payments import Payment, Payments
from nanobarter.wallet.rows import Cheque, Held, Meaning
from nanobarter.wallet.token import NoteToken, show_token


class Handover:
    """Makes lines of notes, and the swaps that cash them."""

    def __init__(self, *, store: Store, clock: Clock, limits: Limits, keysets: Keysets, payments: Payments) -> None:
        self._store, self._clock, self._limits = store, clock, limits
        self._keysets, self._payments = keysets, payments

    async def send(self, payment: Payment) -> tuple[str, list[WalletEvent]] | Refused:
        """Return a line worth exactly the payment, and what to tell."""
        async with self._payments.turn(payment.quality):
            held = await self._payments.exact(payment)
            if isinstance(held, Refused):
                return held
            secrets = tuple(key.secret for key in self._payments.keys(held))
            token = NoteToken(payment.quality.issuer, tuple(h.note for h in held), secrets)
            return show_token(token), await self._store.write(lambda db: self._give(db, token, payment, held))

    def _give(self, db: Connection, token: NoteToken, payment: Payment, held: list[Held]) -> list[WalletEvent]:
        digest, now = digest_of(token), self._clock.now()
        for note in held:
            db.execute("UPDATE wallet_notes SET state = 'sent' WHERE note = ? AND state = 'free'", (note.note_id,))
        archive.put_token(db, digest, show_token(token), payment.quality, payment.quantity, now)
        event = NotesSpent(payment.quality, payment.quantity, "sent", b"sent" + digest, now)
        return archive.add_events(db, [event])

    async def cash(self, token: NoteToken) -> Cheque | Refused:
        """Write the swap of a line's notes. Raises Unreachable or PeerFault when their mint is no help."""
        known = await self.keysets_of(token)
        if isinstance(known, Refused):
            return known
        good = await trio.to_thread.run_sync(all_good, token, known)
        if not good:
            return Refused(Reason.BAD_SIGNATURE, "these notes are not signed by their mint")
        quality, terms = known[0].quality, known[0].terms_hash
        made = await self._payments.fresh(quality, terms, token.quantity)
        if isinstance(made, Refused):
            return made
        coins, outputs = made
        until = after(self._clock.now(), self._limits.wallet_body_valid)
        body = SwapBody(token.issuer, until, token.notes, outputs)
        meaning = Meaning(quality, terms, token.quantity, "token")
        signers = [SigningKey(secret) for secret in token.secrets]
        return await self._payments.write(body, signers, subject_of(token), meaning, coins=coins)

    async def keysets_of(self, token: NoteToken) -> list[Keyset] | Refused:
        """Return the keyset of each note, of one kind and terms. Raises Unreachable or PeerFault."""
        keysets = [await self._keysets.find(token.issuer, note.keyset) for note in token.notes]
        known = [keyset for keyset in keysets if keyset is not None]
        if len(known) < len(keysets):
            return Refused(Reason.UNKNOWN_KEYSET, "its mint does not announce the keyset of these notes")
        if len({(k.quality, k.terms_hash) for k in known}) > 1:
            return Refused(Reason.UNBALANCED, "these notes are of several kinds")
        return known

    async def settle(self, token: NoteToken) -> None:
        """Forget a line, and that its notes were given away if they were ours: they came in, or are spent."""
        notes = [note_id(note) for note in token.notes]
        await self._store.write(lambda db: archive.drop_token(db, digest_of(token), notes))


def digest_of(token: NoteToken) -> Hash:
    """Return what a line is known by."""
    return sha256(encode(token))


def subject_of(token: NoteToken) -> bytes:
    """Return the journal's name for cashing a line."""
    return b"token" + digest_of(token)


def all_good(token: NoteToken, keysets: list[Keyset]) -> bool:
    """Tell whether their mint signed all of these notes. About 25 us per note: run it in a worker thread."""
    return all(verify_note(note, keyset) for note, keyset in zip(token.notes, keysets, strict=True))
