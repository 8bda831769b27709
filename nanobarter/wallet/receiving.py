"""Lines of notes on their way in: kept from the moment they are shown until their mint has signed what became of them.

A line is worth nothing until its notes are swapped, since its giver knows their secrets too. So it is written down
before its mint is asked; a crash, a lost answer or a mint that is away leaves it here, and each round tries again.
It leaves by a receipt (the notes are ours), by a no that is final (spent, with the spender's signature; forged; over),
or when no mint would redeem it any more.
"""

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

import trio

from nanobarter.core.errors import InvariantBroken, Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId, NoteId
from nanobarter.core.keys import verify
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, Quantity, after, before
from nanobarter.mint.answer_messages import Refusal, States
from nanobarter.mint.messages import DOMAIN_REQUEST, StateBody
from nanobarter.mint.notes import Keyset, note_id
from nanobarter.wallet import answers
from nanobarter.wallet.acts import Acts, no_of
from nanobarter.wallet.copies import SIGNED_BEFORE
from nanobarter.wallet.courier import Courier, seal_request
from nanobarter.wallet.handover import Handover, all_good, digest_of, subject_of
from nanobarter.wallet.keysets import Keysets
from nanobarter.wallet.token import NoteToken, parse_token

_PASSING: Final = frozenset(
    {Reason.EXPIRED, Reason.NOT_YET, Reason.CLOCK_OFF, Reason.TOO_MANY, Reason.BUSY, Reason.STOPPING}
)


@dataclass(frozen=True)
class Waiting:
    """A line that is not ours yet: since when it waits, and what stood against it the last time."""

    digest: Hash
    issuer: NodeId
    quantity: Quantity
    since: Instant
    problem: str


@dataclass(frozen=True)
class Checked:
    """What can be told of a line: its mint signed it; ``spent`` is None where the mint was not asked."""

    quality: Quality
    quantity: Quantity
    redeem_until: Instant
    own: bool
    spent: Quantity | None


