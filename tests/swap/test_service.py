"""Real nodes must exchange real notes, and a plug pulled at any write must leave all with all, or none with any."""

import random
from pathlib import Path
from typing import Literal

import pytest
import trio
import trio.lowlevel
import trio.testing

from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import DraftId, NodeId
from nanobarter.swap.ended import settled_quantity
from nanobarter.swap.events import Aborted, Approved, DraftRefused, DraftSeen, Settled, SwapEvent
from nanobarter.swap.messages import Draft
from nanobarter.swap.policy import ApproveAll
from tests.swap.whole import Node, World, quiet, world_of


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


async def test_what_a_bid_gave_is_known_after_the_draft_ended(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        parties = world.nodes
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        bid = world.outcome.bid
        assert [p.store.read_now(lambda db: settled_quantity(db, bid)) for p in parties] == [100, 0]


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


def kept(world: World, parties: list[Node], before: dict[int, int]) -> None:
    """All arcs moved, or none did."""
    moved = [p.held(parties[i - 1]) - before.get(p.number, 0) for i, p in enumerate(parties)]
    n = len(parties)
    assert moved in ([100 + (i - 1) % n for i in range(n)], [0] * n), world.outcome


@pytest.mark.parametrize("seed", range(9))
async def test_a_plug_pulled_at_any_write_tears_nothing(
    seed: int, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    luck = random.Random(seed)
    n = (2, 3, 5)[seed % 3]
    async with world_of(tmp_path, n, mock_clock) as world:
        parties = world.nodes
        for victim in luck.sample(parties, luck.choice((1, 1, 2))):
            victim.plug = (victim.writes + luck.randint(1, 14), luck.random() < 0.5)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=True)
        kept(world, parties, {})
        await world.check()
        assert [p.faults for p in parties] == [[]] * n


async def test_who_dies_between_its_approval_and_the_agreement_costs_seconds_and_no_ring(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        parties, victim = world.nodes, world.nodes[2]

        def doom(event: SwapEvent) -> None:
            if isinstance(event, Approved):
                victim.plug = (victim.writes + 1, False)

        victim.swap.observe(doom)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=False)
        assert victim.lives == 2
        assert isinstance(world.outcome, Settled)
        await world.check()


async def test_a_ring_that_was_left_holds_no_bid_while_its_lock_is_on_the_way_back(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        parties = world.nodes

        def rule(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            return "request" if (callee, method) == (parties[2].node, "swap.agreed") else None

        world.hub.lose = rule
        match, bids = world.ring(parties, parties)
        world.nursery.start_soon(world.propose, parties[0], match, bids)
        bid, busy = match.arcs[1].bid, set[tuple[str, bool]]()
        for _ in range(80):
            await quiet()
            busy |= {(type(state).__name__, parties[1].swap.busy(bid)) for state in parties[1].swap.drafts().values()}
            world.jump(2)
        assert busy == {("Locking", True), ("Aborted", False)}


async def test_who_is_away_before_the_vote_ends_the_ring_and_all_get_theirs_back(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 4, mock_clock) as world:
        *parties, issuer = world.nodes
        await world.give(issuer, parties[1], 150)
        issuers = [parties[0], issuer, parties[2]]

        def leave(event: SwapEvent) -> None:
            if isinstance(event, Approved):
                world.hub.disconnect(parties[2].node)

        parties[2].swap.observe(leave)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, issuers))
        await world.settle(parties, patient=True, away=parties[2])
        assert isinstance(world.outcome, DraftRefused | Aborted)
        world.hub.reconnect(parties[2].node)
        await world.settle(parties, patient=True)
        assert parties[1].held(issuer) == 150
        await world.check()


async def test_who_sleeps_right_after_its_vote_finds_its_notes_when_it_wakes(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 4, mock_clock) as world:
        *parties, issuer = world.nodes
        await world.give(issuer, parties[1], 150)

        async def sleep() -> None:
            await trio.lowlevel.checkpoint()
            world.hub.disconnect(parties[1].node)

        def rule(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            if (method, caller, callee) == ("mint.request", parties[0].node, parties[2].node):  # the first OPEN
                world.nursery.start_soon(sleep)
            return None

        world.hub.lose = rule
        issuers = [parties[0], issuer, parties[2]]
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, issuers))
        await world.settle(parties, patient=True, away=parties[1])
        assert isinstance(world.outcome, Settled)
        world.hub.lose = None
        world.hub.reconnect(parties[1].node)
        await world.settle(parties, patient=True)
        assert (parties[1].held(issuer), parties[2].held(issuer)) == (49, 101)
        assert parties[1].held(parties[0]) == 100
        await world.check()


async def test_a_policy_that_objects_is_named_as_the_one_who_refused(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    class Never(ApproveAll):
        async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:
            return Refused(Reason.POLICY, "not today")

    async with world_of(tmp_path, 3, mock_clock, policies={2: Never()}) as world:
        parties = world.nodes
        match, bids = world.ring(parties, parties)
        world.nursery.start_soon(world.propose, parties[0], match, bids)
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, DraftRefused)
        assert (world.outcome.by, world.outcome.reason, world.outcome.detail) == (
            parties[1].node,
            Reason.POLICY,
            "not today",
        )
        assert not any(p.swap.busy(arc.bid) for p in parties for arc in match.arcs)
        await world.check()


async def test_a_draft_that_its_own_proposer_gives_up_is_told_to_have_ended(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    class Never(ApproveAll):
        async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:
            return Refused(Reason.POLICY, "not today")

    async with world_of(tmp_path, 2, mock_clock, policies={1: Never()}) as world:
        parties = world.nodes
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=False)
        seen = [event.draft_id for event in parties[0].events if isinstance(event, DraftSeen)]
        assert seen
        assert {event.draft_id for event in parties[0].events if isinstance(event, DraftRefused)} == set(seen)


async def test_a_bid_serves_one_draft_at_a_time(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        parties = world.nodes
        match, bids = world.ring(parties, parties)
        world.hub.disconnect(parties[1].node)
        world.nursery.start_soon(world.propose, parties[0], match, bids)
        await quiet()
        second = await parties[0].swap.propose(match, bids)
        assert isinstance(second, DraftRefused)
        assert second.reason in (Reason.BUSY, Reason.NOT_FOUND)


async def test_a_ring_of_one_node_twice_is_no_draft(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 1, mock_clock) as world:
        (node,) = world.nodes
        with pytest.raises(Malformed):
            await node.swap.propose(*world.ring([node, node], [node, node]))
