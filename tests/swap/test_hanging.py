"""A ring that all vote for and nobody opens must hold what it has of a bid, and not all of it until its deadline."""

from pathlib import Path
from typing import Literal

import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Reason
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import Quantity
from nanobarter.swap.caution import hangs, promised_in, shortage
from nanobarter.swap.events import DraftRefused, Settled, SwapEvent, given_in
from nanobarter.swap.objections import Short
from nanobarter.swap.policy import ApproveAll
from nanobarter.swap.states import Voted
from nanobarter.swap.terms import SwapTimes
from tests.swap.test_caution import OFFERED, draft_of, settled, vet
from tests.swap.test_questions import pass_time
from tests.swap.test_standing import acquaint
from tests.swap.whole import Node, World, world_of


class Stocked(ApproveAll):
    """Takes what was given or is owed off its one order, as the market does."""

    def __init__(self) -> None:
        self.left = OFFERED

    def heard(self, event: SwapEvent) -> None:
        self.left -= given_in(event)

    def stock(self, bid: BidId) -> Quantity | None:
        return Quantity(self.left)


async def hang(world: World, stranger: Node, victim: Node, quantity: int) -> None:
    """Let a stranger's ring be voted for, and never opened nor given up."""

    def lose(caller: NodeId, callee: NodeId, method: str) -> Literal["request"] | None:
        keeps = (caller, callee) == (stranger.node, victim.node) and method == "mint.request"
        return "request" if method == "swap.vote" or keeps else None

    world.hub.lose = lose
    match, bids = world.ring([stranger, victim], [stranger, victim], quantity - 1)  # arc 1 is one more
    world.proposed = False
    world.nursery.start_soon(world.propose, stranger, match, bids)
    await pass_time(world, 20, 0.5)
    await pass_time(world, 150, 5)
    assert [type(state) for state in victim.swap.drafts().values()] == [Voted], victim.tale()
    world.hub.lose = lambda caller, _callee, _method: "request" if caller == stranger.node else None


async def ask(world: World, node: Node, victim: Node, quantity: int) -> None:
    """Let a node propose a ring of two, and wait for what becomes of it."""
    world.proposed, world.outcome = False, None
    world.nursery.start_soon(world.propose, node, *world.ring([node, victim], [node, victim], quantity - 1))
    await settled(world)


async def test_a_ring_that_is_never_opened_leaves_the_rest_of_the_bid_to_others(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock, SwapTimes()) as world:
        stranger, victim, friend = world.nodes
        await acquaint(victim, LIMITS.swap_vetted_enough)
        await vet(victim, friend)
        await hang(world, stranger, victim, 4)
        await ask(world, friend, victim, 100)
        assert (isinstance(world.outcome, Settled), friend.held(victim)) == (True, 100)


async def test_rings_through_one_bid_never_take_more_than_it_together(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    stock = Stocked()
    async with world_of(tmp_path, 4, mock_clock, SwapTimes(), policies={2: stock}) as world:
        stranger, victim, friend, third = world.nodes
        victim.swap.observe(stock.heard)
        await hang(world, stranger, victim, 100)
        await ask(world, friend, victim, OFFERED)
        assert (isinstance(world.outcome, Settled), friend.held(victim)) == (True, OFFERED - 100)
        await ask(world, third, victim, 50)
        assert isinstance(world.outcome, DraftRefused)
        assert (world.outcome.by, world.outcome.reason) == (victim.node, Reason.NO_STOCK)
        world.hub.lose = None
        await pass_time(world, 150, 5)
        assert victim.swap.drafts() == {}
        await ask(world, third, victim, 200)  # what the ring had came back, and no more than that is left
        assert (isinstance(world.outcome, Settled), third.held(victim), stock.left) == (True, 100, 0)


async def test_before_the_vote_a_ring_holds_its_bid_whatever_it_takes_of_it(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock, SwapTimes()) as world:
        stranger, victim, other = world.nodes
        world.hub.lose = lambda _caller, _callee, method: "request" if method == "swap.vote" else None
        world.nursery.start_soon(world.propose, stranger, *world.ring([stranger, victim], [stranger, victim], 9))
        await pass_time(world, 20, 0.5)
        ((_, state),) = victim.swap.drafts().items()
        assert (type(state), hangs(state, world.clock.now()), promised_in(state)) == (Voted, False, 10)
        await ask(world, other, victim, 10)
        assert isinstance(world.outcome, DraftRefused)
        assert world.outcome.reason == Reason.BUSY


@given(st.lists(st.integers(1, OFFERED), max_size=6), st.none() | st.integers(0, OFFERED), st.integers(1, OFFERED))
def test_what_is_promised_stays_within_the_bid_and_within_the_stock(
    promised: list[int], stock: int | None, quantity: int
) -> None:
    owned, others = None if stock is None else Quantity(stock), [Quantity(each) for each in promised]
    refused = shortage(draft_of(quantity), 1, owned, others)
    bound = OFFERED if stock is None else stock
    if refused is None:
        assert sum(promised) + quantity <= bound
    else:
        assert isinstance(refused, Short)
        assert sum(promised) + quantity > bound
        assert refused.free == max(0, bound - sum(promised))
