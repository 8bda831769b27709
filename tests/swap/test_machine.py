"""A ring that stops half-way robs somebody; every crash, loss and silence must end with all paid or none."""

import pytest

from nanobarter.core.units import DAY, MINUTE, Instant
from nanobarter.swap import machine
from nanobarter.swap.states import Ended
from tests.swap.ring import START, Luck, World

END = Instant(START + 60 * DAY)


def check(world: World, *, complete: bool = False) -> None:
    world.run(END)
    outcomes = world.outcomes()
    assert world.losses() == [], outcomes
    for index, party in enumerate(world.parties):
        assert party.mute or isinstance(party.state, Ended | None), outcomes
        assert world.leg(index) != "locked" or party.mute, outcomes
        assert not party.blames
    if complete:
        assert outcomes == ["settled"] * len(world.parties)


@pytest.mark.parametrize("n", range(2, 9))
@pytest.mark.parametrize("third", [False, True])
def test_an_honest_ring_of_any_size_completes(n: int, *, third: bool) -> None:
    world = World(n, n, third=third)
    world.propose()
    check(world, complete=True)


@pytest.mark.parametrize("seed", range(24))
def test_lost_repeated_and_reordered_messages_harm_nobody_and_stop_nothing(seed: int) -> None:
    world = World(2 + seed % 7, seed, Luck(loss=0.05, repeat=0.1), third=seed % 2 == 1)
    world.propose()
    check(world, complete=True)


@pytest.mark.parametrize("seed", range(40))
def test_crashes_between_record_and_send_harm_nobody(seed: int) -> None:
    world = World(2 + seed % 5, seed, Luck(loss=0.05, repeat=0.1, crash=0.03, crashes_max=6))
    world.propose()
    check(world)


@pytest.mark.parametrize("n", [2, 3])
def test_every_single_crash_point_of_a_small_ring_harms_nobody(n: int) -> None:
    quiet = World(n, 1)
    quiet.propose()
    quiet.run(Instant(START + MINUTE))
    for point in range(1, quiet.points + 1):
        world = World(n, 1)
        world.crash_at = point
        world.propose()
        check(world)


@pytest.mark.parametrize("seed", range(40))
def test_parties_that_fall_silent_at_any_moment_harm_nobody(seed: int) -> None:
    world = World(2 + seed % 5, seed, Luck(loss=0.02))
    world.propose()
    for party in world.parties:
        if world.random.random() < 0.4:
            world.later(world.random.randint(0, 4000), lambda party=party: setattr(party, "mute", True))
    world.run(END)
    honest = [i for i, p in enumerate(world.parties) if not p.mute]
    assert not set(honest) & set(world.losses()), world.outcomes()
    assert all(isinstance(world.parties[i].state, Ended) for i in honest)


def test_the_table_of_transitions_is_what_the_code_does() -> None:
    seen = set[tuple[type, type, type]]()
    for seed in range(12):
        world = World(2 + seed % 3, seed, Luck(loss=0.1, repeat=0.2, crash=0.02, crashes_max=4))
        world.propose()
        world.run(END)
        seen |= {move for party in world.parties for move in party.types}
    for before, given, after in seen:
        aged = {before, *machine.AGES[before]}
        allowed = aged.union(*(machine.MOVES[state].get(given, set()) for state in aged))
        assert after in allowed, (before, given, after)
