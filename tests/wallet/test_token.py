"""A line of notes is money in transit: a slip must be noticed, and nothing but a note may pass for one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import KeysetId, NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import Quantity
from nanobarter.mint.messages import Note
from nanobarter.wallet.token import NoteToken, parse_token, show_token

VECTORS = Path(__file__).parents[1] / "vectors" / "wallet-token.json"


def token_of(*quantities: int) -> NoteToken:
    keys = [SigningKey(bytes([i]) * 32) for i in range(1, len(quantities) + 1)]
    notes = tuple(
        Note(KeysetId(b"k" * 16), Quantity(q), key.public, b"s" * 256) for q, key in zip(quantities, keys, strict=True)
    )
    return NoteToken(NodeId(b"i" * 32), notes, tuple(key.secret for key in keys))


def test_a_line_written_long_ago_is_still_read() -> None:
    case = json.loads(VECTORS.read_text())
    assert show_token(token_of(1, 8, 4096)) == case["text"]
    assert parse_token(case["text"]).quantity == 4105


def test_a_line_broken_by_a_mail_program_is_whole_again() -> None:
    text = show_token(token_of(2, 4))
    assert parse_token(f"  {text[:76]}\r\n{text[76:]}\n") == token_of(2, 4)


@given(st.data())
def test_a_wrong_or_missing_letter_is_noticed(data: st.DataObject) -> None:
    text = show_token(token_of(1, 2))
    place = data.draw(st.integers(4, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_+"))
    damaged = text[:place] + letter * data.draw(st.integers(0, 1)) + text[place + 1 :]
    if damaged[4:].rstrip("=") == text[4:] or place == len(text) - 1:
        return  # nothing changed, or only the last letter, which has bits to spare
    with pytest.raises(UsageError) as noticed:
        parse_token(damaged)
    assert text not in str(noticed.value)


@given(st.text(max_size=60))
def test_other_text_is_no_note(text: str) -> None:
    for candidate in (text, "nbn1" + text):
        with pytest.raises(UsageError, match="note"):
            parse_token(candidate)


def test_secrets_of_other_keys_are_refused() -> None:
    good = token_of(1, 2)
    with pytest.raises(UsageError, match="do not fit"):
        parse_token(show_token(NoteToken(good.issuer, good.notes, good.secrets[::-1])))
