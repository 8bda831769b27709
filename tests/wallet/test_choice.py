"""A payment must be exact, take few notes and few splits, and always come to an end."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.units import Quantity
from nanobarter.wallet.choice import Exact, Resize, choose, decompose

POWERS = [Quantity(1 << i) for i in range(21)]
purses = st.lists(st.integers(0, 12).map(lambda i: Quantity(1 << i)), max_size=16)


def reachable(have: list[Quantity]) -> set[int]:
    sums = {0}
    for note in have:
        sums |= {s + note for s in sums}
    return sums


@given(purses, st.integers(1, 9000).map(Quantity))
def test_one_split_at_most_pays_what_the_notes_hold(have: list[Quantity], wanted: Quantity) -> None:
    plan = choose(have, wanted, POWERS, notes_max=64)
    if sum(have) < wanted:
        assert plan is None
        return
    assert isinstance(plan, Exact) == (wanted in reachable(have))  # no split unless there is no other way
    if isinstance(plan, Resize):
        assert sum(plan.outputs) == sum(have[i] for i in plan.inputs)
        have = [q for i, q in enumerate(have) if i not in plan.inputs] + list(plan.outputs)
        plan = choose(have, wanted, POWERS, notes_max=64)
    assert isinstance(plan, Exact)
    assert sum(have[i] for i in plan.picked) == wanted
    assert len(set(plan.picked)) == len(plan.picked)


@given(st.lists(st.sampled_from(POWERS[:4]), max_size=10), st.integers(1, 40).map(Quantity))
def test_no_other_choice_takes_fewer_notes(have: list[Quantity], wanted: Quantity) -> None:
    fewest = dict[int, int]({0: 0})
    for note in have:
        for total, count in list(fewest.items()):
            fewest[total + note] = min(fewest.get(total + note, 99), count + 1)
    plan = choose(have, wanted, POWERS, notes_max=64)
    if isinstance(plan, Exact):
        assert len(plan.picked) == fewest[wanted]


@given(st.integers(0, 3), st.integers(14, 20), st.data())
def test_a_purse_of_small_change_is_merged_until_it_pays(small: int, notes_max: int, data: st.DataObject) -> None:
    have = [Quantity(1 << small)] * 60
    wanted = Quantity(data.draw(st.integers(1, sum(have))))
    for _ in range(30):
        plan = choose(have, wanted, POWERS, notes_max=notes_max)
        assert plan is not None
        if isinstance(plan, Exact):
            assert sum(have[i] for i in plan.picked) == wanted
            return
        assert len(plan.inputs) <= notes_max >= len(plan.outputs)
        have = [q for i, q in enumerate(have) if i not in plan.inputs] + list(plan.outputs)
    raise AssertionError("the merging did not end")


@given(st.integers(1, 2**20), st.integers(8, 20))
def test_the_parts_are_the_whole(quantity: int, largest: int) -> None:
    parts = decompose(Quantity(quantity), POWERS[: largest + 1])
    assert sum(parts) == quantity
    assert all(count == 1 for part, count in Counter(parts).items() if part != POWERS[largest])
