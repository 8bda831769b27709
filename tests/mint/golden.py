"""One of each of the mint's byte formats, from fixed keys: ``python -m tests.mint.golden`` writes them anew.

Bytes that changed without a new release number are a fault, so look twice before committing a new file.
"""

import json
from pathlib import Path

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, Hash, LeaseId, RequestId, sha256
from nanobarter.core.keys import SigningKey, seal_signed
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity, Span
from nanobarter.mint import answer_messages, blind, messages
from nanobarter.mint.answer_messages import DOMAIN_ANSWER, DOMAIN_CONTRACT, DOMAIN_LOCKED
from nanobarter.mint.keysets import Wanted, announce
from nanobarter.mint.messages import make_request
from nanobarter.mint.notes import check_announcement, note_id, note_message
from nanobarter.mint.rsa import load_key
from tests.mint.purse import NODE, key_of, secrets_of, stored_keys

FILE = Path(__file__).parent.parent / "vectors" / "mint-messages.json"
NOW = Instant(1_700_006_400_000)
KIND = LeaseKind("30d")


def golden() -> dict[str, str]:
    """Return name and bytes, in hexadecimal."""
    private = {Quantity(1 << i): der for i, der in enumerate(stored_keys()[:2])}
    signed = announce(NODE, Wanted(KIND, Instant(7 * DAY)), private, sha256(b"terms"), LIMITS)
    keyset = check_announcement(signed)
    owner = key_of("owner")
    message = note_message(keyset.keyset_id, Quantity(1), owner.public)
    key = load_key(private[Quantity(1)])
    made = blind.blind(blind.PSS_DETERMINISTIC, key.modulus, message, salt=b"s" * 48, factor=65539)
    signature = blind.blind_sign(key, made.message)
    whole = blind.finalize(blind.PSS_DETERMINISTIC, key.modulus, message, signature, made.inverse)
    note = messages.Note(keyset.keyset_id, Quantity(1), owner.public, whole)
    output = messages.BlindOutput(keyset.keyset_id, Quantity(1), made.message)
    records = {"announcement": signed, "note": note, "output": output}
    texts = {name: encode(record).hex() for name, record in records.items()}
    texts |= {"keyset_id": keyset.keyset_id.hex(), "note_message": message.hex(), "note_id": note_id(note).hex()}
    return texts | _requests(note, output) | _answers(signature)


def terms() -> messages.LockTerms:
    """Return the terms of a lock."""
    agreement = AgreementId(sha256(b"agreement"))
    return messages.LockTerms(
        agreement=agreement,
        lock_id=messages.lock_id_of(agreement, 1),
        index=1,
        issuer=NODE.node_id,
        kind=KIND,
        terms_hash=sha256(b"terms"),
        quantity=Quantity(1),
        hashes=tuple(sha256(s) for s in secrets_of("golden")),
        to_key=key_of("to").public,
        refund_key=key_of("refund").public,
        deadline=Instant(NOW + 1000),
        delta=Span(500),
        take_until=Instant(NOW + DAY),
        previous_issuer=key_of("previous").public,
    )


def bodies(note: messages.Note, output: messages.BlindOutput) -> dict[str, tuple[messages.Body, list[SigningKey]]]:
    """Return one request body of each kind with the keys of its witnesses."""
    lease = messages.LeaseTerms(KIND, Quantity(1), key_of("holder").public)
    lock, node, owner = terms(), NODE.node_id, key_of("owner")
    receipt = seal_signed(NODE, DOMAIN_ANSWER, _lock_state())
    return {
        "swap": (messages.SwapBody(node, NOW, (note,), (output,)), [owner]),
        "issue": (messages.IssueBody(node, NOW, (output,)), [NODE]),
        "lock": (messages.LockBody(node, NOW, (note,), lock), [owner]),
        "open": (messages.OpenBody(node, NOW, lock.lock_id, secrets_of("golden"), receipt), []),
        "refund": (messages.RefundBody(node, NOW, lock.lock_id), [key_of("refund")]),
        "release": (messages.ReleaseBody(node, NOW, lock.lock_id), [key_of("to")]),
        "take": (messages.TakeBody(node, NOW, lock.lock_id, (output,), None), [key_of("to")]),
        "take_lease": (messages.TakeBody(node, NOW, lock.lock_id, (), lease), [key_of("to")]),
        "redeem": (messages.RedeemBody(node, NOW, (note,), lease), [owner]),
        "extend": (
            messages.ExtendBody(node, NOW, (note,), LeaseId(bytes(32)), Quantity(1)),
            [owner, key_of("holder")],
        ),
        "state": (messages.StateBody(node, NOW, (note_id(note),), (lock.lock_id,)), []),
        "restore": (messages.RestoreBody(node, NOW, (output,)), []),
    }


def _requests(note: messages.Note, output: messages.BlindOutput) -> dict[str, str]:
    made = bodies(note, output)
    return {f"request {name}": encode(make_request(body, keys)).hex() for name, (body, keys) in made.items()}


def _lock_state() -> answer_messages.LockState:
    lock = terms()
    return answer_messages.LockState(
        RequestId(bytes(32)), lock.lock_id, lock.agreement, "opened", "", NOW, secrets_of("golden")
    )


def _answers(signature: bytes) -> dict[str, str]:
    request, lock = RequestId(sha256(b"request")), terms()
    locked = seal_signed(NODE, DOMAIN_LOCKED, answer_messages.Locked(lock, NOW))
    lease = messages.LeaseTerms(KIND, Quantity(1), key_of("holder").public)
    contract = answer_messages.Contract(
        LeaseId(bytes(32)), NODE.node_id, lease, Hash(sha256(b"terms")), NOW, Instant(NOW + 30 * DAY), 1
    )
    witness = key_of("owner").sign("mint/request", request)
    spent = answer_messages.SpentState(note_id_of_nothing(), request, witness)
    answers: dict[str, answer_messages.Answer] = {
        "minted": answer_messages.Minted(request, NOW, 472224, (signature, b"")),
        "lock": answer_messages.LockAnswer(request, locked),
        "lockstate": _lock_state(),
        "leased": answer_messages.Leased(request, seal_signed(NODE, DOMAIN_CONTRACT, contract)),
        "states": answer_messages.States(request, NOW, (spent,), (_lock_state(),)),
        "refusal": answer_messages.Refusal(request, Reason.SPENT, NOW, "spent", spent),
    }
    return {f"answer {name}": encode(seal_signed(NODE, DOMAIN_ANSWER, a)).hex() for name, a in answers.items()}


def note_id_of_nothing() -> messages.NoteId:
    """Return an id that no note has."""
    return messages.NoteId(bytes(32))


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n")
