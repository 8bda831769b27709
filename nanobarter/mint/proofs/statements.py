"""Reading what mints and wallets signed, as a stranger reads it: all of it checked, none of it believed."""

from collections.abc import Iterator
from typing import Final, Literal, cast

from nanobarter.core.canonical import decode
from nanobarter.core.ids import LockId, NoteId
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.units import Instant
from nanobarter.mint.answer_messages import (
    ANSWER_BYTES_MAX,
    DOMAIN_ANSWER,
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    Answer,
    Contract,
    Leased,
    LockAnswer,
    Locked,
    LockState,
    Minted,
    States,
)
from nanobarter.mint.messages import (
    REQUEST_BYTES_MAX,
    Body,
    ExtendBody,
    IssueBody,
    LockBody,
    Note,
    RedeemBody,
    SwapBody,
    TakeBody,
    request_id_of,
)
from nanobarter.mint.notes import note_id
from nanobarter.mint.proofs.records import Exchange
from nanobarter.mint.proofs.verdict import need

RECEIPT_BYTES_MAX: Final = 16 * 1024  # far above a LOCKED with eight hashes

Outcome = Literal["", "opened", "refund", "release"]


def read_body(raw: bytes) -> Body:
    """Return the body of a request. Raises Malformed."""
    return decode(raw, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)


def read_answer(signed: Signed) -> Answer:
    """Return a mint's answer; whose it is, ``signed`` tells. Raises Malformed."""
    return open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=ANSWER_BYTES_MAX)


def read_exchange(exchange: Exchange) -> tuple[Body, Answer]:
    """Return a body and the answer to it by the mint that it names. Raises Malformed."""
    return read_answered(exchange.body, exchange.answer)


def read_answered(raw: bytes, signed: Signed) -> tuple[Body, Answer]:
    """Return a body and the answer to it by the mint that it names. Raises Malformed."""
    body, answer = read_body(raw), read_answer(signed)
    need(body.mint == signed.signer, "the answer is not by the mint that was asked")
    need(answer.request == request_id_of(raw), "the answer is to another request")
    return body, answer


def read_locked(signed: Signed) -> Locked:
    """Return a LOCKED that is signed by the issuer it names. Raises Malformed."""
    locked = open_signed(signed, DOMAIN_LOCKED, Locked, size_max=RECEIPT_BYTES_MAX)
    need(locked.terms.issuer == signed.signer, "the LOCKED is not signed by its issuer")
    return locked


def read_contract(signed: Signed) -> Contract:
    """Return a contract that is signed by the issuer it names. Raises Malformed."""
    contract = open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=RECEIPT_BYTES_MAX)
    need(contract.issuer == signed.signer, "the contract is not signed by its issuer")
    return contract


def inputs_of(body: Body) -> tuple[Note, ...]:
    """Return the notes that a request spends."""
    return body.inputs if isinstance(body, SwapBody | LockBody | RedeemBody | ExtendBody) else ()


def spends(body: Body) -> set[NoteId]:
    """Return the ids of the notes that a request spends."""
    return {note_id(note) for note in inputs_of(body)}


def honours(body: Body, answer: Answer) -> bool:
    """Tell whether this answer to this request says that it was done. A restored signature is no new one."""
    match answer:
        case Minted():
            return isinstance(body, SwapBody | IssueBody | TakeBody)
        case Leased():
            return isinstance(body, TakeBody | RedeemBody | ExtendBody)
        case LockAnswer():
            return isinstance(body, LockBody)
        case _:
            return False


def lock_states(answer: Answer) -> Iterator[tuple[LockState, Instant]]:
    """Yield what an answer says of locks, each with the instant at which it says so (zero: not told)."""
    if isinstance(answer, LockState):
        yield answer, Instant(0)
    elif isinstance(answer, States):
        for state in answer.locks:
            yield state, answer.at


def outcome_of(state: LockState) -> Outcome:
    """Return how the lock was settled, also if it was taken or lapsed since; empty while it was not."""
    if state.state == "opened" or (state.state in ("taken", "lapsed") and state.preimages):
        return "opened"
    if state.state == "returned" or (state.state in ("taken", "lapsed") and state.how):
        return "release" if state.how == "release" else "refund"
    return ""


def states_of(answer: Answer, lock_id: LockId) -> list[tuple[LockState, Instant]]:
    """Return what an answer says of one lock."""
    return [found for found in lock_states(answer) if found[0].lock_id == lock_id]
