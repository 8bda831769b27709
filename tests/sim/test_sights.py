"""At stake: the simulation speaks for the daemon only while its arrays say what the daemon's own rules say."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.units import DAY, Instant, Span, after
from nanobarter.sim.economy.sights import PINGS, WINDOWS, WITHHELD, Sights
from nanobarter.translator.reliability import (
    JUDGED_WINDOWS,
    WINDOW,
    Window,
    closed,
    first_seen,
    fit,
    score,
)
from nanobarter.translator.vetting import BAD_RELIABILITY, is_vetted

START = Instant(1_700_000_000_000)
NODES = 3  # the first one watches


@dataclass(frozen=True)
class Day:
    """What is so on one day of each of the others: watched, leased there, up."""

    watched: tuple[bool, bool]
    leased: tuple[bool, bool]
    up: tuple[bool, bool]


@dataclass(frozen=True)
class Disk:
    """Which part of its shares one of the others keeps, and whether it says nothing when it is asked for the rest."""

    keeps: float
    mute: bool


pair = st.tuples(st.booleans(), st.booleans())
mostly = st.tuples(st.sampled_from([True] * 9 + [False]), st.sampled_from([True] * 9 + [False]))
lives = st.lists(st.builds(Day, mostly, pair | st.just((True, True)), mostly), min_size=1, max_size=40)
disk = st.builds(Disk, st.sampled_from([1.0, 0.5, 0.0]), st.booleans())


class Rules:
    """What the daemon's rules make of one peer: ``storage.withheld`` of its silences, ``reliability`` of the rest."""

    def __init__(self, day: int, disk: Disk) -> None:
        self.seen, self.disk, self.withheld = first_seen(after(START, Span(day * DAY))), disk, 0

    def lives(self, day: int, *, leased: bool, up: bool) -> None:
        keeps, mute = self.disk.keeps, self.disk.mute
        self.withheld *= leased
        for number in range(WINDOWS):
            start = after(START, Span(day * DAY + number * WINDOW))
            asked = leased and up
            missing, shown = asked and keeps < 1, asked and (keeps > 0 or not mute)
            self.withheld += missing and shown and mute
            wrong = missing and (not mute or self.withheld >= WITHHELD)
            self.withheld *= not wrong
            window = Window(
                start, PINGS, PINGS * up, proven=int(shown and not wrong), wrong=int(wrong), mute=2 * (missing and mute)
            )
            self.seen = closed(self.seen, window, after(start, WINDOW), start if up else None)


@given(lives, st.tuples(disk, disk))
def test_the_arrays_believe_what_the_rules_of_the_daemon_believe(life: list[Day], disks: tuple[Disk, Disk]) -> None:
    sights, met, dice = Sights(NODES), dict[int, Rules](), np.random.default_rng(1)
    everybody = np.ones(NODES, np.bool_)
    keeps, mutes = np.tile([1.0, *(d.keeps for d in disks)], (NODES, 1)), np.array([False, *(d.mute for d in disks)])
    for day, drawn in enumerate(life):
        watched, leased = np.zeros((NODES, NODES), np.bool_), np.zeros((NODES, NODES), np.bool_)
        watched[0, 1:], leased[0, 1:] = drawn.watched, drawn.leased
        sights.day(watched, leased, everybody, (np.array([1.0, *map(float, drawn.up)]), keeps, mutes), day, dice)
        for place in (1, 2):
            if drawn.watched[place - 1]:
                rules = met.setdefault(place, Rules(day, disks[place - 1]))
                rules.lives(day, leased=drawn.leased[place - 1], up=drawn.up[place - 1])
    sights.fit()
    seen = {place: rules.seen for place, rules in met.items()}
    day, survival = len(life), fit(seen.values())
    r, vetted, judged = sights.scores(day, 30), sights.vetted(), sights.judged()
    for place in (1, 2):
        known = seen.get(place)
        assert bool(sights.known[0, place]) == (known is not None)
        assert vetted[0, place] == is_vetted(known)
        if known is None:
            assert np.isnan(r[0, place])
            continue
        assert r[0, place] == pytest.approx(score(known, survival, after(START, Span(day * DAY)), 30).r)
        assert sights.clean[0, place] == known.clean
        assert judged[0, place] == (known.windows >= JUDGED_WINDOWS or known.faults > 0)


def test_who_keeps_a_part_and_is_mute_about_the_rest_is_found_out_by_the_third_day() -> None:
    sights, dice, nature = Sights(2), np.random.default_rng(1), (np.ones(2), np.full((2, 2), 0.3), np.array([True] * 2))
    everybody = np.ones((2, 2), np.bool_)
    r = list[float]()
    for day in range(4):
        sights.day(everybody, everybody, everybody[0], nature, day, dice)
        r.append(sights.scores(day, 30)[0, 1])
    assert r[0] > BAD_RELIABILITY
    assert r[2] < BAD_RELIABILITY
    assert sights.faults[0, 1] == 2
