"""A swap that takes more round trips the more take part in it is no better than a chain of hash locks."""

import pytest

from tests.sim.rounds import rounds


@pytest.mark.parametrize("size", range(2, 9))
def test_notes_have_moved_four_round_trips_after_the_proposal_however_many_take_part(size: int) -> None:
    assert rounds(size, third=False, looks=False).opened <= 4
    assert rounds(size, third=True, looks=False).opened == 4
    # Before it approves a party asks both issuers whether they are there: one more.
    assert rounds(size, third=True, looks=True).opened == 5
