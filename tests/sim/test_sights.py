"""At stake: the simulation speaks for the daemon only while its arrays say what the daemon's own rules say."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.units import DAY, Instant, Span, after
from nanobarter.sim.economy.sights import PINGS, WINDOWS, Sights
from nanobarter.translator.reliability import (
    JUDGED_WINDOWS,
    WINDOW,
    Observed,
    Window,
    closed,
    first_seen,
    fit,
    is_vetted,
    score,
)

START = Instant(1_700_000_000_000)
NODES = 3  # the first one watches


@dataclass(frozen=True)
class Day:
    """What is so on one day of each of the others: watched, leased there, up, keeping data."""

    watched: tuple[bool, bool]
    leased: tuple[bool, bool]
    up: tuple[bool, bool]
    keeps: tuple[bool, bool]


pair = st.tuples(st.booleans(), st.booleans())
mostly = st.tuples(st.sampled_from([True] * 9 + [False]), st.sampled_from([True] * 9 + [False]))
lives = st.lists(st.builds(Day, mostly, pair, mostly, mostly), min_size=1, max_size=40)


def by_the_daemon(seen: Observed, day: int, *, leased: bool, up: bool, keeps: bool) -> Observed:
    for number in range(WINDOWS):
        start = after(START, Span(day * DAY + number * WINDOW))
        window = Window(start, PINGS, PINGS * up, int(leased and up and keeps), int(leased and up and not keeps))
        seen = closed(seen, window, after(start, WINDOW), start if up else None)
    return seen


@given(lives)
def test_the_arrays_believe_what_the_rules_of_the_daemon_believe(life: list[Day]) -> None:
    sights, seen, dice = Sights(NODES), dict[int, Observed](), np.random.default_rng(1)
    everybody = np.ones(NODES, np.bool_)
    for day, drawn in enumerate(life):
        watched, leased = np.zeros((NODES, NODES), np.bool_), np.zeros((NODES, NODES), np.bool_)
        watched[0, 1:], leased[0, 1:] = drawn.watched, drawn.leased
        nature = (
            np.array([1.0, *map(float, drawn.up)]),
            np.tile([1.0, *map(float, drawn.keeps)], (NODES, 1)),
        )
        sights.day(watched, leased, everybody, nature, day, dice)
        for place in (1, 2):
            if not drawn.watched[place - 1]:
                continue
            before = seen.get(place, first_seen(after(START, Span(day * DAY))))
            was = drawn.leased[place - 1], drawn.up[place - 1], drawn.keeps[place - 1]
            seen[place] = by_the_daemon(before, day, leased=was[0], up=was[1], keeps=was[2])
    sights.fit()
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
        assert judged[0, place] == (known.windows >= JUDGED_WINDOWS or known.faults > 0)
