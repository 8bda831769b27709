"""Signatures cover these bytes, so they never change by accident; strangers send them, so any may come."""

import json
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import RequestId, sha256
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.mint.answer_messages import ANSWER_BYTES_MAX, DOMAIN_LOCKED, open_answer
from nanobarter.mint.messages import NOTES_MAX, REQUEST_BYTES_MAX, Body, Note, Request, StateBody
from tests.mint.golden import FILE, NOW, golden
from tests.mint.purse import NODE, key_of

STORED: dict[str, str] = json.loads(FILE.read_text())


def test_the_bytes_are_those_of_the_release() -> None:
    assert golden() == STORED


@pytest.mark.parametrize("name", [n for n in STORED if n.startswith("request ")])
def test_a_stored_request_still_reads(name: str) -> None:
    raw = bytes.fromhex(STORED[name])
    request = decode(raw, Request, size_max=REQUEST_BYTES_MAX)
    body = decode(request.body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
    assert encode(body) == request.body


@pytest.mark.parametrize("name", [n for n in STORED if n.startswith("answer ")])
def test_a_stored_answer_still_reads_and_binds_mint_and_request(name: str) -> None:
    raw = bytes.fromhex(STORED[name])
    request = RequestId(bytes(32) if name == "answer lockstate" else sha256(b"request"))
    signed, answer = open_answer(raw, NODE.node_id, request)
    assert encode(signed) == raw
    assert answer.request == request
    with pytest.raises(Malformed):
        open_answer(raw, key_of("other").node_id, request)
    with pytest.raises(Malformed):
        open_answer(raw, NODE.node_id, RequestId(sha256(b"other")))
    with pytest.raises(Malformed):
        open_answer(encode(seal_signed(NODE, DOMAIN_LOCKED, answer)), NODE.node_id, request)


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(STORED)),
    place=st.integers(0, 2**16),
    change=st.binary(max_size=4),
    cut=st.integers(0, 4),
)
def test_a_mutated_message_is_a_value_or_malformed(name: str, place: int, change: bytes, cut: int) -> None:
    raw = bytes.fromhex(STORED[name])
    at = place % len(raw)
    mutated = raw[:at] + change + raw[at + cut :]
    for kind in (Request, Signed, Note, cast("type[Body]", Body)):
        try:
            value = decode(mutated, kind, size_max=ANSWER_BYTES_MAX)
        except Malformed:
            continue
        assert encode(value) == mutated
        if isinstance(value, Request):
            try:
                decode(value.body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
            except Malformed:
                continue


def test_more_than_the_bound_is_malformed() -> None:
    body = StateBody(NODE.node_id, NOW, tuple([key_of("n").public] * (NOTES_MAX + 1)), ())  # pyright: ignore[reportArgumentType]
    with pytest.raises(Malformed):
        decode(encode(body), cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)


def test_a_note_is_small_enough_for_one_line() -> None:
    assert len(bytes.fromhex(STORED["note"])) <= 320
