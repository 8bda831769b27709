"""Honest nodes must not pay for what strangers do in their rings, and whoever breaks rings must pay in the end."""

from pathlib import Path

import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import MINUTE, Quantity, Span
from nanobarter.swap.events import Aborted
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import Refuse
from nanobarter.swap.standing import CHOSE, LEFT, MUTE, NEWCOMER, SCORE_MIN, Lesson, learned, score
from nanobarter.swap.states import Locking
from nanobarter.swap.terms import SwapTimes
from tests.swap.test_caution import vet
from tests.swap.test_questions import pass_time
from tests.swap.test_standing import NOW, SOMEBODY, acquaint, seen
from tests.swap.whole import Node, World, quiet, world_of


async def refused_after_locking(world: World, proposer: Node, victim: Node, attacker: Node) -> None:
    """Let a party refuse what it had approved, when the victim has locked."""
    world.hub.lose = lambda _, to, method: "request" if method == "swap.locked" and to == attacker.node else None
    world.proposed = False
    world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes, 10))
    for _ in range(60):
        await quiet()
        if any(isinstance(s, Locking) and s.receipts[1] is not None for s in victim.swap.drafts().values()):
            break
        world.jump(0.1)
    (draft,) = attacker.swap.drafts()
    message = seal_message(attacker.key, Refuse(draft, 2, Reason.POLICY, Quantity(0), ""))
    await attacker.swap._caller.call(proposer.node, "swap.refuse", encode(message), timeout=Span(5000))  # pyright: ignore[reportPrivateUsage] - as it would
    await pass_time(world, 5)
    await pass_time(world, 100, 5)


async def test_a_party_that_refuses_after_others_locked_pays_for_it_and_its_proposer_a_part(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock, SwapTimes()) as world:
        proposer, victim, attacker = world.nodes
        await acquaint(victim, LIMITS.swap_vetted_enough)
        for _ in range(2):
            await refused_after_locking(world, proposer, victim, attacker)
            assert isinstance(world.outcome, Aborted)
        costs = seen(victim, attacker).broken
        assert 2 * 0.99 < costs <= 2  # it had voted, which binds it until its deadline
        assert seen(victim, proposer).broken <= CHOSE * costs * 1.001
        assert seen(proposer, attacker).broken > 2 * LEFT * 0.99
        assert victim.faults == proposer.faults == []


def test_a_proposer_whose_parties_refuse_again_and_again_is_shut_out_after_a_while() -> None:
    standing, rings = NEWCOMER, 0
    while score(standing, NOW) >= SCORE_MIN:
        standing = learned(standing, Lesson(SOMEBODY, broken=CHOSE * LEFT), NOW)
        rings += 1
    assert 4 < rings < 16


async def test_friends_who_are_stuck_in_strangers_rings_do_not_blame_one_another(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock, SwapTimes(delta=MINUTE)) as world:
        stranger, one, two = world.nodes
        await vet(one, two)
        world.hub.lose = lambda a, b, method: (
            "request" if method == "swap.vote" or (a == stranger.node and b != a and method == "mint.request") else None
        )
        world.nursery.start_soon(world.propose, stranger, *world.ring(world.nodes, world.nodes, 10))
        await pass_time(world, 20, 0.5)
        await pass_time(world, 500, 5)
        assert one.swap.drafts() == two.swap.drafts() == {}
        assert (seen(one, two).broken, seen(two, one).broken) == (0, 0)
        assert seen(one, stranger).broken >= 0.99


async def test_whose_issuer_is_mute_loses_little_of_its_name(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 4, mock_clock, SwapTimes(delta=MINUTE)) as world:
        proposer, giver, other, issuer = world.nodes
        await world.give(issuer, giver, 200)
        world.hub.lose = lambda _, to, method: "request" if to == issuer.node and method == "mint.request" else None
        match = world.ring([proposer, giver, other], [proposer, issuer, other], 20)
        world.nursery.start_soon(world.propose, proposer, *match)
        await pass_time(world, 140, 2)
        assert isinstance(world.outcome, Aborted)
        assert MUTE * 0.99 < seen(proposer, giver).broken <= MUTE
        assert MUTE * 0.99 < seen(other, giver).broken <= MUTE
        assert seen(other, proposer).broken == 0
