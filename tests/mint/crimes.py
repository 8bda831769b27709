"""A mint that lies, from fixed keys: one proof of each kind, as victims could hold it.

The lies are signed with the node's true key; that is what convicts it. ``python -m tests.mint.crimes`` writes the
golden bytes anew.
"""

import json
from pathlib import Path

from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, LeaseId, RequestId, sha256
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, HOUR, Instant, Quantity, Span
from nanobarter.mint import answer_messages as am
from nanobarter.mint import blind
from nanobarter.mint import messages as m
from nanobarter.mint.keysets import Wanted, announce
from nanobarter.mint.notes import check_announcement, note_id, note_message
from nanobarter.mint.proofs import entries, records, tree
from nanobarter.mint.proofs.heads import DOMAIN_HEAD, Count, Head, KeysetCounts, Promises
from nanobarter.mint.rsa import load_key
from nanobarter.mint.rules import EPOCH_SPAN, epoch_of
from tests.mint.purse import KIND, NODE, key_of, secrets_of, stored_keys

FILE = Path(__file__).parent.parent / "vectors" / "mint-proofs.json"
NOW = Instant(1_700_006_400_000)
LATER = Instant((epoch_of(NOW) + 1) * EPOCH_SPAN + 1)
OWNER, HOLDER = key_of("owner"), key_of("holder")
TERMS = sha256(b"terms")
PRIVATE = {Quantity(1 << i): der for i, der in enumerate(stored_keys()[:2])}
ANNOUNCED = announce(NODE, Wanted(KIND, Instant(NOW - NOW % (7 * DAY))), PRIVATE, TERMS, LIMITS)
KEYSET = check_announcement(ANNOUNCED)


def output(name: str) -> tuple[m.BlindOutput, bytes, int]:
    """Return an output, its blind signature, and what unblinds it."""
    key = load_key(PRIVATE[Quantity(1)])
    message = note_message(KEYSET.keyset_id, Quantity(1), key_of(name).public)
    factor = blind.factor_from(key_of(name).secret * 9, key.modulus)
    made = blind.blind(blind.PSS_DETERMINISTIC, key.modulus, message, salt=b"s" * 48, factor=factor)
    return (
        m.BlindOutput(KEYSET.keyset_id, Quantity(1), made.message),
        blind.blind_sign(key, made.message),
        made.inverse,
    )


def note(name: str) -> m.Note:
    """Return a good note of 1 MiB whose key has this name."""
    _, signature, inverse = output(name)
    message = note_message(KEYSET.keyset_id, Quantity(1), key_of(name).public)
    modulus = KEYSET.moduli[Quantity(1)]
    whole = blind.finalize(blind.PSS_DETERMINISTIC, modulus, message, signature, inverse)
    return m.Note(KEYSET.keyset_id, Quantity(1), key_of(name).public, whole)


def swap(name: str, *, given: str = "owner", signature: bytes | None = None) -> records.Exchange:
    """Return an honoured swap of a note for the output of a name."""
    out, made, _ = output(name)
    body = encode(m.SwapBody(NODE.node_id, Instant(NOW + 1000), (note(given),), (out,)))
    return records.Exchange(body, answer(am.Minted(m.request_id_of(body), NOW, epoch_of(NOW), (signature or made,))))


def answer(said: am.Answer, by: SigningKey = NODE) -> Signed:
    """Return what a mint answered, signed."""
    return seal_signed(by, am.DOMAIN_ANSWER, said)


SOON = Instant(NOW + 1000)


def request(name: str, valid_until: Instant = SOON) -> m.Request:
    """Return a good request to swap the owner's note."""
    body = m.SwapBody(NODE.node_id, valid_until, (note("owner"),), (output(name)[0],))
    return m.make_request(body, [OWNER])


def refused(of: m.Request, reason: Reason, at: Instant = NOW, spent: am.SpentState | None = None) -> Signed:
    """Return a refusal of a request."""
    return answer(am.Refusal(m.request_id_of(of.body), reason, at, "", spent))


def head(at: Instant = LATER, *, leaves: dict[int, list[tree.Entry]] | None = None) -> Head:
    """Return the head of the epoch of NOW, with these entries in its trees."""
    roots = {n: tree.SortedTree(n, (leaves or {}).get(n, [])).root for n in range(1, 5)}
    promises = Promises(KIND, Quantity(100), Quantity(10), Quantity(0), Quantity(8))
    counts = KeysetCounts(KEYSET.keyset_id, (Count(Quantity(1), 12, 2),))
    return Head(epoch_of(NOW), 0, Instant(0), at, (promises,), (counts,), roots[1], roots[2], roots[3], roots[4])


def signed_head(body: Head) -> Signed:
    """Return a head, signed."""
    return seal_signed(NODE, DOMAIN_HEAD, body)


