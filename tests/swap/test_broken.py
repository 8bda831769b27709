"""One broken line of ``step`` that nobody misses would rob an honest party some day: each must show as a loss."""

import pytest

from nanobarter.sim.check import judge
from nanobarter.sim.memo import remembered_signatures
from tests.swap.broken import BROKEN
from tests.swap.forced import SCHEDULES
from tests.swap.plots import PLOTS

RUNS = 2
WORTH_THE_SAME = {"refund_key"}  # of no use to whom the arc pays: only the checker minds


@pytest.mark.parametrize("name", PLOTS)
def test_with_all_rules_in_place_a_plot_of_all_others_robs_nobody(name: str) -> None:
    with remembered_signatures():
        for seed in range(1, 1 + RUNS):
            verdict = SCHEDULES[name](seed).verdict
            assert not verdict.failed, verdict
            assert verdict.outcome == ("settled" if name == "issuer away" else "aborted")


@pytest.mark.parametrize("name", [n for n in BROKEN if BROKEN[n].campaigns[0] in PLOTS])
def test_without_one_check_the_plot_robs_its_victim(name: str) -> None:
    plot = PLOTS[BROKEN[name].campaigns[0]]
    with remembered_signatures(), BROKEN[name].out():
        for seed in range(1, 1 + RUNS):
            world = plot(seed)
            world.propose()
            world.run()
            verdict, robbed = judge(world), world.robbed
            world.close()
            assert {loss.split(":")[0] for loss in verdict.honest_losses} == {world.victim.name}, verdict
            assert robbed != (name.removeprefix("field-") in WORTH_THE_SAME)


@pytest.mark.parametrize(("name", "loser"), [("voter-stays", -1), ("voter-waits", -1), ("own-last", 0), ("restart", 0)])
def test_without_one_rule_an_honest_ring_robs_its_first_or_last_party(name: str, loser: int) -> None:
    (schedule,) = BROKEN[name].campaigns
    with remembered_signatures(), BROKEN[name].out():
        runs = [SCHEDULES[schedule](seed) for seed in range(1, 1 + RUNS)]
    assert all(f"party {loser % run.size}" in run.verdict.honest_losses for run in runs), runs


def test_a_vote_that_is_counted_after_its_time_robs_nobody() -> None:
    """So the world cannot notice that this rule is broken; ``test_laws`` does."""
    with remembered_signatures(), BROKEN["late-vote"].out():
        run = SCHEDULES["late vote"](1)
    assert (run.verdict.outcome, run.verdict.failed) == ("settled", False)
