"""At stake: what those who play for space are said to gain: it must be counted right, and they must really play."""

import json
from dataclasses import replace
from functools import cache

import pytest

from nanobarter.cli.main import main
from nanobarter.sim.economy.games import WASHED, said
from nanobarter.sim.economy.measures import prices
from nanobarter.sim.economy.nature import Nature, name_of
from nanobarter.sim.economy.players import FACE_DAYS, FAIR, GAME_DAY, GAMES, LINE, NAMES, PASSES, STAYS, Game, enlist
from nanobarter.sim.economy.world import CAPACITY, Job, Run, simulate


@cache
def ran(*games: Game) -> Run:
    return simulate(Job("audits", 1, 14, GAME_DAY + 12, games))


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


def test_what_was_dropped_does_not_come_back_with_room_and_is_forgotten_with_its_lease() -> None:
    run = ran("disk")
    name = next(n for n in run.nature.values() if n.disk == 0)
    holders = [p for p in run.people.values() if p.in_leases(name.node)]
    assert holders

    def found(capacity: int) -> list[float]:
        found = replace(run.games, kept={}, dropped=dropped, capacity=capacity).keeps(run.people, GAME_DAY + 12)
        return [float(found[p.nature.number, name.number]) for p in holders]

    roomy, dropped = 100 * CAPACITY, dict[int, set[tuple[int, int]]]()
    assert found(roomy) == [1.0] * len(holders)
    assert found(0) == [0.0] * len(holders)
    assert found(roomy) == [0.0] * len(holders), "there is room again, and the data is gone"
    leases = {p.me: p.leases.pop(name.node) for p in holders}
    found(roomy)
    for p in holders:
        p.leases[name.node] = leases[p.me]
    assert found(roomy) == [1.0] * len(holders)


def test_names_on_one_line_are_asked_as_one() -> None:
    run = ran("line")
    names = {node for node, nature in run.nature.items() if nature.cheat == LINE}
    assert len(names) == NAMES
    assert len({run.place_of(node) for node in names}) == 1
    assert len({run.place_of(node) for node in run.people}) == len(run.people) - NAMES + 1
    per_person = [len(names & person.leases.keys()) for person in run.people.values()]
    assert max(per_person) <= 1 < NAMES
    assert sum(per_person)


def test_who_passes_on_has_what_it_took_at_others_and_asks_for_as_much_again() -> None:
    run = ran("through")
    (player,) = (p for p in run.people.values() if p.nature.cheat == PASSES)
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
    done = [t for t in run.trades if t.day >= GAME_DAY and (t.who, t.got) in pairs and t.gave == t.who]
    assert not [t for t in done if t.given >= WASHED * t.gotten], "what they want of each other they get at its price"


def test_who_counts_the_barter_of_others_sees_the_praised_dearer() -> None:
    run = ran("wash")
    moved = said(run.games, [t for t in run.trades if t.day >= GAME_DAY], prices)
    assert moved["moved"] > 0
    assert said(ran("disk").games, run.trades, prices) == {}


def test_all_that_is_kept_for_some_is_had_by_others() -> None:
    space = ran("disk", "through").games.space()
    assert {"honest", FAIR, "one disk", PASSES} <= set(space)
    for row in space.values():
        has, lends, keeps, safe = (row[name] or 0.0 for name in ("has", "lends", "keeps", "safe"))
        assert 0 <= keeps <= lends + 1e-9
        assert has >= 0
        assert 0 <= safe <= 1
    sums = [(row["has"] or 0.0, row["keeps"] or 0.0, row["names"] or 0.0) for row in ran().games.space().values()]
    assert abs(sum((has - keeps) * names for has, keeps, names in sums)) < sum(has * names for has, _, names in sums)


def test_a_backup_is_counted_only_while_enough_is_really_there() -> None:
    run = simulate(Job("audits", 1, 10, 4, ()))
    me = next(n for n in run.people.values() if n.leases)
    account = run.games.accounts[me.nature.number]
    before = account.safe
    run.games.keeps(run.people, 4)
    assert account.safe == before + 1
    for nature in run.games.natures:
        nature.keeps = 0.0
    run.games.keeps(run.people, 4)
    assert account.safe == before + 1


def test_nobody_plays_two_games_and_all_come_when_they_should() -> None:
    honest = [Nature(name_of(1, n), n, 0.99) for n in range(80)]
    nodes = enlist(list(honest), GAMES, 1, 180, GAME_DAY)
    players = nodes[80:]
    assert [n.number for n in nodes] == list(range(len(nodes)))
    assert len({n.node for n in nodes}) == len(nodes)
    assert all(n.plays and n.born >= GAME_DAY for n in players)
    counts = {sort: sum(n.cheat == sort for n in players) for sort in {n.cheat for n in players}}
    assert counts.pop("one disk") == counts.pop(LINE) == 2 * NAMES
    assert counts.pop("new faces") > 2
    assert set(counts.values()) == {2}
    assert all(n.dead_on == n.born + (FACE_DAYS if n.cheat == "new faces" else STAYS) for n in players if n.dead_on)
    assert {n.born for n in enlist(list(honest), ["drop", "disk"], 1, 180, 0)} == {0}
    assert enlist(list(honest), ["silent"], 1, 180, 0) == honest


def test_the_command_lets_them_play(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sim", "market", "--nodes", "8", "--days", "12", "--shock", "disk", "--since", "4"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"safe", "has", "lends", "keeps", "gain", "days_to_backup"} <= set(told["runs"][0]["space"]["honest"])
    assert main(words) == 0
    assert "for each GB lent honestly" in capsys.readouterr().out
