"""Answers that refute themselves: what the request says is enough to see that no honest mint gives them."""

from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.keys import Signed, verify
from nanobarter.mint.answer_messages import Leased, LockAnswer, Minted, Refusal, SpentState, States
from nanobarter.mint.bignum import powmod
from nanobarter.mint.messages import (
    DOMAIN_REQUEST,
    MODULUS_BYTES,
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
from nanobarter.mint.notes import check_announcement, note_id, verify_note
from nanobarter.mint.proofs.records import FalseAnswer, FalseRefusal, FalseState, TwoReceipts
from nanobarter.mint.proofs.statements import (
    honours,
    inputs_of,
    read_answer,
    read_answered,
    read_contract,
    read_exchange,
    read_locked,
    spends,
)
from nanobarter.mint.proofs.verdict import Convicted, need
from nanobarter.mint.rsa import EXPONENT


def two_receipts(proof: TwoReceipts) -> Convicted:
    """Convict when two honoured requests share a note: an honest mint refuses the second one as spent."""
    (body, answer), (other, again) = read_exchange(proof.first), read_exchange(proof.second)
    need(body.mint == other.mint, "the receipts are of two mints")
    need(proof.first.body != proof.second.body, "it is one request twice")
    need(honours(body, answer) and honours(other, again), "not both requests were honoured")
    shared = spends(body) & spends(other)
    need(bool(shared), "the requests share no note")
    return Convicted(body.mint, f"it honoured two requests that spend note {min(shared).hex()[:16]}")


def false_refusal(proof: FalseRefusal) -> Convicted:
    """Judge a refusal by its reason. Reasons that depend on what only the mint knows convict nobody."""
    body, answer = read_answered(proof.request.body, proof.answer)
    if not isinstance(answer, Refusal):
        raise Malformed("the answer is no refusal")
    convicted = _why_false(proof, body, answer)
    need(bool(convicted), f"the refusal ({answer.reason.name}) may be true")
    return Convicted(body.mint, convicted)


def _why_false(proof: FalseRefusal, body: Body, no: Refusal) -> str:
    match no.reason:
        case Reason.SPENT:
            spent_by_key = no.spent is not None and any(_witnessed(note, no.spent) for note in inputs_of(body))
            return "" if spent_by_key else "it called a note spent without a witness by the note's key"
        case Reason.BAD_SIGNATURE:
            return "it refused good notes with good witnesses as forged" if _all_good(proof, body) else ""
        case Reason.EXPIRED:
            return "it refused as expired what had not expired" if no.at <= body.valid_until else ""
        case Reason.WRONG_MINT:
            named = not isinstance(body, LockBody) or body.terms.issuer == body.mint
            return "it refused as meant for another mint what names it" if named else ""
        case Reason.UNBALANCED:
            return "it refused as unbalanced what is balanced" if _balanced(body) else ""
        case _:
            return ""


def _witnessed(note: Note, spent: SpentState) -> bool:
    return note_id(note) == spent.note and verify(note.key, DOMAIN_REQUEST, spent.request, spent.witness)


def _all_good(proof: FalseRefusal, body: Body) -> bool:
    """Tell whether every signature that such a request needs is there and good."""
    notes = inputs_of(body)
    if not notes or isinstance(body, ExtendBody):  # whether the holder of a lease signed, only its contract tells
        return False
    keysets = {k.keyset_id: k for k in (check_announcement(a, body.mint) for a in proof.announcements)}
    witnesses, request = proof.request.witnesses, request_id_of(proof.request.body)
    return (
        len(witnesses) == len(notes)
        and all(verify(n.key, DOMAIN_REQUEST, request, w) for n, w in zip(notes, witnesses, strict=True))
        and all(n.keyset in keysets and verify_note(n, keysets[n.keyset]) for n in notes)
    )


def _balanced(body: Body) -> bool:
    given = sum(note.quantity for note in inputs_of(body))
    match body:
        case SwapBody():
            return bool(body.inputs and body.outputs) and given == sum(o.quantity for o in body.outputs)
        case RedeemBody():
            return bool(body.inputs) and given == body.lease.quantity
        case LockBody():
            return bool(body.inputs) and given == body.terms.quantity
        case _:
            return False


def false_state(proof: FalseState) -> Convicted:
    """Convict when the mint lists a note as spent, and its witness is not by the note's key."""
    answer = read_answer(proof.answer)
    note = Note(proof.keyset, proof.quantity, proof.key, bytes(MODULUS_BYTES))
    told = [s for s in answer.spent if s.note == note_id(note)] if isinstance(answer, States) else []
    need(bool(told), "it does not call this note spent")
    need(not all(_witnessed(note, s) for s in told), "the witness is the note key's")
    return Convicted(proof.answer.signer, "it called a note spent without a witness by the note's key")


def false_answer(proof: FalseAnswer) -> Convicted:
    """Convict when the receipt is not what was asked for."""
    body, answer = read_exchange(proof.exchange)
    why = ""
    match answer, body:
        case LockAnswer(), LockBody():
            why = "" if _is_lock(answer, body) else "it answered a request for a lock with another lock"
        case Leased(), (TakeBody() | RedeemBody() | ExtendBody()):
            why = "" if _is_lease(answer, body) else "it answered a request for a lease with another contract"
        case Minted(), (SwapBody() | IssueBody() | TakeBody()):
            why = _false_signatures(proof.announcement, body, answer)
        case _:
            pass
    need(bool(why), "the answer may be what was asked for")
    return Convicted(body.mint, why)


def _is_lock(answer: LockAnswer, body: LockBody) -> bool:
    try:
        locked = read_locked(answer.locked)
    except Malformed:
        return False
    return locked.terms == body.terms and answer.locked.signer == body.mint


def _is_lease(answer: Leased, body: TakeBody | RedeemBody | ExtendBody) -> bool:
    try:
        contract = read_contract(answer.contract)
    except Malformed:
        return False
    if contract.issuer != body.mint:
        return False
    if isinstance(body, ExtendBody):
        return contract.lease_id == body.lease_id and contract.terms.quantity == body.keep
    return contract.terms == body.lease


def _false_signatures(announced: Signed | None, body: SwapBody | IssueBody | TakeBody, answer: Minted) -> str:
    """Check blind signatures as the mint must before it lets them go: s^e = z (RFC 9474, section 4.3)."""
    if len(answer.signatures) != len(body.outputs):
        return "it gave more or fewer signatures than it was asked for"
    if announced is None:
        return ""
    keyset = check_announcement(announced, body.mint)
    for output, signature in zip(body.outputs, answer.signatures, strict=True):
        modulus = keyset.moduli.get(output.quantity)
        if modulus is None or output.keyset != keyset.keyset_id:
            continue
        raised = powmod(int.from_bytes(signature, "big"), EXPONENT, modulus)
        if len(signature) != MODULUS_BYTES or raised != int.from_bytes(output.blinded, "big"):
            return "it gave a blind signature that is none"
    return ""
