"""A crash or a lost message at the one wrong moment robs somebody; so no moment of a small ring may be left out."""

from itertools import islice

from nanobarter.core.units import MINUTE
from nanobarter.sim.memo import remembered_signatures
from tests.swap.exhaustive import Case, cases, play


def failures(chosen: list[Case]) -> list[tuple[Case, object]]:
    with remembered_signatures():
        played = [(case, play(case)[0]) for case in chosen]
    return [(case, verdict) for case, verdict in played if verdict.failed]


def test_no_crash_of_a_ring_of_two_robs_anybody_even_if_it_outlasts_the_deadlines() -> None:
    # Among these is the issuer that opens the proposer's arc and goes down before it tells anybody.
    chosen = [case for case in cases(2) if case.down == 12 * MINUTE]
    assert len(chosen) > 100
    assert failures(chosen[: len(chosen) // 2]) == []


def test_no_lost_message_stops_a_ring_of_two() -> None:
    chosen = [case for case in cases(2) if case.lose]
    with remembered_signatures():
        assert all(play(case)[0].completed for case in chosen)


def test_a_slice_of_what_can_happen_to_a_ring_of_three_robs_nobody() -> None:
    assert failures(list(islice(cases(3), 0, None, 29))) == []
