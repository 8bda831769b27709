"""What is in memory at once must stay bounded, and whoever waits for room must not wait for ever."""

import hypothesis.strategies as st
import trio
from hypothesis import given

from nanobarter.storage.budget import Budget


@given(st.lists(st.integers(0, 25), max_size=30), st.integers(1, 20))
def test_no_more_than_the_size_is_held_and_all_come_through(parts: list[int], size: int) -> None:
    budget, held, most = Budget(size), list[int](), list[int]()

    async def hold(part: int) -> None:
        async with budget.part(part):
            held.append(min(part, size))
            most.append(sum(held))
            await trio.lowlevel.checkpoint()
            held.remove(min(part, size))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for part in parts:
                nursery.start_soon(hold, part)

    trio.run(main)
    assert len(most) == len(parts)
    assert max(most, default=0) <= size
