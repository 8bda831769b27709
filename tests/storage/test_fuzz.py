"""Peers and disks give back any bytes: a reader that raises anything but Malformed ends a restore, or the daemon."""

from tests.storage import fuzz


def test_mutated_formats_are_a_value_or_malformed() -> None:
    told = fuzz.campaign("ci", 0, 4000, lambda _: None)
    assert told.faults == []


def test_each_format_is_good_before_it_is_mutated() -> None:
    for sample in fuzz.samples():
        data = sample.data if sample.resign is None else sample.resign(sample.data)
        assert fuzz.outcome(sample.read, data) is not None, sample.name
