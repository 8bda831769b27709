"""Whether a mint's answer says what it must: signed by that mint, for this request, about this thing.

Each check raises Malformed; the courier turns that into a PeerFault with the answer as evidence.
"""

from typing import cast

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, NoteId, PublicKey, RequestId, sha256
from nanobarter.core.keys import Signed, open_signed, verify
from nanobarter.core.units import Instant, after, term
from nanobarter.mint.answer_messages import (
    DOMAIN_ANSWER,
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    Answer,
    Contract,
    LockAnswer,
    Locked,
    LockState,
    States,
)
from nanobarter.mint.messages import (
    DOMAIN_REQUEST,
    ExtendBody,
    LockBody,
    LockTerms,
    OpenBody,
    RedeemBody,
    RefundBody,
    ReleaseBody,
    TakeBody,
)

_LOCKED_BYTES_MAX = 4096  # eight hashes of 32 bytes and a dozen other fields


def open_answer(raw: bytes, mint: NodeId, request: RequestId, *, size_max: int) -> Answer:
    """Return the answer inside. Anything not signed by the mint's own node key, for this request, is refused."""
    signed = decode(raw, Signed, size_max=size_max)
    if signed.signer != mint:
        raise Malformed("the answer is signed by another node")
    answer = open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=size_max)
    if answer.request != request:
        raise Malformed("the answer is to another request")
    return answer


def check_locked(answer: LockAnswer, body: LockBody, *, size_max: int) -> Locked:
    """Return the receipt inside: signed by the issuer, of exactly the terms that were asked for."""
    locked = open_signed(answer.locked, DOMAIN_LOCKED, Locked, size_max=size_max)
    if answer.locked.signer != body.mint or locked.terms != body.terms:
        raise Malformed("the receipt is not for this lock")
    return locked


def check_lock_state(answer: LockState, body: OpenBody | RefundBody | ReleaseBody) -> None:
    """Check that the state is of this lock and is one that such a request leads to."""
    if answer.lock_id != body.lock_id or answer.state == "locked":
        raise Malformed("the state is not that of this lock")


def check_contract(
    signed: Signed, body: RedeemBody | ExtendBody | TakeBody, before: Contract | None, *, size_max: int
) -> Contract:
    """Return the contract inside: signed by the issuer, for the holder, kind and size asked for.

    ``before`` is the contract that an extension lengthens, by exactly one term from its old end.
    """
    contract = open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=size_max)
    if signed.signer != body.mint or contract.issuer != body.mint:
        raise Malformed("the contract is not the issuer's")
    if isinstance(body, ExtendBody):
        wanted_end = None if before is None else after(before.end, term(before.terms.kind))
        fits = contract.lease_id == body.lease_id and contract.terms.quantity == body.keep
        fits = fits and (before is None or contract.terms.holder == before.terms.holder)
        fits = fits and (wanted_end is None or contract.end == wanted_end)
    else:
        fits = contract.terms == body.lease and contract.end > contract.start
    if not fits:
        raise Malformed("the contract is not what was asked for")
    return contract


def check_spent(answer: States, keys: dict[NoteId, PublicKey], mine: RequestId, not_before: Instant) -> set[NoteId]:
    """Return which of my notes other requests have spent, each with a witness that only its key could make.

    The answer must be later than ``not_before``, the end of my own request's validity, and must not say that my
    request was honoured: the mint has just signed that it was not.
    """
    if answer.at <= not_before:
        raise Malformed("the mint speaks of a time when the request was still valid")
    check_witnesses(answer, keys)
    if any(state.request == mine for state in answer.spent):
        raise Malformed("the mint refused a request that it honoured")
    return {state.note for state in answer.spent}


def check_witnesses(answer: States, keys: dict[NoteId, PublicKey]) -> None:
    """Check that each note called spent is one of these, with a witness that only its key could make."""
    for state in answer.spent:
        key = keys.get(state.note)
        if key is None or not verify(key, DOMAIN_REQUEST, state.request, state.witness):
            raise Malformed("the mint calls a note spent without its key's witness")


def preimages_fit(hashes: tuple[bytes, ...], preimages: tuple[bytes, ...]) -> bool:
    """Tell whether these are the preimages of a lock's hashes, in order."""
    return len(hashes) == len(preimages) and all(sha256(p) == h for p, h in zip(preimages, hashes, strict=True))


def locked_terms(answer: LockAnswer) -> LockTerms:
    """Return the terms in a receipt that was checked before."""
    return decode(answer.locked.body, Locked, size_max=_LOCKED_BYTES_MAX).terms