def terms(name: str = "golden") -> m.LockTerms:
    """Return the terms of a lock on arc 1 whose deadline is a second from NOW."""
    agreement = AgreementId(sha256(b"agreement"))
    return m.LockTerms(
        agreement=agreement,
        lock_id=m.lock_id_of(agreement, 1),
        index=1,
        issuer=NODE.node_id,
        kind=KIND,
        terms_hash=TERMS,
        quantity=Quantity(1),
        hashes=tuple(sha256(s) for s in secrets_of(name)),
        to_key=key_of("to").public,
        refund_key=key_of("refund").public,
        deadline=Instant(NOW + 1000),
        delta=Span(500),
        take_until=Instant(NOW + DAY),
        previous_issuer=key_of("previous").public,
    )


def locked(of: m.LockTerms, at: Instant = NOW) -> Signed:
    """Return a LOCKED."""
    return seal_signed(NODE, am.DOMAIN_LOCKED, am.Locked(of, at))


def state(
    name: str, how: str = "", at: Instant = NOW, preimages: tuple[bytes, ...] = (), by: SigningKey = NODE
) -> Signed:
    """Return a signed state of the lock."""
    lock = terms()
    return answer(am.LockState(RequestId(bytes(32)), lock.lock_id, lock.agreement, name, how, at, preimages), by)


def opened(at: Instant = NOW) -> Signed:
    """Return the receipt of an opening."""
    return state("opened", at=at, preimages=secrets_of("golden"))


def open_body(preimages: tuple[bytes, ...] = secrets_of("golden")) -> bytes:
    """Return a request to open the lock."""
    return encode(m.OpenBody(NODE.node_id, Instant(NOW + 1000), terms().lock_id, preimages, None))


def contract(name: str, quantity: int, *, start: Instant = NOW, version: int = 1) -> Signed:
    """Return a contract of 30 days."""
    lease = m.LeaseTerms(KIND, Quantity(quantity), HOLDER.public)
    end = Instant(start + 30 * DAY * version)
    body = am.Contract(LeaseId(sha256(name.encode())), NODE.node_id, lease, TERMS, start, end, version)
    return seal_signed(NODE, am.DOMAIN_CONTRACT, body)


def absent(number: int, key: bytes, others: list[tree.Entry]) -> tuple[Head, records.Absent]:
    """Return a head whose tree has only others, with the gap where the key would be."""
    gap = tree.SortedTree(number, others).look_up(key)
    assert isinstance(gap, tree.Gap)
    return head(leaves={number: others}), records.Absent(gap)


OTHERS = [tree.Entry(sha256(b"key%d" % i), sha256(b"value%d" % i)) for i in range(5)]


def proofs() -> dict[str, records.MintProof]:
    """Return one proof of each kind, some in several forms; each convicts NODE."""
    return _of_answers() | _of_heads() | _of_receipts() | _of_locks()


def _of_answers() -> dict[str, records.MintProof]:
    asked, late = request("out"), request("out", Instant(NOW - 1))
    stranger = am.SpentState(note_id(note("owner")), RequestId(bytes(32)), OWNER.sign("other", bytes(32)))
    lock_body = encode(m.LockBody(NODE.node_id, NOW, (note("owner"),), terms()))
    lock_id = m.request_id_of(lock_body)
    redeem = encode(m.RedeemBody(NODE.node_id, NOW, (note("owner"),), m.LeaseTerms(KIND, Quantity(1), HOLDER.public)))
    false_states = answer(am.States(RequestId(bytes(32)), NOW, (stranger,), ()))
    wrong_lock = locked(replace(terms(), to_key=HOLDER.public))
    return {
        "two receipts": records.TwoReceipts(swap("one"), swap("two")),
        "spent without witness": records.FalseRefusal(asked, refused(asked, Reason.SPENT), ()),
        "spent with a false witness": records.FalseRefusal(asked, refused(asked, Reason.SPENT, spent=stranger), ()),
        "good note refused": records.FalseRefusal(asked, refused(asked, Reason.BAD_SIGNATURE), (ANNOUNCED,)),
        "early refused as late": records.FalseRefusal(late, refused(late, Reason.EXPIRED, Instant(NOW - 1)), ()),
        "own refused as another's": records.FalseRefusal(asked, refused(asked, Reason.WRONG_MINT), ()),
        "balanced refused": records.FalseRefusal(asked, refused(asked, Reason.UNBALANCED), ()),
        "false state": records.FalseState(KEYSET.keyset_id, Quantity(1), OWNER.public, false_states),
        "false blind signature": records.FalseAnswer(swap("one", signature=b"\x01" * 256), ANNOUNCED),
        "another lock": records.FalseAnswer(
            records.Exchange(lock_body, answer(am.LockAnswer(lock_id, wrong_lock))), None
        ),
        "another lease": records.FalseAnswer(
            records.Exchange(redeem, answer(am.Leased(m.request_id_of(redeem), contract("x", 2)))), None
        ),
    }


