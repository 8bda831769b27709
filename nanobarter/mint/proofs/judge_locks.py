"""Locks: the issuer's word about one leg of a ring, held against its other words about it (docs/spec/swap.md).

Silence is no word. An issuer that says nothing about a lock is not convicted here, however late it is.
"""

from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import LockId, sha256
from nanobarter.core.keys import Signed
from nanobarter.core.units import Instant
from nanobarter.mint.answer_messages import LockState, Refusal
from nanobarter.mint.messages import LockTerms, OpenBody, Preimage, lock_id_of
from nanobarter.mint.proofs.records import FalseOutcome, OpenRefused, TwoLocked, TwoOutcomes
from nanobarter.mint.proofs.statements import Outcome, outcome_of, read_answer, read_answered, read_locked, states_of
from nanobarter.mint.proofs.verdict import Convicted, need
from nanobarter.mint.receipts import shows_settled


def two_locked(proof: TwoLocked) -> Convicted:
    """Convict over one lock_id with two terms. The same terms with two dates harm nobody, so they convict nobody."""
    one, two = read_locked(proof.first), read_locked(proof.second)
    need(one.terms.issuer == two.terms.issuer, "the locks are of two issuers")
    need(one.terms.lock_id == two.terms.lock_id, "the locks have two ids")
    need(one.terms != two.terms, "the terms are the same")
    return Convicted(proof.first.signer, f"it signed two locks under the id {one.terms.lock_id.hex()[:16]}")


def two_outcomes(proof: TwoOutcomes) -> Convicted:
    """Convict over two outcomes: the first one of a lock stays, so no two are ever signed."""
    need(proof.first.key == proof.second.key, "the answers are of two issuers")
    first, second = _outcomes(proof.first, proof.lock_id), _outcomes(proof.second, proof.lock_id)
    need(bool(first and second), "not both answers tell how the lock was settled")
    need(len(first | second) > 1, "the answers agree")
    told = " and ".join(sorted(first | second))
    return Convicted(proof.first.signer, f"it said of one lock: {told}")


def _outcomes(signed: Signed, lock_id: LockId) -> set[Outcome]:
    return {found for state, _ in states_of(read_answer(signed), lock_id) if (found := outcome_of(state))}


def false_outcome(proof: FalseOutcome) -> Convicted:
    """Convict over a refund before the deadline, or an opening without the preimages."""
    terms = read_locked(proof.locked).terms
    need(proof.locked.key == proof.answer.key, "the answer is not by the issuer of the lock")
    for state, _ in states_of(read_answer(proof.answer), terms.lock_id):
        outcome = outcome_of(state)
        if outcome == "refund" and state.at <= terms.deadline:
            return Convicted(proof.locked.signer, "it refunded a lock before its deadline")
        if outcome == "opened" and not _fit(terms, state.preimages):
            return Convicted(proof.locked.signer, "it called a lock opened without its preimages")
    raise Malformed("the answer tells nothing that contradicts the lock")


def _fit(terms: LockTerms, preimages: tuple[Preimage, ...]) -> bool:
    return len(preimages) == len(terms.hashes) and all(
        sha256(secret) == wanted for secret, wanted in zip(preimages, terms.hashes, strict=True)
    )


def open_refused(proof: OpenRefused) -> Convicted:
    """Convict when the preimages fit, and the refusal's reason is false.

    "Too late" is false while an open is valid (until the deadline; later on arc 0, or with the receipt of the arc
    before) and the lock is not settled; that it was not, only a later word of the issuer itself can show.
    """
    terms, node = read_locked(proof.locked).terms, proof.locked.signer
    body, answer = read_answered(proof.body, proof.answer)
    if not isinstance(body, OpenBody) or not isinstance(answer, Refusal):
        raise Malformed("it is not the refusal of an open")
    need(body.mint == node and body.lock_id == terms.lock_id, "the open is for another lock")
    need(_fit(terms, body.preimages), "the preimages do not fit")
    if answer.reason == Reason.BAD_SIGNATURE:
        return Convicted(node, "it refused the right preimages of a lock as wrong")
    need(answer.reason == Reason.TOO_LATE, f"the refusal ({answer.reason.name}) may be true")
    in_time = answer.at <= terms.deadline or terms.index == 0 or _settled_before(terms, body.proof)
    need(in_time and answer.at < terms.take_until, "the open came too late")
    need(proof.later is not None and proof.later.key == proof.locked.key, "a later word of the issuer is missing")
    later = states_of(read_answer(proof.later), terms.lock_id) if proof.later is not None else []
    need(any(_unsettled_at(state, told, answer.at) for state, told in later), "the lock may have been settled by then")
    return Convicted(node, "it refused to open a lock when the open was valid")


def _unsettled_at(state: LockState, told: Instant, at: Instant) -> bool:
    """Tell whether a later word of the issuer shows that the lock had no outcome yet at an instant."""
    if outcome_of(state):
        return state.at > at
    return state.state == "locked" and told > at


def _settled_before(terms: LockTerms, proof: Signed | None) -> bool:
    previous = lock_id_of(terms.agreement, terms.index - 1)
    return proof is not None and shows_settled(proof, terms.previous_issuer, terms.agreement, previous)
