"""At stake: that whoever asks persons and cancels, for nothing, does not keep all others from asking."""

import dataclasses
from pathlib import Path

import pytest
import trio.testing

from nanobarter.core.errors import Reason
from nanobarter.swap import tables
from nanobarter.swap.events import Asked
from tests.swap import whole
from tests.swap.test_questions import pass_time, waiting
from tests.swap.whole import world_of


@pytest.mark.parametrize(("of_one", "of_all", "most"), [(3, 100, 8), (100, 6, 7)])
async def test_who_asks_and_cancels_takes_no_room_from_others(
    tmp_path: Path,
    mock_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    of_one: int,
    of_all: int,
    most: int,
) -> None:
    few = dataclasses.replace(whole.LIMITS, swap_questions_over_signer_max=of_one, swap_questions_over_max=of_all)
    monkeypatch.setattr(whole, "LIMITS", few)
    async with world_of(tmp_path, 4, mock_clock) as world:
        victim, honest, *strangers = world.nodes
        first = strangers[0]
        match, bids = world.ring([first, victim], [first, victim], ask=[victim], key=b"refused".ljust(16))
        await world.propose(first, match, bids)
        await pass_time(world, 5)
        (no,) = waiting(victim)
        assert await victim.swap.questions.drop(no, Reason.POLICY, "not with them", victim.node) is None
        for number in range(14):
            stranger = strangers[number % 2]
            await world.propose(stranger, *world.ring([stranger, victim], [stranger, victim], ask=[victim]))
            await pass_time(world, 2)
            (known,) = waiting(victim)
            assert await stranger.swap.questions.drop(known, Reason.EXPIRED, "", None) is None
            await pass_time(world, 2)
        kept = victim.store.read_now(tables.questions)
        assert no in kept, "what she refused is remembered longest"
        assert len(kept) <= most
        await world.propose(first, match, bids)
        await pass_time(world, 5)
        assert not waiting(victim)
        for one, other in ((victim, honest), (honest, victim)):
            await world.propose(one, *world.ring([one, other], [one, other], ask=[victim]))
            await pass_time(world, 5)
            assert isinstance(world.outcome, Asked)
            ((known, _),) = waiting(victim).items()
            await victim.swap.questions.drop(known, Reason.EXPIRED, "", None)
            await pass_time(world, 5)


async def test_what_others_ask_leaves_room_for_what_we_ask(
    tmp_path: Path, mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "LIMITS", dataclasses.replace(whole.LIMITS, swap_questions_max=1))
    async with world_of(tmp_path, 3, mock_clock) as world:
        victim, stranger, honest = world.nodes
        await world.propose(stranger, *world.ring([stranger, victim], [stranger, victim], ask=[victim]))
        await pass_time(world, 5)
        assert len(waiting(victim)) == 1
        ring = world.ring([victim, honest], [victim, honest], ask=[victim], key=b"another".ljust(16))
        await world.propose(victim, *ring)
        assert isinstance(world.outcome, Asked)
