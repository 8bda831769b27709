"""Looking for proofs among the words that nodes have read, and having them judged by the production verifier.

It looks for everything that the words of one issuer about one lock can show, so that an honest node is not convicted
by what nobody thought of trying.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import LockId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.court.proofs import Proof, verify
from nanobarter.mint.answer_messages import LockAnswer, LockState, Refusal, States
from nanobarter.mint.messages import OpenBody
from nanobarter.mint.proofs.records import FalseOutcome, OpenRefused, TwoLocked, TwoOutcomes
from nanobarter.mint.proofs.verdict import Convicted
from nanobarter.sim.world import Word, World
from nanobarter.swap.proofs import TwoAgreed
from nanobarter.swap.receipts import open_answer
from nanobarter.swap.terms import open_locked


class File:
    """What is known of one lock: its LOCKED, distinct answers about it, and refusals to open it."""

    def __init__(self) -> None:
        self.locked = dict[bytes, Signed]()
        self.told = dict[tuple[str, str, int], Signed]()
        self.refusals = dict[tuple[int, bytes], tuple[bytes, Signed]]()

    def proofs(self, lock_id: LockId) -> Iterator[Proof]:
        """Return all that may be shown of it."""
        for one, two in combinations(self.locked.values(), 2):
            yield TwoLocked(one, two)
        for one, two in combinations(self.told.values(), 2):
            yield TwoOutcomes(lock_id, one, two)
        for locked in self.locked.values():
            for answer in self.told.values():
                yield FalseOutcome(locked, answer)
            for body, answer in self.refusals.values():
                for later in self.told.values():
                    yield OpenRefused(locked, body, answer, later)


def convicted_by(words: Iterable[Word]) -> dict[NodeId, str]:
    """Return the issuers that these words convict, each with a reason."""
    files = dict[tuple[NodeId, LockId], File]()
    for word in words:
        _file(files, word)
    found = dict[NodeId, str]()
    for (issuer, lock_id), file in files.items():
        if issuer not in found:
            found |= _first(file.proofs(lock_id))
    return found


def _first(proofs: Iterator[Proof]) -> dict[NodeId, str]:
    for proof in proofs:
        verdict = verify(proof)
        if isinstance(verdict, Convicted):
            return {verdict.node: verdict.why}
    return {}


def _file(files: dict[tuple[NodeId, LockId], File], word: Word) -> None:
    signed = word.signed
    try:
        answer = open_answer(signed)
    except Malformed:
        _file_locked(files, signed)
        return
    match answer:
        case LockAnswer(locked=locked):
            _file_locked(files, locked)
        case LockState():
            file = files.setdefault((signed.signer, answer.lock_id), File())
            file.told.setdefault((answer.state, answer.how, answer.at), signed)
        case States():
            for state in answer.locks:
                file = files.setdefault((signed.signer, state.lock_id), File())
                settled = state.state != "locked"
                key = (state.state, state.how, state.at if settled else answer.at)
                if settled or len(file.told) < 12:  # noqa: PLR2004 - "locked" is told again and again
                    file.told.setdefault(key, signed)
        case Refusal() if isinstance(word.body, OpenBody):
            file = files.setdefault((signed.signer, word.body.lock_id), File())
            if len(file.refusals) < 4:  # noqa: PLR2004 - one is enough
                file.refusals.setdefault((answer.reason, answer.request), (encode(word.body), signed))
        case _:
            pass


def _file_locked(files: dict[tuple[NodeId, LockId], File], signed: Signed) -> None:
    try:
        terms = open_locked(signed).terms
    except Malformed:
        return
    files.setdefault((signed.signer, terms.lock_id), File()).locked.setdefault(encode(terms), signed)


def convicted_proposers(world: World) -> dict[NodeId, str]:
    """Return who agreed twice to one draft, of all agreements that were shown to anybody."""
    found = dict[NodeId, str]()
    for one, two in combinations(world.agreed, 2):
        verdict = verify(TwoAgreed(one, two))
        if isinstance(verdict, Convicted):
            found[verdict.node] = verdict.why
    return found
