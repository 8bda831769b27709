"""What the mint says: an outcome becomes an answer that its node key signs, the same bytes each time."""

from collections.abc import Container, Sequence
from typing import assert_never

from nanobarter.core.errors import Reason
from nanobarter.core.ids import KeysetId
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, Quantity
from nanobarter.mint import rows
from nanobarter.mint.answer_messages import (
    DOMAIN_ANSWER,
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    Answer,
    Leased,
    LockAnswer,
    Minted,
    Refusal,
    States,
)
from nanobarter.mint.blind import blind_sign
from nanobarter.mint.events import LeaseExtended, LeaseStarted, LockMade, LockOpened, LockReturned, MintEvent
from nanobarter.mint.messages import BlindOutput
from nanobarter.mint.outcomes import Case, Done, Leasing, Locking, Minting, No, Outcome, Settling, Telling
from nanobarter.mint.recall import history_of, state_of
from nanobarter.mint.rsa import RawKey, load_key
from nanobarter.mint.rules import epoch_of

DETAIL_MAX = 200


class Speaker:
    """Signs for one mint. Its methods take CPU time and may run in several threads: call them in workers."""

    def __init__(self, store: Store, key: SigningKey) -> None:
        self._store, self._key = store, key
        self._keys = dict[tuple[KeysetId, Quantity], RawKey]()

    def keep_only(self, keysets: Container[KeysetId]) -> None:
        """Forget the private keys of keysets that are gone."""
        self._keys = {name: key for name, key in self._keys.items() if name[0] in keysets}

    def say(self, case: Case, done: Done) -> tuple[Signed, MintEvent | None]:
        """Sign the answer, and make the event if this call changed something."""
        answer = self._answer(case, done.outcome)
        signed = seal_signed(self._key, DOMAIN_ANSWER, answer)
        return signed, self._event(done.outcome, answer, signed) if done.first else None

    def _answer(self, case: Case, outcome: Outcome) -> Answer:
        match outcome:
            case Minting(at, outputs):
                return self._minted(case, at, outputs)
            case Locking(locked):
                return LockAnswer(case.request, seal_signed(self._key, DOMAIN_LOCKED, locked))
            case Settling(lock):
                return state_of(lock, case.request)
            case Leasing(contract):
                return Leased(case.request, seal_signed(self._key, DOMAIN_CONTRACT, contract))
            case Telling(at, spent, locks):
                return States(case.request, at, spent, tuple(history_of(x, case.request) for x in locks))
            case No(refused, at, spent):
                return Refusal(case.request, refused.reason, at, refused.detail[:DETAIL_MAX], spent)
            case _:
                assert_never(outcome)

    def _event(self, outcome: Outcome, answer: Answer, signed: Signed) -> MintEvent | None:
        match outcome:
            case Locking() if isinstance(answer, LockAnswer):
                return LockMade(answer.locked)
            case Settling(lock) if lock.outcome == "opened":
                return LockOpened(lock.terms, lock.preimages, signed)
            case Settling(lock) if lock.how:
                return LockReturned(lock.terms, lock.how, signed)
            case Leasing(contract):
                return LeaseStarted(contract) if contract.version == 1 else LeaseExtended(contract)
            case _:
                return None

    def _minted(self, case: Case, at: Instant, outputs: Sequence[BlindOutput | None]) -> Answer:
        signatures = [self._sign(o) for o in outputs]
        if None in signatures:  # a repeat, whose keyset was purged since it was looked up
            return Refusal(case.request, Reason.RETIRED_KEYSET, at, "its keyset is purged by now", None)
        return Minted(case.request, at, epoch_of(at), tuple(s or b"" for s in signatures))

    def _sign(self, output: BlindOutput | None) -> bytes | None:
        """Return the blind signature, nothing for an empty place, None when the key is gone."""
        if output is None:
            return b""
        name = (output.keyset, output.quantity)
        key = self._keys.get(name)
        if key is None:
            stored = self._store.read_now(lambda db: rows.private_key(db, *name))
            if stored is None:
                return None
            key = self._keys[name] = load_key(stored)
        return blind_sign(key, output.blinded)
