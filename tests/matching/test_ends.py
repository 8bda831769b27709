"""A chain that is told to be the best without a look at the rest of the market must be the best."""

from dataclasses import replace
from random import Random

import pytest

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.ends import NOTHING, Ends
from nanobarter.matching.levels import NONE, UNIT, UNSURE
from nanobarter.matching.rules import OWN, Rules

Graph = dict[tuple[int, int], float]


def walks(graph: Graph, start: int, end: int, steps: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return every walk of 1 to so many steps with its weight, by going through them all."""
    found, open_walks = list[tuple[float, tuple[int, ...]]](), [(0.0, (start,))]
    for _ in range(steps):
        open_walks = [
            (weight + more, (*walk, to))
            for weight, walk in open_walks
            for (source, to), more in graph.items()
            if source == walk[-1]
        ]
        found += [each for each in open_walks if each[1][-1] == end]
    return found


def a_weight(random: Random, scale: float) -> float:
    return float(random.randint(int(-scale / 2), int(scale)))


@pytest.mark.parametrize("scale", [3.0, 2000.0, UNIT])
def test_the_best_walk_is_that_of_going_through_all(scale: float) -> None:
    """Also after levels came, went, and got better and worse; ``None`` is never wrong, but must not be the rule."""
    told = 0
    for seed in range(40):
        random = Random(seed)
        graph: Graph = {}
        ends = Ends([], 6)
        for _ in range(60):
            edge = (random.randrange(6), random.randrange(6))
            before, after = graph.pop(edge, NONE), random.choice([NONE, *[a_weight(random, scale)] * 3])
            if edge[0] == edge[1]:
                continue
            if after > NONE:
                graph[edge] = after
            ends.move(*edge, before, after)
        for steps in range(1, 6):
            start, end = random.sample(range(6), 2)
            least = a_weight(random, scale)
            every = sorted(walks(graph, start, end, steps), reverse=True)
            found = ends.best(start, end, steps, least)
            if found is None:
                continue
            told += 1
            if found is NOTHING:
                assert not every or every[0][0] < least
            else:
                assert (found.weight, found.vertices) == every[0]
                assert len(every) == 1 or every[1][0] < found.weight - UNSURE
    assert told > (20 if scale == 3 else 80)


def test_quite_other_prices_are_met_with_the_old_guess() -> None:
    """The guess how good the best chain will be comes from the chains before; a wrong one may only cost time."""
    ends = Ends([(0, 1, UNIT), (1, 2, UNIT)], 3)
    for _ in range(50):
        ends.best(0, 2, 2, 0.0)
    ends.grow(5)
    ends.move(2, 3, NONE, 40 * UNIT)  # to where nobody goes on: the best imaginable is far above the best there is
    ends.move(0, 2, NONE, -30 * UNIT)
    found = ends.best(0, 2, 2, -100 * UNIT)
    assert found is not None
    assert found.vertices == (0, 1, 2)


def test_a_large_market_comes_out_the_same_from_both_ends_and_by_tables() -> None:
    """The books of the reference are small; here are so many qualities that the way from both ends is the usual one."""
    random = Random(4)
    bids = list[Bid]()
    for name in range(700):
        wants, gives = random.sample(range(60), 2)
        omega = (random.randint(670, 2000), 1000)
        bids.append(
            Bid(name, f"o{random.randrange(40)}", True, f"q{gives}", Pattern(f"q{wants}"), *omega, 10_000, name)
        )
    rules: tuple[Rules, ...] = (replace(OWN, ends_from=0), replace(OWN, ends_from=10**6))
    first, second = (Clearing(each) for each in rules)
    agreements = 0
    for bid in bids:
        one, other = first.submit(bid), second.submit(bid)
        assert [(a.cycle.bids, a.given) for a in one] == [(a.cycle.bids, a.given) for a in other]
        agreements += len(one)
    assert agreements > 200
    assert not first.cut
