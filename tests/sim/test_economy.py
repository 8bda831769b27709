"""At stake: the claim that a market prices what nobody is told; and that the model keeps the law of space."""

import json
from pathlib import Path

import pytest

from nanobarter.cli.main import main
from nanobarter.sim.economy.figures import figures
from nanobarter.sim.economy.regimes import Regime
from nanobarter.sim.economy.several import runs_of
from nanobarter.sim.economy.world import Job, Run, simulate


def ran(regime: Regime, nodes: int = 14, days: int = 40, seed: int = 1) -> Run:
    return simulate(Job(regime, seed, nodes, days))


@pytest.mark.parametrize("regime", ["bots", "audits"])
def test_no_space_is_promised_twice_and_every_promise_has_its_owner(regime: Regime) -> None:
    run = ran(regime)
    for issuer, person in run.people.items():
        out = sum(other.in_notes(issuer) + other.in_leases(issuer) for other in run.people.values())
        assert person.owed == out
        assert 0 <= out <= person.capacity
        assert person.in_notes(issuer) == 0
        assert all(quantity > 0 for lots in person.notes.values() for _, quantity in lots)
    assert run.trades
    assert all(trade.given > 0 < trade.gotten for trade in run.trades)


def test_dealers_stay_within_their_limits() -> None:
    run = ran("audits", nodes=20, days=34)
    dealers = [person for person in run.people.values() if person.manner.deals]
    assert dealers
    for person in dealers:
        assert person.lost <= person.limits().loss


def test_the_same_seed_is_the_same_world() -> None:
    assert figures(ran("bots", 10, 15)) == figures(ran("bots", 10, 15))
    assert ran("bots", 10, 15).trades != ran("bots", 10, 15, seed=2).trades


def test_runs_side_by_side_are_the_runs_one_by_one() -> None:
    jobs = [Job("audits", seed, 6, 4, (), 3) for seed in (1, 2)]
    both = runs_of(jobs, print)
    assert [figures(run) for run in both] == [figures(runs_of([job], print)[0]) for job in jobs]


def test_the_command_tells_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sim", "market", "--nodes", "10", "--days", "12", "--regime", "audits", "--charts", str(tmp_path / "c")]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["type"], len(told["runs"]), len(told["runs"][0]["days"])) == ("sim_market", 1, 12)
    assert set(told["runs"][0]["met"]) == set(told["targets"])
    assert sorted(path.suffix for path in (tmp_path / "c").iterdir()) == [".svg"] * 3
    assert main([*words[:6], "--shock", "none"]) == 0
    assert "bad notes held" in capsys.readouterr().out
    assert main(["sim", "market", "--nodes", "1"]) == 2
