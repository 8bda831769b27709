"""At stake: whatever a person types is asked for, or told to be wrong; never a bug."""

from urllib.parse import parse_qsl, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from nanobarter.cli.client import target_of


@example("é")
@example("a&node=b #%")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_query_is_asked_as_it_was_typed(typed: str) -> None:
    target = target_of("/v1/peers/reliability", {"node": typed})
    assert target.isascii()
    assert " " not in target
    assert parse_qsl(urlsplit(target).query, keep_blank_values=True) == [("node", typed)]


def test_bytes_that_are_no_text_are_asked_too() -> None:
    assert target_of("/v1/report", {"month": "\udce9"}) == "/v1/report?month=%E9"
    assert target_of("/v1/peers", {}) == "/v1/peers"
