"""News that does not reach everybody makes another market at each node: no attack may keep it from the honest."""

from dataclasses import replace

import pytest

from nanobarter.cli.sim_args import SIM_ATTACKS
from nanobarter.sim.gossip_attacks import ATTACKS
from nanobarter.sim.gossiping import Plan, run

SMALL = Plan(nodes=40, degree=12, items=8)


@pytest.mark.parametrize("attack", [name for name in SIM_ATTACKS if name != "sybils"])
def test_everybody_honest_hears_within_a_minute(attack: str) -> None:
    row = ATTACKS[attack](SMALL, 3)
    assert row.get("missing_healed", 0) == 0
    if attack == "partition":
        assert row["missing"] == 20 * 8
        return
    assert row["reach"] == 1.0
    assert row.get("own_reach", 1.0) == 1.0
    assert row.get("came_back", 0) == 0
    assert row.get("slots_agreed") == row.get("slots")


def test_what_is_said_travels_fast_and_costs_little() -> None:
    calm, stormy = run(SMALL, 1), run(replace(SMALL, killed=0.3, silent=0.2, loss=0.05), 1)
    assert calm.p99_ms < 250
    assert calm.bytes_per_byte < 9  # the fewer nodes, the more flood publish weighs
    assert stormy.honest == 20
    assert stormy.p50_ms < 300


def test_the_same_number_gives_the_same_world() -> None:
    plan = replace(SMALL, nodes=30, loss=0.1, silent=0.1)
    assert run(plan, 5) == run(plan, 5) != run(plan, 6)


def test_every_attack_can_be_named() -> None:
    assert set(SIM_ATTACKS) == set(ATTACKS)