class Receiving:
    """Turns lines into notes of ours."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        limits: Limits,
        keysets: Keysets,
        acts: Acts,
        courier: Courier,
        handover: Handover,
    ) -> None:
        self._store, self._clock, self._limits = store, clock, limits
        self._keysets, self._acts, self._courier, self._handover = keysets, acts, courier, handover

    async def receive(self, text: str) -> tuple[Quality, Quantity] | Refused:
        """Swap a line's notes for fresh ones of ours and return what came in. Repeatable.

        Raises UsageError for a text that is no note, Unreachable or PeerFault when its mint is no help: then the
        line is kept, and each round tries again.
        """
        token = parse_token(text)
        if refused := await self._store.write(lambda db: self._keep(db, token, text)):
            return refused
        return await self._cash(token)

    def _keep(self, db: Connection, token: NoteToken, text: str) -> Refused | None:
        (count,) = db.execute("SELECT count(*) FROM wallet_incoming").fetchone()
        if count >= self._limits.wallet_incoming_max:
            return Refused(Reason.TOO_MANY, f"{count} notes wait for their mints already")
        line = "".join(text.split())
        row = (digest_of(token), line, token.issuer, token.quantity, self._clock.now())
        db.execute(
            "INSERT OR IGNORE INTO wallet_incoming (digest, token, issuer, quantity, at) VALUES (?,?,?,?,?)", row
        )
        return None

    async def _cash(self, token: NoteToken) -> tuple[Quality, Quantity] | Refused:
        try:
            answer = await self._acts.act(subject_of(token), lambda: self._handover.cash(token))
            if isinstance(answer, Refusal) and answer.reason == Reason.SPENT:
                _check_witness(token, answer)
        except (Unreachable, PeerFault) as error:
            await self._note(token, str(error))
            raise
        if isinstance(answer, Refusal | Refused):
            return await self._refused(token, no_of(answer))
        await self._handover.settle(token)
        keyset = self._keysets.known(token.notes[0].keyset)
        if keyset is None:
            raise InvariantBroken("a note was cashed under a keyset that is not known")
        return keyset.quality, token.quantity

    async def _refused(self, token: NoteToken, refused: Refused) -> Refused:
        if self._is_passing(token, refused):
            await self._note(token, refused.detail or refused.reason.name)
            raise Unreachable(f"its mint does not swap it now: {refused.detail or refused.reason.name}")
        if refused.reason == Reason.SPENT:
            await self._handover.settle(token)  # were it ours, it is not to be taken back any more
        else:
            digest = digest_of(token)
            await self._store.write(lambda db: _drop(db, digest))
        return refused

    def _is_passing(self, token: NoteToken, refused: Refused) -> bool:
        """Tell whether a later try may go better: the no is of the moment, or of the fresh notes' keyset."""
        if refused.reason != Reason.RETIRED_KEYSET:
            # A coin that another copy of this wallet named: the next try names another one.
            return refused.reason in _PASSING or (
                refused.reason == Reason.CONFLICT and refused.detail.startswith(SIGNED_BEFORE)
            )
        if any(self._keysets.is_dropped(note.keyset) for note in token.notes):
            return False
        known = [self._keysets.known(note.keyset) for note in token.notes]
        return all(keyset is not None and keyset.redeemable(self._clock.now()) for keyset in known)

    async def _note(self, token: NoteToken, problem: str) -> None:
        row = (problem[:200], digest_of(token))
        sql = "UPDATE wallet_incoming SET problem = ? WHERE digest = ?"
        await self._store.write(lambda db: db.execute(sql, row).rowcount)

    async def again(self) -> None:
        """Try once more what waits, and give up what no mint redeems any more."""
        old = before(self._clock.now(), self._limits.wallet_journal_kept)
        await self._store.write(lambda db: db.execute("DELETE FROM wallet_incoming WHERE at < ?", (old,)).rowcount)
        sql = "SELECT token FROM wallet_incoming ORDER BY at LIMIT ?"
        most = self._limits.wallet_round_bodies_max
        lines = self._store.read_now(lambda db: db.execute(sql, (most,)).fetchall())
        by_mint = dict[NodeId, list[NoteToken]]()
        for (line,) in lines:
            token = parse_token(line)
            by_mint.setdefault(token.issuer, []).append(token)
        async with trio.open_nursery() as nursery:
            for tokens in by_mint.values():
                nursery.start_soon(self._again_at, tokens)

    async def _again_at(self, tokens: list[NoteToken]) -> None:
        for token in tokens:
            try:
                await self._cash(token)
            except Unreachable:
                return  # the others would meet the same silence
            except PeerFault:
                continue

    def waiting(self) -> list[Waiting]:
        """Return the lines that are not ours yet, the oldest first."""
        sql = "SELECT digest, issuer, quantity, at, problem FROM wallet_incoming ORDER BY at, digest"
        return self._store.read_now(
            lambda db: [
                Waiting(Hash(d), NodeId(i), Quantity(q), Instant(a), problem) for d, i, q, a, problem in db.execute(sql)
            ]
        )

    async def check(self, text: str, *, ask: bool) -> Checked | Refused:
        """Tell what a line is worth, taking nothing; with ``ask`` its mint says how much of it is spent.

        Raises UsageError for a text that is no note, Unreachable or PeerFault when its mint is needed and no help.
        """
        token = parse_token(text)
        known = await self._handover.keysets_of(token)
        if isinstance(known, Refused):
            return known
        if not await trio.to_thread.run_sync(all_good, token, known):
            return Refused(Reason.BAD_SIGNATURE, "these notes are not signed by their mint")
        spent = await self._spent(token) if ask else None
        return Checked(known[0].quality, token.quantity, _ends(known), self._is_own(token), spent)

    def _is_own(self, token: NoteToken) -> bool:
        sql = "SELECT 1 FROM wallet_tokens WHERE digest = ?"
        return self._store.read_now(lambda db: db.execute(sql, (digest_of(token),)).fetchone()) is not None

    async def _spent(self, token: NoteToken) -> Quantity:
        ids = {note_id(note): note for note in token.notes}
        until = after(self._clock.now(), self._limits.wallet_body_valid)
        request, message = seal_request(StateBody(token.issuer, until, tuple(ids), ()), [])
        raw = await self._courier.ask(token.issuer, message)
        try:
            answer = answers.open_answer(raw, token.issuer, request, size_max=self._limits.request_bytes_max)
            if isinstance(answer, States):
                answers.check_witnesses(answer, {note: ids[note].key for note in ids})
        except Malformed as error:
            raise PeerFault(f"the mint's answer is wrong: {error}", evidence=raw) from None
        if not isinstance(answer, States):
            raise PeerFault("the mint would not say what became of the notes", evidence=raw)
        return Quantity(sum(ids[NoteId(state.note)].quantity for state in answer.spent))


def _ends(keysets: list[Keyset]) -> Instant:
    return min(keyset.announcement.redeem_until for keyset in keysets)


def _drop(db: Connection, digest: Hash) -> None:
    db.execute("DELETE FROM wallet_incoming WHERE digest = ?", (digest,))


def _check_witness(token: NoteToken, refusal: Refusal) -> None:
    """Believe "spent" only with the signature that spent it: nobody but an owner of the line can have made it."""
    state, keys = refusal.spent, {note_id(note): note.key for note in token.notes}
    key = None if state is None else keys.get(state.note)
    if state is None or key is None or not verify(key, DOMAIN_REQUEST, state.request, state.witness):
        raise PeerFault("the mint calls a note spent and cannot show who spent it")
