"""A message that comes before we are ready for it must come again: acknowledged and dropped, it hangs the ring."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import trio
import trio.testing

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import SECOND
from nanobarter.swap.events import Settled
from tests.swap.whole import Node, quiet, world_of

_COUNT = "SELECT count(*) FROM swap_drafts WHERE agreement IS NOT NULL"


def hold_the_agreement(party: Node, go_on: trio.Event) -> None:
    """Keep a node between its AGREED on disk and the same in memory, where a busy disk may keep it for long."""
    really_write = party.store.write

    async def write(change: Callable[..., object]) -> object:
        result = await really_write(change)
        if party.store.read_now(lambda db: db.execute(_COUNT).fetchone()[0]):
            await go_on.wait()
        return result

    party.store.write = write  # pyright: ignore[reportAttributeAccessIssue] - the disk is slow here


async def test_a_locked_that_overtakes_the_recording_of_its_agreed_is_taken_at_once(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = world.nodes
        came, go_on, count = trio.Event(), trio.Event(), [0]

        def watch(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            if (callee, method) == (second.node, "swap.locked"):
                came.set()
                count[0] += 1
            return None

        world.hub.lose = watch
        hold_the_agreement(second, go_on)
        world.nursery.start_soon(world.propose, first, *world.ring(world.nodes, world.nodes))
        await came.wait()
        await quiet()
        go_on.set()
        await world.settle(world.nodes, patient=False)
        assert count == [1], "it had to be sent again"
        await world.check()


async def test_a_locked_that_overtakes_the_recording_of_its_agreed_by_far_is_not_lost(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = world.nodes
        came, go_on = trio.Event(), trio.Event()

        def watch(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            if (callee, method) == (second.node, "swap.locked"):
                came.set()
            return None

        world.hub.lose = watch
        hold_the_agreement(second, go_on)
        world.nursery.start_soon(world.propose, first, *world.ring(world.nodes, world.nodes))
        await came.wait()
        await quiet()
        mock_clock.jump(LIMITS.swap_overtaken / SECOND + 1)
        await quiet()
        go_on.set()
        await world.settle(world.nodes, patient=False)  # in seconds; T_vote is two minutes away
        assert isinstance(world.outcome, Settled)
        assert (second.held(first), first.held(second)) == (100, 101)
        await world.check()
