"""Real nodes must exchange real notes, and a plug pulled at any write must leave all with all, or none with any."""

from pathlib import Path

import pytest
import trio.testing

from nanobarter.swap.events import Settled
from tests.swap.whole import world_of


@pytest.mark.parametrize("n", [2, 3, 5])
async def test_a_ring_of_fresh_issues_settles(n: int, tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, n, mock_clock) as world:
        parties = world.nodes
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        assert [p.held(parties[i - 1]) for i, p in enumerate(parties)] == [100 + (i - 1) % n for i in range(n)]
        await world.check()
        assert [p.faults for p in parties] == [[]] * n


async def test_notes_of_a_third_issuer_move_too(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 4, mock_clock) as world:
        *parties, issuer = world.nodes
        await world.give(issuer, parties[1], 150)
        issuers = [parties[0], issuer, parties[2]]
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, issuers))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        assert (parties[1].held(issuer), parties[2].held(issuer)) == (49, 101)
        await world.check()
