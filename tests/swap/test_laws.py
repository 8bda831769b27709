"""A broken line that costs nobody anything today costs somebody everything when the line behind it breaks too."""

from collections.abc import Generator

import pytest

from nanobarter.sim.memo import remembered_signatures
from tests.swap.broken import BROKEN, UNSEEN
from tests.swap.knockouts import KNOCK_OUTS
from tests.swap.laws import Steps


@pytest.fixture(scope="module")
def steps() -> Generator[Steps]:
    with remembered_signatures():
        yield Steps()


def test_no_step_from_any_state_breaks_a_law(steps: Steps) -> None:
    assert set(steps.broken()) == set()


@pytest.mark.parametrize("name", UNSEEN)
def test_a_line_whose_absence_robs_nobody_is_missed_at_once(steps: Steps, name: str) -> None:
    out, law = UNSEEN[name]
    with out():
        assert law in steps.broken()


@pytest.mark.parametrize("name", [*BROKEN, "receipts", "t-vote", "own-first"])
def test_what_the_world_notices_a_law_forbids_too(steps: Steps, name: str) -> None:
    with KNOCK_OUTS[name].out():
        assert next(steps.broken(), None) is not None
