"""At stake: the count of live markets with several kinds: notes of each must be kept apart, and really trade."""

from functools import cache

import pytest

from nanobarter.cli.main import main
from nanobarter.core.quality import Quality
from nanobarter.core.units import LEASE_KINDS_DEFAULT
from nanobarter.sim.economy.figures import figures
from nanobarter.sim.economy.kinds import DAYS, HAND, KIND, kinds_for
from nanobarter.sim.economy.world import CAPACITY, Job, Run, simulate

NODES = 12


@cache
def ran(kinds: int) -> Run:
    return simulate(Job("audits", 1, NODES, 38, (), kinds=kinds))


def test_every_promise_of_every_kind_has_its_owner() -> None:
    run = ran(3)
    for issuer, person in run.people.items():
        first = [p for p in run.people.values() if p.kind == person.kind]
        hand = sum(q for p in run.people.values() for _, q in p.further.hand.get(Quality(issuer, person.kind), ()))
        assert person.owed == hand + sum(p.in_notes(issuer) + p.in_leases(issuer) for p in first)
        assert 0 <= person.owed <= person.capacity == CAPACITY - 2 * HAND
        for kind in person.further.kinds:
            others = [p for p in run.people.values() if p.kind == kind]
            out = sum(p.in_notes(issuer) + p.in_leases(issuer) for p in others)
            out += sum(q for p in run.people.values() for _, q in p.further.hand.get(Quality(issuer, kind), ()))
            assert person.further.out.get(kind, 0) == out <= HAND


def test_each_node_has_its_first_kind_and_all_kinds_are_exchanged_for_each_other() -> None:
    assert set(DAYS) <= set(LEASE_KINDS_DEFAULT)
    assert [kinds_for(number, 3)[0] for number in range(6)] == [*DAYS] * 2
    assert kinds_for(5, 1) == (KIND,)
    assert {trade.kinds for trade in ran(3).trades} == {(gave, got) for gave in DAYS for got in DAYS}
    assert all(len(trade.market) == 2 for trade in ran(3).trades)
    assert {trade.kinds for trade in ran(1).trades} == {(KIND, KIND)}


def test_there_are_as_many_markets_as_pairs_of_notes() -> None:
    assert [figures(ran(kinds))["markets_possible"] for kinds in (1, 3)] == [12 * 11 // 2, 36 * 35 // 2]
    assert 0 < figures(ran(3))["markets_ever"] <= 36 * 35 // 2


def test_no_more_kinds_are_asked_for_than_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "market", "--nodes", "4", "--days", "1", "--kinds", "4"]) == 2
    assert "--kinds" in capsys.readouterr().err