def _of_heads() -> dict[str, records.MintProof]:
    body = check_announcement(ANNOUNCED).announcement
    other = seal_signed(NODE, m.DOMAIN_ANNOUNCEMENT, replace(body, purge_at=Instant(body.purge_at + 1)))
    even = replace(body, keys=(m.DenominationKey(Quantity(1), b"\xff" * 255 + b"\xfe"),))
    shared = replace(body, keys=tuple(replace(k, modulus=body.keys[0].modulus) for k in body.keys))
    good = head()
    broken = replace(good.promises[0], leased=Quantity(91))
    overspent = KeysetCounts(KEYSET.keyset_id, (Count(Quantity(1), 1, 2),))
    fell = KeysetCounts(KEYSET.keyset_id, (Count(Quantity(1), 12, 1),))
    return {
        "two announcements": records.TwoAnnouncements(ANNOUNCED, other),
        "even modulus": records.BadModulus(seal_signed(NODE, m.DOMAIN_ANNOUNCEMENT, even)),
        "shared modulus": records.BadModulus(seal_signed(NODE, m.DOMAIN_ANNOUNCEMENT, shared)),
        "law broken": records.BadHead(signed_head(replace(good, promises=(broken,)))),
        "overspent": records.BadHead(signed_head(replace(good, keysets=(overspent,)))),
        "head too early": records.BadHead(signed_head(replace(good, at=NOW))),
        "two heads": records.TwoHeads(signed_head(good), signed_head(replace(good, at=Instant(LATER + 1)))),
        "two beginnings": records.TwoHeads(
            signed_head(good), signed_head(replace(good, epoch=good.epoch + 1, since=NOW, at=Instant(LATER + HOUR)))
        ),
        "counts ran back": records.TwoHeads(
            signed_head(good),
            signed_head(replace(good, epoch=good.epoch + 1, at=Instant(LATER + HOUR), keysets=(fell,))),
        ),
    }


def _of_receipts() -> dict[str, records.MintProof]:
    done = swap("one")
    spent_head, spent_gap = absent(tree.SPENT, note_id(note("owner")), OTHERS)
    issued_head, issued_gap = absent(tree.ISSUED, entries.output_id(output("one")[0]), [])
    lock_head, lock_gap = absent(tree.LOCKS, terms().lock_id, OTHERS[:1])
    lease = contract("x", 8)
    lease_head, lease_gap = absent(tree.LEASES, sha256(lease.body), OTHERS)
    wrong = tree.SortedTree(tree.SPENT, [*OTHERS, tree.Entry(note_id(note("owner")), sha256(b"another"))])
    place = wrong.look_up(note_id(note("owner")))
    assert isinstance(place, tree.Place)
    wrong_head = replace(head(), spent=wrong.root)
    shown = tuple(contract(name, 3) for name in "abc")
    return {
        "spent receipt left out": records.Omitted(records.SpentReceipt(done, 0), signed_head(spent_head), spent_gap),
        "issued receipt left out": records.Omitted(
            records.IssuedReceipt(done, 0), signed_head(issued_head), issued_gap
        ),
        "lock left out": records.Omitted(records.LockReceipt(locked(terms())), signed_head(lock_head), lock_gap),
        "lease left out": records.Omitted(records.LeaseReceipt(lease), signed_head(lease_head), lease_gap),
        "another entry": records.Omitted(records.SpentReceipt(done, 0), signed_head(wrong_head), records.Other(place)),
        "overlet": records.Overlet(signed_head(head()), shown),
    }


def _of_locks() -> dict[str, records.MintProof]:
    good, lock_id = locked(terms()), terms().lock_id
    refund_late = state("returned", "refund", Instant(NOW + 5000))
    opening = open_body()
    no = answer(am.Refusal(m.request_id_of(opening), Reason.TOO_LATE, NOW, "", None))
    wrong = answer(am.Refusal(m.request_id_of(opening), Reason.BAD_SIGNATURE, NOW, "", None))
    unsettled = am.LockState(RequestId(bytes(32)), lock_id, terms().agreement, "locked", "", NOW, ())
    listed = answer(am.States(RequestId(bytes(32)), Instant(NOW + 1), (), (unsettled,)))
    return {
        "two locks": records.TwoLocked(good, locked(replace(terms(), to_key=HOLDER.public))),
        "opened and returned": records.TwoOutcomes(lock_id, opened(), refund_late),
        "refunded and released": records.TwoOutcomes(lock_id, state("taken", "release"), refund_late),
        "refunded early": records.FalseOutcome(good, state("returned", "refund", Instant(NOW + 1000))),
        "opened without preimages": records.FalseOutcome(good, state("opened", preimages=secrets_of("x"))),
        "open refused as late": records.OpenRefused(good, opening, no, refund_late),
        "open refused though unsettled": records.OpenRefused(good, opening, no, listed),
        "right preimages refused": records.OpenRefused(good, opening, wrong, None),
    }


def golden() -> dict[str, str]:
    """Return name and bytes, in hexadecimal, of one head and of every proof."""
    return {"signed head": encode(signed_head(head())).hex()} | {
        f"proof: {name}": encode(proof).hex() for name, proof in proofs().items()
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n")
