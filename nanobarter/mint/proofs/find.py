"""Which proofs could be made of what was seen. Every one still has to be judged; most come to nothing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from nanobarter.core.ids import KeysetId, LockId, NoteId
from nanobarter.core.keys import Signed
from nanobarter.mint.answer_messages import Minted, Refusal, States
from nanobarter.mint.messages import IssueBody, Note, Request, SwapBody, TakeBody
from nanobarter.mint.notes import keyset_id_of
from nanobarter.mint.proofs import records
from nanobarter.mint.proofs.records import Exchange, MintProof
from nanobarter.mint.proofs.statements import inputs_of, read_answer, read_body


def of_exchange(request: Request, answer: Signed, announced: Sequence[Signed]) -> Iterator[MintProof]:
    """Yield what one request and its answer may prove. Raises Malformed when they cannot be read."""
    body, said = read_body(request.body), read_answer(answer)
    known = {keyset_id_of(signed): signed for signed in announced}
    if isinstance(said, Refusal):
        keysets = dict.fromkeys(note.keyset for note in inputs_of(body))
        yield records.FalseRefusal(request, answer, tuple(known[k] for k in keysets if k in known)[:8])
    elif isinstance(said, Minted) and isinstance(body, SwapBody | IssueBody | TakeBody):
        outputs: set[KeysetId] = {output.keyset for output in body.outputs}
        for keyset in (None, *outputs):
            yield records.FalseAnswer(Exchange(request.body, answer), known.get(keyset) if keyset else None)
    else:
        yield records.FalseAnswer(Exchange(request.body, answer), None)


def of_states(notes: Mapping[NoteId, Note], answer: Signed) -> Iterator[MintProof]:
    """Yield what an answer about notes may prove, as far as the notes are known. Raises Malformed."""
    said = read_answer(answer)
    for state in said.spent if isinstance(said, States) else ():
        if (note := notes.get(state.note)) is not None:
            yield records.FalseState(note.keyset, note.quantity, note.key, answer)


def of_announcements(announced: Sequence[Signed], fresh: Signed) -> Iterator[MintProof]:
    """Yield what an announcement may prove alone and beside those of the same node."""
    yield records.BadModulus(fresh)
    for other in announced:
        if other.key == fresh.key and other != fresh:
            yield records.TwoAnnouncements(other, fresh)


def of_lock(
    lock_id: LockId, locked: Sequence[Signed], said: Sequence[Signed], opens: Sequence[Exchange]
) -> Iterator[MintProof]:
    """Yield what may be proven by all that was seen of one lock: its LOCKED, answers about it, refused opens."""
    yield from (records.TwoLocked(a, b) for a, b in combinations(locked, 2))
    yield from (records.TwoOutcomes(lock_id, a, b) for a, b in combinations(said, 2))
    for lock in locked:
        yield from (records.FalseOutcome(lock, answer) for answer in said)
        for exchange in opens:
            yield from (records.OpenRefused(lock, exchange.body, exchange.answer, later) for later in (None, *said))


def receipts_of(exchange: Exchange) -> Iterator[records.Receipt]:
    """Yield the receipts in an exchange that the head of its epoch has to account for. Raises Malformed."""
    body = read_body(exchange.body)
    yield from (records.SpentReceipt(exchange, place) for place in range(len(inputs_of(body))))
    if isinstance(body, SwapBody | IssueBody | TakeBody):
        yield from (records.IssuedReceipt(exchange, place) for place in range(len(body.outputs)))
