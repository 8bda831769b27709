"""A mistyped id, word or size must be caught where it is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core import bech32m
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId, parse_node, show_node
from nanobarter.core.phrase import make_phrase, seed_of
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import parse_size, parse_span


@given(st.binary(min_size=32, max_size=32))
def test_an_id_survives_its_text(data: bytes) -> None:
    assert parse_node(show_node(NodeId(data))) == data


@given(st.binary(min_size=32, max_size=32), st.integers(4, 60), st.sampled_from("qpzry9x8"))
def test_one_wrong_letter_is_found(data: bytes, place: int, letter: str) -> None:
    text = show_node(NodeId(data))
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong != text:
        with pytest.raises(UsageError):
            parse_node(wrong)


def test_bech32m_matches_the_examples_of_bip_350() -> None:
    assert bech32m.encode("a", b"") == "a1lqfn3a"
    assert bech32m.decode("a", "A1LQFN3A") == b""
    with pytest.raises(ValueError, match="checksum"):
        bech32m.decode("a", "a1lqfn3q")


def test_a_wrong_phrase_says_which_word() -> None:
    phrase = make_phrase(SeededEntropy(1, "phrase"))
    assert len(seed_of("  " + phrase.upper().replace(" ", "\n"))) == 64
    words = phrase.split()
    with pytest.raises(UsageError, match="word 2, 'zebr', is not in the word list"):
        seed_of(" ".join([words[0], "zebr", *words[2:]]))
    with pytest.raises(UsageError, match="23 words instead of 24"):
        seed_of(" ".join(words[1:]))
    with pytest.raises(UsageError, match="do not fit together"):
        seed_of(" ".join([words[1], words[0], *words[2:]]))


def test_sizes_and_spans_are_read_as_people_write_them() -> None:
    assert [parse_size(t) for t in ("5GB", "512 MiB", "0.5 kB", "7")] == [5 * 10**9, 2**29, 500, 7]
    assert [parse_span(t) for t in ("90s", "15min", "0.5h", "30d")] == [90_000, 900_000, 1_800_000, 2_592_000_000]
    for bad in ("", "5 XB", "-1GB", "1e9"):
        with pytest.raises(ValueError, match="is not a size"):
            parse_size(bad)
    for many in ("99007199254740993TB", "9" * 400 + "d", "9" * 400):
        with pytest.raises(ValueError, match=r"is more than there is|is not a size"):
            parse_size(many)
        with pytest.raises(ValueError, match=r"is longer than anybody waits|is not a span"):
            parse_span(many.replace("TB", "d"))
