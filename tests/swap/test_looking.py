"""A look at a draft takes as long as others please: it must hold no bid, and what it saw must be what is agreed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import DraftId, Hash, NodeId, sha256
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.units import SECOND, Span
from nanobarter.swap.events import DraftRefused, Settled
from nanobarter.swap.messages import Draft
from nanobarter.swap.policy import ApproveAll
from nanobarter.swap.states import Gathering
from tests.swap.test_caution import vet
from tests.swap.test_standing import seen
from tests.swap.whole import Node, quiet, world_of


class Slow(ApproveAll):
    """A look that ends when it is told to, or never."""

    def __init__(self, slow: Callable[[Draft], bool]) -> None:
        self.begun, self.go_on, self._slow = trio.Event(), trio.Event(), slow

    async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> None:
        if self._slow(draft):
            self.begun.set()
            await self.go_on.wait()


async def test_a_draft_whose_look_is_slow_does_not_keep_others_from_the_bid(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    policy = Slow(lambda draft: len(draft.arcs) == 3)
    async with world_of(tmp_path, 3, mock_clock, policies={2: policy, 3: policy}) as world:
        stranger, victim, other = world.nodes
        match, bids = world.ring([stranger, victim, other], [stranger, victim, other])
        world.nursery.start_soon(world.propose, stranger, match, bids)
        await policy.begun.wait()
        assert not victim.swap.busy(match.arcs[1].bid)
        second = world.ring([other, victim], [other, victim])
        assert isinstance(await other.swap.propose(*second), Settled)
        assert other.held(victim) == 101


async def test_a_look_ends_by_itself_and_is_refused(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    policy = Slow(lambda _: True)
    async with world_of(tmp_path, 2, mock_clock, policies={2: policy}) as world:
        world.nursery.start_soon(world.propose, world.nodes[0], *world.ring(world.nodes, world.nodes))
        await policy.begun.wait()
        await quiet()
        world.jump(LIMITS.swap_look_max / SECOND)
        await quiet()
        assert isinstance(world.outcome, DraftRefused)
        assert (world.outcome.by, world.outcome.reason) == (world.nodes[1].node, Reason.NOT_FOUND)


async def test_a_cancel_ends_the_look(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    policy = Slow(lambda _: True)
    async with world_of(tmp_path, 2, mock_clock, policies={2: policy}) as world:
        proposer, party = world.nodes
        world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes))
        await policy.begun.wait()
        (draft,) = proposer.swap.drafts()
        await proposer.swap.withdraw(draft)
        await quiet()
        refused = [event for event in party.events if isinstance(event, DraftRefused)]
        assert [(event.draft_id, event.reason) for event in refused] == [(draft, Reason.BUSY)]


async def test_the_drafts_of_one_proposer_that_are_looked_at_are_few(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    policy = Slow(lambda _: True)
    async with world_of(tmp_path, 2, mock_clock, policies={2: policy}) as world:
        proposer, party = world.nodes
        for number in range(LIMITS.swap_looks_proposer_max + 3):
            ring = world.ring(world.nodes, world.nodes, 20, key=bytes([number]) * 16)
            world.nursery.start_soon(world.propose, proposer, *ring)
        await quiet()
        refused = [event for event in party.events if isinstance(event, DraftRefused)]
        assert [event.reason for event in refused] == [Reason.TOO_MANY] * 3


async def test_a_cancelled_draft_is_not_taken_from_another_than_its_proposer(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    policy = Slow(lambda _: True)
    async with world_of(tmp_path, 3, mock_clock, policies={2: policy}) as world:
        proposer, party, other = world.nodes
        match, bids = world.ring(world.nodes, world.nodes, 10)
        world.nursery.start_soon(world.propose, proposer, match, bids)
        await policy.begun.wait()
        ((draft_id, state),) = proposer.swap.drafts().items()
        assert isinstance(state, Gathering)
        await proposer.swap.withdraw(draft_id)
        await quiet()
        policy.go_on.set()
        line = other.swap._caller  # pyright: ignore[reportPrivateUsage] - all its partners have the draft
        await line.call(party.node, "swap.draft", encode(state.draft), timeout=Span(5 * SECOND))
        await quiet()
        assert not party.swap.busy(match.arcs[1].bid)
        for _ in range(90):
            world.jump(1)
            await quiet()
        assert seen(party, proposer).broken == 0


def lie_about_terms(node: Node) -> None:
    """Let a node promise in its approvals something else than it tells who asks it."""

    def other(_quality: Quality) -> Hash:
        return Hash(sha256(b"nothing at all"))

    node.wallet.terms_hash = other  # pyright: ignore[reportAttributeAccessIssue] - it lies here


@pytest.mark.parametrize("liar", range(3))
async def test_who_pays_under_other_terms_than_the_issuer_names_gets_no_ring(
    liar: int, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        locks = list[NodeId]()

        def count(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            if method == "swap.locked":
                locks.append(caller)
            return None

        world.hub.lose = count
        lie_about_terms(world.nodes[liar])
        world.nursery.start_soon(world.propose, world.nodes[0], *world.ring(world.nodes, world.nodes))
        for _ in range(200):
            await quiet()
            if world.proposed:
                break
            world.jump(1)
        assert not isinstance(world.outcome, Settled)
        assert world.nodes[(liar + 1) % 3].node not in locks
        assert world.nodes[1].faults == world.nodes[2].faults == []


async def test_the_proposer_is_not_blamed_for_the_odd_terms_of_another(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        proposer, liar, party = world.nodes
        lie_about_terms(liar)
        world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes, 10))
        for _ in range(100):
            await quiet()
            if world.proposed:
                break
            world.jump(1)
        refused = [event for event in party.events if isinstance(event, DraftRefused)]
        assert [event.reason for event in refused] == [Reason.WRONG_TERMS]
        assert seen(party, proposer).broken == 0


async def test_a_look_makes_way_for_who_is_known_better_and_never_for_who_is_known_less(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    policy = Slow(lambda _: True)
    async with world_of(tmp_path, 4, mock_clock, policies={2: policy}) as world:
        stranger, victim, friend, other = world.nodes
        await vet(victim, friend)
        one = replace(LIMITS, swap_looks_max=1)
        victim.swap._joiner._limits = one  # pyright: ignore[reportPrivateUsage] - 64 of them would be many
        proposers = (stranger, friend, other)
        for proposer in proposers:
            world.nursery.start_soon(world.propose, proposer, *world.ring([proposer, victim], [proposer, victim]))
            await quiet()
        policy.go_on.set()
        await quiet()
        ends = {node: [e for e in node.events if isinstance(e, DraftRefused | Settled)] for node in proposers}
        assert [type(event) for event in ends[friend]] == [Settled]
        assert [event.reason for event in ends[stranger] if isinstance(event, DraftRefused)] == [Reason.BUSY]
        assert [event.reason for event in ends[other] if isinstance(event, DraftRefused)] == [Reason.TOO_MANY]
