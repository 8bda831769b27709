"""A person's no that was confirmed must hold, at whatever write of her node it comes; else she is told: too late."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import trio.testing

from nanobarter.core.errors import UsageError
from nanobarter.daemon.api import RefusedError
from nanobarter.daemon.drafts import DraftDesk
from nanobarter.daemon.services import Node as Services
from tests.swap.test_questions import even, pass_time, say, waiting
from tests.swap.whole import Node, world_of

WRITES = 6
"""From her word until her node has promised what she gives, and one more."""


def desk_of(node: Node) -> DraftDesk:
    return DraftDesk(cast("Services", SimpleNamespace(swap=node.swap, me=node.node)))


class Refuser:
    """Refuses a draft at the n-th write of its node: just before that write, or just after it has been handed over."""

    def __init__(self, node: Node, at: int, *, first: bool) -> None:
        self._node, self._left, self._first = node, at, first
        self._write = node.store.write
        (question_id,) = waiting(node)
        self._draft = question_id.hex()
        self.confirmed: bool | None = None
        node.store.write = self.write  # pyright: ignore[reportAttributeAccessIssue] - the moment is chosen here

    async def write(self, change: Callable[..., object]) -> object:
        """Write for the node, and refuse when it is time to."""
        self._left -= 1
        if self._left == 0:
            self._node.world.nursery.start_soon(self._refuse)
            for _ in range(10 if self._first else 0):
                await trio.lowlevel.checkpoint()
        return await self._write(change)

    async def _refuse(self) -> None:
        try:
            await desk_of(self._node).refuse(self._draft)
        except (RefusedError, UsageError):
            self.confirmed = False
        else:
            self.confirmed = True


@pytest.mark.parametrize("order", ["no first", "write first"])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
async def test_what_she_refused_does_not_settle(
    at: int, order: str, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        one, other = parties = world.nodes
        await world.propose(one, *world.ring(parties, parties, ask=[other]))
        await pass_time(world, 5)
        refuser = Refuser(other, at, first=order == "no first")
        await say(other)
        await pass_time(world, 10)
        await pass_time(world, 240, step=5)  # locks that nobody opens come back
        assert refuser.confirmed is not None
        assert (one.held(other), other.held(one)) == ((0, 0) if refuser.confirmed else (101, 100))
        assert not any(p.swap.drafts() or p.swap.questions.questions() for p in parties)
        await world.check()


async def test_her_no_to_a_draft_that_was_asked_anew_while_she_read_counts(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    """Two nodes have the same thought: the question of the one whose person spoke takes the place of the other's."""
    async with world_of(tmp_path, 2, mock_clock) as world:
        one, other = parties = world.nodes
        await world.propose(other, *even(world, [other, one]))
        (read,) = waiting(other)
        await world.propose(one, *even(world, parties))
        await say(one)
        await pass_time(world, 5)
        (anew,) = waiting(other)
        assert anew != read
        desk = desk_of(other)
        with pytest.raises(UsageError, match=anew.hex()[:16]):
            await desk.approve(read.hex(), "")
        assert (await desk.refuse(read.hex())).draft == anew.hex()
        await pass_time(world, 240, step=5)
        assert not any(p.swap.drafts() or p.swap.questions.questions() for p in parties)
        assert (one.held(other), other.held(one)) == (0, 0)
        with pytest.raises(UsageError, match="no draft under way"):
            await desk.refuse(read.hex())
