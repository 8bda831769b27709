"""Ids, signatures and stored states hang on these bytes; a change of one bit cuts a node off from its own rings."""

import json
from pathlib import Path

import pytest

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import BidId, sha256
from nanobarter.core.item import make_item
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity, Span, after
from nanobarter.matching.wire import BidBody, Want, bid_id_of
from nanobarter.swap.making import make_agreed, make_approve, make_draft, seal_message
from nanobarter.swap.messages import (
    Ack,
    Cancel,
    Draft,
    DraftArc,
    Refuse,
    Vote,
    agreement_id_of,
    draft_id_of,
    open_draft,
    open_vote,
)
from nanobarter.swap.questions import Consent, Question, make_consent, make_question, open_consent, open_question
from nanobarter.swap.states import Approved, Collecting, Committing, Deal, Ended, Gathering, Locking, Notice, Voted
from nanobarter.swap.terms import SwapTimes, agreement_of

VECTORS = Path(__file__).parents[1] / "vectors" / "swap-messages.json"
NOW = Instant(1_800_000_000_000)
KIND = LeaseKind("30d")


def examples() -> dict[str, Record]:
    """One of each message and state, of a ring of two."""
    keys = [SigningKey(bytes([i]) * 32) for i in (1, 2)]
    bids = tuple(
        make_item(
            key,
            "bid",
            bytes(16),
            sequence=1,
            expires=after(NOW, DAY),
            body=encode(
                BidBody(
                    "limit", Quality(key.node_id, KIND), Want(KIND, other.node_id, (), ()), (2, 1), Quantity(100), None
                )
            ),
        )
        for key, other in zip(keys, reversed(keys), strict=True)
    )
    arcs = tuple(
        DraftArc(BidId(bid_id_of(bid)), key.node_id, Quality(key.node_id, KIND), Quantity(50 + i))
        for i, (key, bid) in enumerate(zip(keys, bids, strict=True))
    )
    draft = make_draft(keys[0], Draft(arcs, bids, SwapTimes().pace, bytes(32), NOW))
    mines = [
        make_approve(
            key,
            draft,
            i,
            nonce=bytes([i]) * 32,
            to_key=SigningKey(bytes([10 + i]) * 32).public,
            refund_key=SigningKey(bytes([20 + i]) * 32).public,
            issuer=key.public,
            terms_hash=sha256(b"terms"),
        )
        for i, key in enumerate(keys)
    ]
    gathering = Gathering(draft, mines[0], tuple(m.approval for m in mines))
    agreed = make_agreed(keys[0], gathering, NOW)
    agreement, deal = agreement_of(agreed), Deal(agreed, mines[0])
    asked = make_question(keys[0], open_draft(draft), Span(DAY))
    question = Question(asked, 1, Quantity(40), (None, None), None)
    notice = Notice((keys[1].node_id,), NOW, Reason.POLICY, "no")
    return {
        "draft": draft,
        "approve": mines[1].approval,
        "refuse": seal_message(keys[1], Refuse(agreement.draft_id, 1, Reason.POLICY, Quantity(7), "no")),
        "agreed": agreed,
        "cancel": seal_message(keys[0], Cancel(agreement.draft_id, Reason.POLICY, "no")),
        "vote": seal_message(keys[1], Vote(agreement.agreement_id, 1, mines[1].secret)),
        "question": asked,
        "consent": make_consent(keys[1], question),
        "question kept": question,
        "ack": Ack(known=True),
        "terms of arc 0": agreement.terms[0],
        "terms of arc 1": agreement.terms[1],
        "state approved": Approved(draft, mines[1]),
        "state gathering": gathering,
        "state locking": Locking(Deal(agreed, mines[1]), (None, None)),
        "state collecting": Collecting(deal, (None, None), (mines[0].secret, None)),
        "state voted": Voted(Deal(agreed, mines[1]), None),
        "state committing": Committing(deal, (mines[0].secret, mines[1].secret)),
        "state ended": Ended(agreement.draft_id, mines[0], "refused", keys[1].node_id, notice),
    }


@pytest.mark.parametrize("name", list(examples()))
def test_bytes_are_what_they_were(name: str) -> None:
    value = examples()[name]
    golden = bytes.fromhex(json.loads(VECTORS.read_text())[name])
    assert encode(value).hex() == golden.hex()
    assert decode(golden, type(value), size_max=10**5) == value


def test_ids_are_hashes_of_the_signed_bytes() -> None:
    golden, made = json.loads(VECTORS.read_text()), examples()
    draft, agreed = made["draft"], made["agreed"]
    assert isinstance(draft, Signed)
    assert isinstance(agreed, Signed)
    assert draft_id_of(draft).hex() == golden["draft_id"]
    assert agreement_id_of(agreed).hex() == golden["agreement_id"]


def test_a_consent_is_read_back_as_it_was_given() -> None:
    made = examples()
    consent, question = made["consent"], made["question kept"]
    assert isinstance(consent, Signed)
    assert isinstance(question, Question)
    assert open_consent(consent) == Consent(draft_id_of(question.signed), 1, Quantity(40))
    assert open_question(question.signed).pace.approve == DAY


@pytest.mark.parametrize("name", ["draft", "vote"])
def test_no_message_passes_under_another_name_or_with_one_bit_changed(name: str) -> None:
    signed = examples()[name]
    assert isinstance(signed, Signed)
    with pytest.raises(Malformed):
        (open_vote if name == "draft" else open_draft)(signed)
    for at in (0, len(signed.body) // 2, len(signed.body) - 1):
        body = signed.body[:at] + bytes([signed.body[at] ^ 1]) + signed.body[at + 1 :]
        with pytest.raises(Malformed):
            (open_draft if name == "draft" else open_vote)(Signed(body, signed.key, signed.signature))
