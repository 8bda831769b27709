"""At stake: without a central matcher nothing is traded twice or beyond a limit, and hardly anything is left."""

import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from nanobarter.core.ids import BidId
from nanobarter.matching.wire import BidBody, bid_id_for
from nanobarter.sim.bazaar import Counts
from nanobarter.sim.efficiency import PACE, Scenario, decentrally, measured, posted_at
from nanobarter.sim.efficiency_bids import Market, keys_of, needs_of


def ran(nodes: int, seed: str, market: Market, scenario: Scenario) -> tuple[dict[BidId, BidBody], Counts]:
    keys = keys_of(nodes, seed)
    needs = needs_of(keys, seed, market)
    counts = decentrally(keys, needs, posted_at(needs, scenario, seed), seed, PACE)
    return {bid_id_for(keys[need.node].node_id, need.key): need.body for need in needs}, counts


@pytest.mark.parametrize("market", ["mixed", "traded"])
def test_no_bid_gives_more_than_it_has_or_beyond_its_limit(market: Market) -> None:
    bids, counts = ran(16, "laws", market, "at_once")
    given = Counter[BidId]()
    for arcs in counts.rings:
        assert len({arc.giver for arc in arcs}) == len(arcs)
        for before, arc in zip((arcs[-1], *arcs[:-1]), arcs, strict=True):
            bid = bids[arc.bid]
            given[arc.bid] += arc.quantity
            assert arc.quality == bid.gives
            assert before.quality.issuer not in bid.wants.refused
            assert bid.wants.issuer in (None, before.quality.issuer)
            bound = bid.omega if bid.type == "limit" else bid.floor
            assert bound is not None
            assert Fraction(arc.quantity, before.quantity) <= Fraction(*bound)
    assert counts.rings
    assert all(given[bid] <= bids[bid].quantity for bid in given)
    assert counts.volume == given.total()


@pytest.mark.parametrize("scenario", ["at_once", "spread"])
def test_the_same_seed_gives_the_same_market(scenario: Scenario) -> None:
    assert ran(8, "again", "mixed", scenario)[1] == ran(8, "again", "mixed", scenario)[1]
    assert ran(8, "again", "mixed", scenario)[1] != ran(8, "other", "mixed", scenario)[1]


def test_many_clear_nearly_what_one_would() -> None:
    answer = measured([24], seed=1, runs=1, market="mixed", tell=lambda _: None)
    rows: list[dict[str, Any]] = answer["results"]
    assert [row["scenario"] for row in rows] == ["at_once", "spread"]
    assert all(row["volume_fraction"]["median"] > 0.75 for row in rows)
    assert all(row["drafts_per_agreement"] >= 1 for row in rows)


def test_the_command_ends_with_one_line_of_json() -> None:
    command = [sys.executable, "-m", "nanobarter.cli.main", "sim", "market-efficiency", "--nodes", "8", "--runs", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["results"][0]["nodes"] == 8
    assert "8 nodes at_once" in done.stderr
    wrong = subprocess.run([*command[:-4], "--nodes", "x"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
