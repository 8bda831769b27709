"""Strangers send bytes: a reader that raises anything but Malformed hands them the daemon's end."""

from collections.abc import Callable

import pytest

from nanobarter.core.errors import Malformed
from tests.mint import fuzz


def test_mutated_messages_are_a_value_or_malformed() -> None:
    told = fuzz.campaign("ci", 0, 5000, lambda _: None)
    assert told.faults == []
    assert told.framed > 25
    assert all(0 < told.values[sample.name] < told.messages / len(fuzz.samples()) for sample in fuzz.samples())


def test_each_message_is_good_before_it_is_mutated() -> None:
    for sample in fuzz.samples():
        data = sample.data if sample.resign is None else sample.resign(sample.data)
        assert fuzz.outcome(sample.read, data) is not None, sample.name


@pytest.mark.parametrize("error", [ValueError, KeyError, RecursionError])
def test_the_campaign_tells_another_error_from_malformed(
    error: Callable[[str], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(data: bytes) -> object:
        raise error("x") if len(data) % 2 else Malformed("y")

    monkeypatch.setattr(fuzz, "samples", lambda: (fuzz.Sample("bad", b"abc", read),))
    assert fuzz.campaign("ci", 0, 50, lambda _: None).faults != []
