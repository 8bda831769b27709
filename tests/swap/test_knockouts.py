"""A rule that nobody misses is not tested: each forced schedule robs someone without its rule, and never with it."""

import pytest

from nanobarter.sim.memo import remembered_signatures
from tests.swap.forced import SCHEDULES, schedule
from tests.swap.knockouts import KNOCK_OUTS
from tests.swap.plots import PLOTS

RUNS = 6  # but for plots, which leave little to luck: see ``test_broken``


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in PLOTS])
def test_with_all_rules_in_place_a_forced_schedule_robs_nobody(name: str) -> None:
    with remembered_signatures():
        tally = schedule(name, RUNS, seed=1)
    assert (tally.runs, tally.failures) == (RUNS, [])


@pytest.mark.parametrize(
    ("rule", "name"), [("forget-refused", "late open"), ("forget-as-party", "late open, own"), ("own-first", "cut off")]
)
def test_without_its_rule_a_forced_schedule_ruins_the_proposer_every_time(rule: str, name: str) -> None:
    with remembered_signatures(), KNOCK_OUTS[rule].out():
        verdicts = [SCHEDULES[name](seed).verdict for seed in range(1, 1 + RUNS)]
    assert all("party 0" in verdict.honest_losses for verdict in verdicts), verdicts


def test_who_votes_before_that_is_on_disk_is_robbed_by_a_crash() -> None:
    with remembered_signatures(), KNOCK_OUTS["record"].out():
        tally = schedule("torn vote", RUNS, seed=1)
    came_to_the_vote = RUNS - tally.outcomes["aborted"]  # the others lack a lock at T_vote, and harm nobody
    assert tally.honest_losses == came_to_the_vote > RUNS // 2, tally
