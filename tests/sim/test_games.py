"""At stake: what those who play for space are said to gain: it must be counted right, and they must really play."""

import json
from dataclasses import replace
from functools import cache

import pytest

from nanobarter.cli.main import main
from nanobarter.sim.economy.games import GAME_DAY, NAMES, Game, enlist, said
from nanobarter.sim.economy.measures import prices
from nanobarter.sim.economy.nature import Nature, name_of
from nanobarter.sim.economy.world import CAPACITY, Run, simulate


@cache
def ran(*games: Game) -> Run:
    return simulate("audits", nodes=14, days=GAME_DAY + 12, seed=1, shocks=games)


def test_a_disk_keeps_no_more_than_it_holds_and_what_came_first_stays() -> None:
    run = ran("disk")
    names = {n.number: n for n in run.nature.values() if n.disk == 0}
    assert len(names) == NAMES
    kept = run.games.kept[0]
    assert kept
    assert sum(kept.values()) <= CAPACITY
    smaller = replace(run.games, capacity=int(max(kept.values())))
    found = smaller.keeps(run.people, GAME_DAY + 12)
    left = smaller.kept[0]
    assert 0 < sum(left.values()) <= smaller.capacity
    assert set(left) <= set(kept)
    for row, column in kept:
        assert found[row, column] == ((row, column) in left)


def test_who_passes_on_has_what_it_took_at_others_and_asks_for_as_much_again() -> None:
    run = ran("through")
    (player,) = (p for p in run.people.values() if p.nature.cheat == "passes on")
    lent = sum(p.in_leases(player.me) for p in run.people.values() if p.nature.alive(GAME_DAY + 12))
    here = [n for n in player.leases if run.nature[n].alive(GAME_DAY + 12)]
    has = sum(player.in_leases(issuer) for issuer in here)
    found = run.games.keeps(run.people, GAME_DAY + 12)
    assert lent
    assert player.folder_bytes > run.games.own_bytes
    assert found[0, player.nature.number] == pytest.approx(min(1.0, has / lent))
    assert player.nature.keeps < found[0, player.nature.number], "its sources are not always on, nor is it"


def test_barter_with_oneself_is_told_in_public_and_never_done_with_others() -> None:
    run = ran("wash")
    praising, praised = {t.who for t in run.games.washed}, {t.got for t in run.games.washed}
    assert len(praising) == len(praised) == 1
    assert not praising & praised
    pairs = {(t.who, t.got) for t in run.games.washed}
    assert {t.day for t in run.games.washed} == set(range(GAME_DAY, GAME_DAY + 12))
    assert not [t for t in run.trades if t.day >= GAME_DAY and (t.who, t.got) in pairs]


def test_who_counts_the_barter_of_others_sees_the_praised_dearer() -> None:
    run = ran("wash")
    moved = said(run.games, [t for t in run.trades if t.day >= GAME_DAY], prices)
    assert moved["moved"] > 0
    assert said(ran("disk").games, run.trades, prices) == {}


def test_all_that_is_kept_for_some_is_had_by_others() -> None:
    space = ran("disk", "through").games.space()
    assert {"honest", "one disk", "passes on"} <= set(space)
    assert all(0 <= row["keeps"] <= row["lends"] + 1e-9 for row in space.values())
    sums = ran().games.space()
    assert abs(sum(row["has"] - row["keeps"] for row in sums.values())) < sum(row["has"] for row in sums.values())


def test_nobody_plays_two_games() -> None:
    nodes = enlist([Nature(name_of(1, n), n, 0.99) for n in range(40)], ("through", "wash", "disk"), 1)
    counts = {sort: sum(n.cheat == sort for n in nodes) for sort in {n.cheat for n in nodes}}
    assert counts == {"": 36, "passes on": 2, "barters with itself": 2, "one disk": 2 * NAMES}


def test_the_command_lets_them_play(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sim", "market", "--nodes", "8", "--days", str(GAME_DAY + 2), "--shock", "disk"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"has", "lends", "keeps", "gain"} == set(told["runs"][0]["space"]["honest"])
    assert main(words) == 0
    assert "for each GB lent honestly" in capsys.readouterr().out
