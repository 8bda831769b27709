"""A proof must convict the liar at every stranger's, and nobody else: not by mistake, and not by malice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.keys import SigningKey, seal_signed
from nanobarter.core.units import DAY, HOUR, Instant, Quantity
from nanobarter.court.proofs import PROOF_BYTES_MAX, Convicted, NotProven, read_proof, verify, write_proof
from nanobarter.mint import answer_messages as am
from nanobarter.mint import messages as m
from nanobarter.mint.notes import note_id
from nanobarter.mint.proofs import records, tree
from nanobarter.mint.proofs.records import MintProof
from nanobarter.mint.proofs.statements import read_body
from tests.mint import crimes
from tests.mint.crimes import ANNOUNCED, FILE, KEYSET, LATER, NOW, OTHERS, OWNER
from tests.mint.purse import NODE, key_of, secrets_of

STORED: dict[str, str] = json.loads(FILE.read_text())
PROOFS = crimes.proofs()
ROOT = Path(__file__).parent.parent.parent


def test_the_bytes_are_those_of_the_release() -> None:
    assert crimes.golden() == STORED


@pytest.mark.parametrize("name", PROOFS)
def test_a_lie_convicts_the_liar(name: str) -> None:
    verdict = verify(PROOFS[name])
    assert isinstance(verdict, Convicted), verdict
    assert verdict.node == NODE.node_id


def test_a_third_node_convicts_with_nothing_but_the_bytes() -> None:
    script = (
        "import sys\nfrom nanobarter.court.proofs import read_proof, verify\n"
        "for line in sys.stdin: print(verify(read_proof(bytes.fromhex(line.strip()))).node.hex())"
    )
    lines = "\n".join(write_proof(proof).hex() for proof in PROOFS.values())
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, input=lines, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [NODE.node_id.hex()] * len(PROOFS)


def near_misses() -> dict[str, MintProof]:
    """Return what looks like a proof and is none, each one step away from one that convicts."""
    return _answers() | _heads() | _receipts() | _locks()


def _answers() -> dict[str, MintProof]:
    asked, late = crimes.request("out"), crimes.request("out", Instant(NOW - 1))
    true = am.SpentState(note_id(crimes.note("owner")), m.RequestId(bytes(32)), _witness())
    unsigned = replace(asked, witnesses=(key_of("x").sign(m.DOMAIN_REQUEST, m.request_id_of(asked.body)),))
    body = encode(m.SwapBody(NODE.node_id, Instant(NOW + 1000), (crimes.note("owner"),), ()))
    unbalanced = m.make_request(read_body(body), [OWNER])
    restored = encode(m.RestoreBody(NODE.node_id, NOW, (crimes.output("one")[0],)))
    again = crimes.answer(am.Minted(m.request_id_of(restored), NOW, 0, (b"",)))
    no = crimes.refused(asked, Reason.NO_CAPACITY)
    listed = crimes.answer(am.States(m.RequestId(bytes(32)), NOW, (true,), ()))
    other = crimes.swap("two")
    return {
        "one receipt twice": records.TwoReceipts(crimes.swap("one"), crimes.swap("one")),
        "two notes": records.TwoReceipts(crimes.swap("one"), crimes.swap("two", given="another")),
        "honoured once": records.TwoReceipts(crimes.swap("one"), records.Exchange(asked.body, no)),
        "answers crossed": records.TwoReceipts(crimes.swap("one"), replace(other, body=asked.body)),
        "signed by another": records.TwoReceipts(crimes.swap("one"), replace(other, answer=_by_stranger(other))),
        "truly spent": records.FalseRefusal(asked, crimes.refused(asked, Reason.SPENT, spent=true), ()),
        "no witness": records.FalseRefusal(unsigned, crimes.refused(unsigned, Reason.BAD_SIGNATURE), (ANNOUNCED,)),
        "no announcement": records.FalseRefusal(asked, crimes.refused(asked, Reason.BAD_SIGNATURE), ()),
        "truly late": records.FalseRefusal(late, crimes.refused(late, Reason.EXPIRED), ()),
        "unbalanced": records.FalseRefusal(unbalanced, crimes.refused(unbalanced, Reason.UNBALANCED), ()),
        "its own affair": records.FalseRefusal(asked, no, ()),
        "a true state": records.FalseState(KEYSET.keyset_id, Quantity(1), OWNER.public, listed),
        "another note's state": records.FalseState(KEYSET.keyset_id, Quantity(2), OWNER.public, listed),
        "a good signature": records.FalseAnswer(crimes.swap("one"), ANNOUNCED),
        "an empty restore": records.FalseAnswer(records.Exchange(restored, again), ANNOUNCED),
        "a good lock": records.FalseAnswer(_locking(), None),
    }


def _witness() -> m.Signature:
    return OWNER.sign(m.DOMAIN_REQUEST, bytes(32))


def _by_stranger(exchange: records.Exchange) -> m.Signed:
    return crimes.answer(am.Minted(m.request_id_of(exchange.body), NOW, 0, (bytes(256),)), key_of("stranger"))


def _locking() -> records.Exchange:
    body = encode(m.LockBody(NODE.node_id, NOW, (crimes.note("owner"),), crimes.terms()))
    return records.Exchange(body, crimes.answer(am.LockAnswer(m.request_id_of(body), crimes.locked(crimes.terms()))))


def _heads() -> dict[str, MintProof]:
    body = KEYSET.announcement
    good = crimes.head()
    signed = crimes.signed_head(good)

    def announced(**changes: object) -> m.Signed:
        return seal_signed(NODE, m.DOMAIN_ANNOUNCEMENT, replace(body, **changes))

    later = replace(good, epoch=good.epoch + 1, at=Instant(LATER + HOUR))
    return {
        "one announcement twice": records.TwoAnnouncements(ANNOUNCED, ANNOUNCED),
        "next generation": records.TwoAnnouncements(ANNOUNCED, announced(generation=1, scheme=2)),
        "next window": records.TwoAnnouncements(ANNOUNCED, announced(issue_from=NOW)),
        "good moduli": records.BadModulus(ANNOUNCED),
        "another scheme": records.BadModulus(announced(scheme=2, keys=(m.DenominationKey(Quantity(1), bytes(256)),))),
        "good head": records.BadHead(signed),
        "one head twice": records.TwoHeads(signed, signed),
        "restored between": records.TwoHeads(signed, crimes.signed_head(replace(good, generation=1, since=NOW))),
        "later head": records.TwoHeads(signed, crimes.signed_head(later)),
    }


def _receipts() -> dict[str, MintProof]:
    receipt, note = records.SpentReceipt(crimes.swap("one"), 0), note_id(crimes.note("owner"))
    head, gap = crimes.absent(tree.SPENT, note, OTHERS)
    entry = tree.Entry(note, m.request_id_of(receipt.exchange.body))
    full = tree.SortedTree(tree.SPENT, [*OTHERS, entry])
    there, (left, *_) = full.look_up(note), [full.place(i) for i in range(6)]
    assert isinstance(there, tree.Place)
    holds = crimes.signed_head(replace(crimes.head(), spent=full.root))
    wide = tree.Gap(full.place(there.index - 1) if there.index else None, None)
    short = tuple(crimes.contract(name, 3) for name in "ab")
    three = tuple(crimes.contract(name, 3) for name in "abc")
    ending = Instant(NOW + 15 * DAY)
    return {
        "restored since": records.Omitted(receipt, _signed(head, since=NOW), gap),
        "another epoch": records.Omitted(receipt, _signed(head, epoch=head.epoch + 1), gap),
        "another tree": records.Omitted(receipt, _signed(head, spent=head.issued, issued=head.spent), gap),
        "it is there": records.Omitted(receipt, holds, records.Other(there)),
        "not its key": records.Omitted(receipt, holds, records.Other(left)),
        "a gap too wide": records.Omitted(receipt, holds, records.Absent(wide)),
        "no such input": records.Omitted(replace(receipt, place=1), _signed(head), gap),
        "later contract": records.Omitted(records.LeaseReceipt(crimes.contract("x", 8, version=2)), _signed(head), gap),
        "no more than said": records.Overlet(crimes.signed_head(crimes.head()), short),
        "one lease twice": records.Overlet(crimes.signed_head(crimes.head()), (*short, short[0])),
        "may be smaller": records.Overlet(crimes.signed_head(crimes.head(at=ending)), three),
        "not begun": records.Overlet(crimes.signed_head(crimes.head(at=NOW)), three),
        "before it was restored": records.Overlet(_signed(crimes.head(), since=NOW), three),
    }


def _signed(head: crimes.Head, **changes: object) -> m.Signed:
    return crimes.signed_head(replace(head, **changes))


def _locks() -> dict[str, MintProof]:
    terms, good = crimes.terms(), crimes.locked(crimes.terms())
    opening = crimes.open_body()
    no = crimes.answer(am.Refusal(m.request_id_of(opening), Reason.TOO_LATE, NOW, "", None))
    late = crimes.answer(am.Refusal(m.request_id_of(opening), Reason.TOO_LATE, Instant(NOW + 1001), "", None))
    wrong = crimes.open_body(secrets_of("other"))
    refused = crimes.answer(am.Refusal(m.request_id_of(wrong), Reason.BAD_SIGNATURE, NOW, "", None))
    unknown = crimes.answer(am.Refusal(m.request_id_of(opening), Reason.UNKNOWN_LOCK, NOW, "", None))
    after = crimes.state("returned", "refund", Instant(NOW + 5000))
    return {
        "two dates": records.TwoLocked(good, crimes.locked(terms, Instant(NOW + 1))),
        "two ids": records.TwoLocked(good, crimes.locked(replace(terms, lock_id=m.lock_id_of(terms.agreement, 2)))),
        "one outcome": records.TwoOutcomes(terms.lock_id, crimes.opened(), crimes.opened()),
        "opened, then taken": records.TwoOutcomes(
            terms.lock_id, crimes.opened(), crimes.state("taken", preimages=secrets_of("golden"))
        ),
        "locked, then returned": records.TwoOutcomes(terms.lock_id, crimes.state("locked"), after),
        "two issuers": records.TwoOutcomes(
            terms.lock_id, crimes.opened(), crimes.state("returned", "refund", by=key_of("x"))
        ),
        "refunded after the deadline": records.FalseOutcome(good, after),
        "released at once": records.FalseOutcome(good, crimes.state("returned", "release")),
        "opened with its preimages": records.FalseOutcome(good, crimes.opened()),
        "released before": records.OpenRefused(good, opening, no, crimes.state("returned", "release")),
        "nothing later": records.OpenRefused(good, opening, no, None),
        "after the deadline": records.OpenRefused(good, opening, late, after),
        "wrong preimages": records.OpenRefused(good, wrong, refused, None),
        "lock forgotten": records.OpenRefused(good, opening, unknown, after),
    }


NEAR_MISSES = near_misses()


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_is_nearly_a_proof_convicts_nobody(name: str) -> None:
    assert isinstance(verify(NEAR_MISSES[name]), NotProven)


@settings(max_examples=400)
@given(
    name=st.sampled_from(sorted(PROOFS)),
    place=st.integers(0, 2**16),
    change=st.binary(max_size=4),
    cut=st.integers(0, 4),
)
def test_a_mutated_proof_convicts_no_other_and_never_fails(name: str, place: int, change: bytes, cut: int) -> None:
    raw = write_proof(PROOFS[name])
    at = place % len(raw)
    try:
        verdict = verify(read_proof(raw[:at] + change + raw[at + cut :]))
    except Malformed:
        return
    # The liar stays a liar when something is changed that nobody signed, say which of its announcements comes along.
    assert isinstance(verdict, NotProven) or verdict.node == NODE.node_id


def test_the_largest_exchanges_fit_into_a_proof() -> None:
    note, output = crimes.note("owner"), crimes.output("one")[0]
    body = encode(m.SwapBody(NODE.node_id, NOW, (note,) * 64, (output,) * 64))
    answer = crimes.answer(am.Minted(m.request_id_of(body), NOW, 0, (bytes(256),) * 64))
    largest = records.TwoReceipts(records.Exchange(body, answer), records.Exchange(body, answer))
    assert len(write_proof(largest)) < PROOF_BYTES_MAX
    assert read_proof(write_proof(largest)) == largest


@given(count=st.integers(0, 40), data=st.data())
def test_a_tree_shows_what_is_in_it_and_what_is_not(count: int, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.binary(min_size=32, max_size=32), min_size=count, max_size=count, unique=True))
    grown = tree.SortedTree(tree.SPENT, [tree.Entry(key, key[::-1]) for key in keys])
    asked = data.draw(st.sampled_from(keys) | st.binary(min_size=32, max_size=32) if keys else st.just(bytes(32)))
    found = grown.look_up(asked)
    if isinstance(found, tree.Place):
        assert asked in keys
        assert tree.stands(grown.root, tree.SPENT, found)
        assert not tree.stands(grown.root, tree.ISSUED, found)
        assert not tree.stands(grown.root, tree.SPENT, replace(found, value=found.key[:31] + b"?"))
    else:
        assert asked not in keys
        tree.check_gap(grown.root, tree.SPENT, asked, found)
    for key in keys:  # no gap of the tree hides anything in it
        gaps = [tree.Gap(grown.place(i) if i >= 0 else None, None) for i in (-1, count - 1)]
        gaps += [tree.Gap(grown.place(i), grown.place(i + 1)) for i in range(count - 1)]
        for gap in gaps:
            with pytest.raises(Malformed):
                tree.check_gap(grown.root, tree.SPENT, key, gap)


def test_no_index_but_its_own_fits_a_path() -> None:
    for count in range(1, 9):
        grown = tree.SortedTree(tree.LOCKS, OTHERS[:1] + [tree.Entry(bytes([i]) * 32, bytes(32)) for i in range(count)])
        for i in range(grown.root.size):
            place = grown.place(i)
            assert [j for j in range(12) if tree.stands(grown.root, tree.LOCKS, replace(place, index=j))] == [i]


def test_another_key_signs_nothing_in_its_name() -> None:
    stranger = SigningKey(bytes(32))
    forged = replace(crimes.swap("two").answer, key=stranger.public)
    proof = records.TwoReceipts(crimes.swap("one"), replace(crimes.swap("two"), answer=forged))
    assert isinstance(verify(proof), NotProven)
