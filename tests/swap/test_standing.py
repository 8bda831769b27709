"""Strangers must not hold much of our space with drafts that break, and newcomers must be able to trade at all."""

import contextlib
from pathlib import Path
from typing import Literal

import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Reason, Unreachable
from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, Instant
from nanobarter.swap import tables
from nanobarter.swap.events import Aborted, Approved, DraftRefused, Settled, SwapEvent
from nanobarter.swap.standing import NEWCOMER, SCORE_MIN, Lesson, Standing, is_vetted, learned, score
from tests.swap.whole import Node, World, quiet, world_of

SOMEBODY = NodeId(sha256(b"somebody"))
NOW = Instant(1_800_000_000_000)
histories = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 3 * DAY)), max_size=20)


def after_all(history: list[tuple[int, float, int]]) -> tuple[Standing, Instant]:
    standing, now = NEWCOMER, NOW
    for kept, broken, pause in history:
        standing = learned(standing, Lesson(SOMEBODY, kept, 0.0 if kept else broken), now)
        now = Instant(now + pause)
    return standing, now


@given(histories)
def test_a_kept_draft_never_harms_and_a_broken_one_never_helps(history: list[tuple[int, float, int]]) -> None:
    standing, now = after_all(history)
    was = score(standing, now)
    assert 0 < was < 1
    assert score(learned(standing, Lesson(SOMEBODY, kept=1), now), now) >= was
    assert score(learned(standing, Lesson(SOMEBODY, broken=1.0), now), now) < was


@given(histories)
def test_everybody_gets_another_chance_in_the_end(history: list[tuple[int, float, int]]) -> None:
    standing, now = after_all(history)
    assert abs(score(standing, Instant(now + 60 * DAY)) - score(NEWCOMER, now)) < 1e-9


def test_a_newcomer_may_break_one_draft_and_waits_a_day_after_the_second() -> None:
    once = learned(NEWCOMER, Lesson(SOMEBODY, broken=1.0), NOW)
    twice = learned(once, Lesson(SOMEBODY, broken=1.0), NOW)
    assert score(NEWCOMER, NOW) > score(once, NOW) >= SCORE_MIN > score(twice, NOW)
    assert score(twice, Instant(NOW + DAY)) >= SCORE_MIN


def test_who_settles_a_few_rings_over_two_weeks_is_vetted_until_it_breaks_as_many() -> None:
    standing = NEWCOMER
    for day in (0, 1, 14):
        now = Instant(NOW + day * DAY)
        assert not is_vetted(standing, LIMITS, now)
        standing = learned(standing, Lesson(SOMEBODY, kept=1), now)
    assert is_vetted(standing, LIMITS, Instant(NOW + 14 * DAY))
    for _ in range(3):
        standing = learned(standing, Lesson(SOMEBODY, broken=1.0), Instant(NOW + 14 * DAY))
    assert not is_vetted(standing, LIMITS, Instant(NOW + 14 * DAY))


async def acquaint(node: Node, count: int) -> None:
    """Let a node remember so many vetted others."""
    now = node.world.clock.now()
    for number in range(count):
        for day in (20, 10, 0):
            lesson = Lesson(NodeId(sha256(b"old friend %d" % number)), kept=1)
            await node.store.write(lambda db, day=day, one=lesson: tables.learn(db, [one], Instant(now - day * DAY)))


def seen(node: Node, other: Node) -> Standing:
    return node.store.read_now(lambda db: tables.standing(db, other.node))


async def test_in_a_new_network_everybody_gets_whole_bids(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        parties = world.nodes
        await acquaint(parties[1], LIMITS.swap_vetted_enough - 1)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        assert world.outcome.gave[1] == 100
        kept = [(seen(p, o).kept, seen(p, o).settled) for p in parties for o in parties if o is not p]
        assert kept == [(1.0, 1)] * 6


async def test_where_others_are_vetted_a_stranger_gets_a_tenth_of_a_bid(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        parties = world.nodes
        await acquaint(parties[1], LIMITS.swap_vetted_enough)
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        await world.settle(parties, patient=False)
        refused = [e for e in parties[0].events if isinstance(e, DraftRefused)]
        assert (refused[0].by, refused[0].reason) == (parties[1].node, Reason.OVER_QUOTA)
        assert isinstance(world.outcome, Settled)
        assert parties[2].held(parties[1]) == 40
        await world.check()


async def test_who_broke_two_drafts_is_refused_and_a_restart_does_not_forget_it(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        proposer, party = world.nodes
        await acquaint(party, LIMITS.swap_vetted_enough)
        for _ in range(2):
            await broken_draft(world, proposer, party)
        assert 1.99 < seen(party, proposer).broken <= 2.0
        with contextlib.suppress(Unreachable):
            await party.die()
        while not party.up:
            await quiet()
            world.jump(1)
        assert 1.99 < seen(party, proposer).broken <= 2.0
        world.proposed = False
        world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes, quantity=10))
        await world.settle(world.nodes, patient=False)
        assert isinstance(world.outcome, DraftRefused)
        assert (world.outcome.by, world.outcome.reason) == (party.node, Reason.POLICY)


async def broken_draft(world: World, proposer: Node, party: Node) -> None:
    """Let the proposer draft, hear the approval, and never be heard again."""

    def leave(event: SwapEvent) -> None:
        if isinstance(event, Approved):
            world.hub.disconnect(proposer.node)

    party.swap.observe(leave)
    world.proposed = False
    world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes, quantity=10))
    await world.settle(world.nodes, patient=True)
    party.swap._observers.remove(leave)  # pyright: ignore[reportPrivateUsage] - it served for this draft
    world.hub.reconnect(proposer.node)


async def test_a_ring_that_lacks_a_lock_at_the_vote_is_not_the_proposers_fault(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        parties = world.nodes

        def rule(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            return "request" if caller == parties[2].node and method == "swap.locked" else None

        world.hub.lose = rule
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        for _ in range(40):
            await quiet()
            world.jump(5)
        assert isinstance(world.outcome, Aborted)
        assert (seen(parties[1], parties[2]).broken > 0.9, seen(parties[1], parties[0]).broken) == (True, 0.0)
