"""At stake: tests that let weeks go by in minutes; a product whose days are not days loses leases."""

import os
import subprocess
import sys

ASK = (
    "from nanobarter.core.units import DAY, HOUR, LeaseKind, parse_span, term;"
    "print(DAY, HOUR, term(LeaseKind('7d')), parse_span('2d'))"
)


def told(**environment: str) -> list[int]:
    clean = {key: value for key, value in os.environ.items() if key != "NANOBARTER_TEST_DAY_SECONDS"}
    done = subprocess.run([sys.executable, "-c", ASK], env=clean | environment, capture_output=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_a_day_is_a_day_unless_a_test_makes_it_shorter() -> None:
    assert told() == [86_400_000, 3_600_000, 7 * 86_400_000, 2 * 86_400_000]
    assert told(NANOBARTER_TEST_DAY_SECONDS="24") == [24_000, 3_600_000, 168_000, 48_000]
