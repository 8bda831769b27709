"""At stake: that no stranger ends a node by what it drafts, be it the same thing several times in one moment."""

import logging
from pathlib import Path

import pytest
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import InvariantBroken, LocalFault, is_ours
from nanobarter.core.keys import Signed
from nanobarter.core.units import SECOND, Span
from nanobarter.swap import errands
from nanobarter.swap.events import DraftRefused, DraftSeen, Settled
from nanobarter.swap.making import make_draft, ring_of
from nanobarter.swap.messages import Draft
from nanobarter.swap.policy import ApproveAll
from nanobarter.swap.states import Approved
from tests.swap.test_questions import pass_time, say
from tests.swap.whole import Node, World, quiet, world_of


def drafted(world: World, proposer: Node, party: Node, quantity: int = 9) -> Signed:
    """Return the draft of a ring of two, which its proposer does not wait for."""
    arcs, items = ring_of(*world.ring([proposer, party], [proposer, party], quantity))
    draft = proposer.swap._drafter.draft_of(arcs, items)  # pyright: ignore[reportPrivateUsage] - sent by hand
    return make_draft(proposer.key, draft)


async def send(proposer: Node, party: Node, signed: Signed) -> None:
    line = proposer.swap._caller  # pyright: ignore[reportPrivateUsage] - sent by hand
    await line.call(party.node, "swap.draft", encode(signed), timeout=Span(5 * SECOND))


async def test_a_draft_that_comes_several_times_at_once_is_looked_at_once(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        stranger, party = world.nodes
        signed = drafted(world, stranger, party)
        for _ in range(4):
            world.nursery.start_soon(send, stranger, party, signed)
        await quiet()
        assert [type(state) for state in party.swap.drafts().values()] == [Approved]
        assert sum(isinstance(event, DraftSeen) for event in party.events) == 1
        assert not any(isinstance(event, DraftRefused) for event in party.events)


class Broken(ApproveAll):
    """Has a bug that the first draft brings out."""

    def __init__(self, error: Exception) -> None:
        self.errors = [error]

    async def last_look(self, draft: Draft, index: int, draft_id: bytes) -> None:
        if self.errors:
            raise self.errors.pop()


async def test_a_bug_that_a_draft_brings_out_costs_that_draft_only(
    tmp_path: Path, mock_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world_of(tmp_path, 2, mock_clock, policies={2: Broken(KeyError("a bug"))}) as world:
        stranger, party = world.nodes
        signed = drafted(world, stranger, party)
        with caplog.at_level(logging.ERROR):
            await send(stranger, party, signed)
            await quiet()
        assert "our fault" in caplog.text
        assert party.swap.drafts() == {}
        await send(stranger, party, signed)
        await quiet()
        assert len(party.swap.drafts()) == 1  # it was given up, and is not expected any more


async def test_a_bug_that_a_question_brings_out_costs_that_question_only(
    tmp_path: Path,
    mock_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_args: object) -> None:
        raise KeyError("a bug")

    async with world_of(tmp_path, 2, mock_clock) as world:
        stranger, party = world.nodes
        await world.propose(stranger, *world.ring([stranger, party], [stranger, party], 20, ask=[party]))
        await pass_time(world, 3)
        monkeypatch.setattr(errands, "make_consent", broken)
        with caplog.at_level(logging.ERROR):
            await say(party)
            await pass_time(world, 3)
        assert "our fault" in caplog.text
        other = world.ring([stranger, party], [stranger, party], 20, key=bytes([1]) * 16)
        world.nursery.start_soon(world.propose, stranger, *other)
        await pass_time(world, 10)
        assert isinstance(world.outcome, Settled)


def test_what_says_that_the_node_cannot_go_on_is_found_among_the_errors_of_several_tasks() -> None:
    assert is_ours(InvariantBroken("two ledgers"))
    assert is_ours(ExceptionGroup("tasks", [ValueError(), ExceptionGroup("more", [LocalFault("the disk is full")])]))
    assert not is_ours(ExceptionGroup("tasks", [ValueError(), KeyError()]))
