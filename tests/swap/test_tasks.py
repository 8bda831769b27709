"""A node that stops must not die of what reaches its services a moment too late."""

import trio
import trio.testing

from nanobarter.swap import tasks


async def test_a_task_starts_while_the_service_runs_and_is_left_out_afterwards() -> None:
    done = list[int]()

    async def act(number: int) -> None:
        await trio.lowlevel.checkpoint()
        done.append(number)

    async with trio.open_nursery() as nursery:
        tasks.start(nursery, act, 1)
    tasks.start(nursery, act, 2)
    await trio.testing.wait_all_tasks_blocked()
    assert done == [1]
