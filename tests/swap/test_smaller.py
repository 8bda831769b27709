"""Who has less than a ring asks of it says how much, and gets a smaller ring instead of none."""

from pathlib import Path

import trio.testing

from nanobarter.core.errors import Reason
from nanobarter.core.units import Instant, Quantity
from nanobarter.swap.drafting import smaller
from nanobarter.swap.events import DraftRefused, Settled
from nanobarter.swap.messages import Draft, DraftArc
from nanobarter.swap.terms import SwapTimes
from tests.swap.whole import World, world_of


async def test_a_party_with_less_than_it_was_asked_for_gives_what_it_has(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 4, mock_clock) as world:
        *parties, issuer = world.nodes
        await world.give(issuer, parties[1], 60)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, [parties[0], issuer, parties[2]]))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        assert (parties[1].held(issuer), parties[2].held(issuer)) == (0, 60)
        assert 0 < parties[1].held(parties[0]) <= 100
        refused = [e for e in parties[0].events if isinstance(e, DraftRefused)]
        assert (refused[0].by, refused[0].reason) == (parties[1].node, Reason.NO_STOCK)
        await world.check()
        assert [p.faults for p in parties] == [[]] * 3


async def test_a_proposer_with_less_than_its_bid_says_drafts_what_it_has(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        *parties, issuer = world.nodes
        await world.give(issuer, parties[0], 40)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, [issuer, parties[1]]))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        assert (parties[0].held(issuer), parties[1].held(issuer)) == (0, 40)
        await world.check()


async def test_who_has_nothing_ends_the_ring_at_once(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 4, mock_clock) as world:
        *parties, issuer = world.nodes
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, [parties[0], issuer, parties[2]]))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, DraftRefused)
        assert (world.outcome.by, world.outcome.reason) == (parties[1].node, Reason.NO_STOCK)
        assert len([e for e in parties[0].events if isinstance(e, DraftRefused)]) == 1
        await world.check()


async def test_a_smaller_ring_asks_nobody_for_more(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        draft = _draft(world)
        for by in range(3):
            for free in (1, 7, 50, 99, 100, 101, 102, 500):
                arcs = smaller(draft, draft.arcs[by].giver, Quantity(free))
                assert (arcs is None) == (free >= draft.arcs[by].quantity)
                if arcs is not None:
                    assert all(a.quantity <= old.quantity for a, old in zip(arcs, draft.arcs, strict=True))
                    assert arcs[by].quantity <= free
        assert smaller(draft, draft.arcs[1].giver, Quantity(0)) is None
        assert smaller(draft, None, Quantity(10)) is None


def _draft(world: World) -> Draft:
    match, bids = world.ring(world.nodes, world.nodes)
    arcs = tuple(DraftArc(a.bid, a.giver, a.quality, a.quantity) for a in match.arcs)
    return Draft(arcs, bids, SwapTimes().pace, bytes(32), Instant(world.clock.now()))
