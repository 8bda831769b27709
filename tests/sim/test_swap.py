"""If the world that shall prove the swap safe cannot be repeated, or misses what it looks for, it proves nothing."""

import json

import pytest

from nanobarter.cli.main import main
from nanobarter.sim.campaigns import run
from nanobarter.sim.memo import remembered_signatures
from nanobarter.sim.tally import campaign


def test_every_ring_of_honest_nodes_completes_however_many_messages_are_lost() -> None:
    tally = campaign("honest", parties=(2, 8), runs=14, seed=1)
    assert (tally.completed, tally.failures) == (14, [])


def test_most_rings_complete_though_everybody_crashes_and_the_others_end_clean() -> None:
    tally = campaign("crashes", parties=(2, 6), runs=24, seed=1)
    assert (tally.honest_losses, tally.failures) == (0, [])
    assert tally.completed >= 18, tally.outcomes


@pytest.mark.parametrize(
    ("name", "runs"), [("byzantine", 30), ("issuers", 20), ("sleepers", 10), ("restored", 20), ("twice", 15)]
)
def test_no_honest_party_is_robbed_and_no_honest_node_is_convicted(name: str, runs: int) -> None:
    tally = campaign(name, parties=(2, 8), runs=runs, seed=1)
    assert (tally.honest_losses, tally.convicted_honest, tally.failures) == (0, 0, [])


def test_whoever_is_owed_by_a_deaf_issuer_gets_its_own_arc_back_and_does_not_wait_for_it_to_lapse() -> None:
    with remembered_signatures():
        verdict = run("issuers", 20446, (2, 8)).verdict
    assert (verdict.failed, verdict.stuck) == (False, [])


@pytest.mark.parametrize("seed", [17, 211, 248])
def test_who_is_paid_by_an_issuer_that_was_put_back_and_forgot_shows_it_what_it_signed(seed: int) -> None:
    with remembered_signatures():
        verdict = run("restored", seed, (2, 8)).verdict
    assert (verdict.failed, verdict.restored_losses, verdict.own_losses) == (False, [], [])


def test_a_run_is_the_same_whenever_it_is_told_again() -> None:
    with remembered_signatures():
        assert run("crashes", 5, (2, 8), trace=True) == run("crashes", 5, (2, 8), trace=True)
        assert run("crashes", 5, (2, 8)).verdict == run("crashes", 5, (2, 8), trace=True).verdict


def test_the_command_ends_with_one_object_that_a_script_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "swap", "--runs", "2", "--seed", "7", "--parties", "2..3", "--json"]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out.splitlines()[-1])
    assert answer["runs"] == answer["completed"] == 2
    assert (answer["honest_losses"], answer["failures"]) == (0, [])
    assert "{" not in err


def test_a_run_is_told_step_by_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "swap", "--replay", "7", "--parties", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("Voted" in line for line in lines)
    assert json.loads(lines[-1])["seed"] == 7


@pytest.mark.parametrize("parties", ["1", "9", "3..2", "many"])
def test_a_ring_of_a_size_that_cannot_be_is_refused(parties: str) -> None:
    assert main(["sim", "swap", "--parties", parties]) == 2
