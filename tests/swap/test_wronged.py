"""At stake: that a ring which has gone wrong, and is paid or owed, has used up her word and is not forgotten."""

from pathlib import Path

import pytest
import trio.testing

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Refused
from nanobarter.core.keys import seal_signed
from nanobarter.core.units import DAY, SECOND, Span
from nanobarter.swap.amends import DOMAIN_AMENDS, Amends
from nanobarter.swap.events import Aborted
from nanobarter.swap.messages import Ack
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.states import LegSeen, LegTaken
from nanobarter.swap.terms import Agreement
from tests.swap.test_questions import pass_time, question_of, say
from tests.swap.whole import Node, World, world_of


async def end(world: World, party: Node, other: Node, own: str) -> Agreement:
    """End the ring of two that a party has voted for by the words of the issuers, said in their place."""
    rings, theirs = party.swap._rings, other.swap._rings  # pyright: ignore[reportPrivateUsage] - as said
    ((draft, state),) = rings.live().items()
    agreement, index, now = agreement_in(state), mine_in(state).index, world.clock.now()
    assert agreement is not None
    secrets = [mine_in(s).secret for s in (theirs.live()[draft], state)]
    opened = LegSeen(index if own == "opened" else 1 - index, "opened", now, tuple(secrets), None)
    returned = LegSeen(1 - opened.index, "returned", now, (), None)
    await rings.apply(draft, opened)
    await rings.apply(draft, returned)
    if own == "returned":
        await rings.apply(draft, LegTaken(1 - index))
    return agreement


@pytest.mark.parametrize(("own", "how"), [("opened", "wronged"), ("returned", "owing")])
async def test_a_word_has_served_when_its_ring_has_gone_wrong(
    own: str, how: str, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        draft = (await question_of(world, first, parties, second)).draft
        world.hub.lose = lambda a, b, method: "request" if method == "mint.request" and a != b else None
        await say(second)
        await pass_time(world, 5)
        await end(world, second, first, own)
        assert [e.how for e in second.events if isinstance(e, Aborted)] == [how]
        assert isinstance(second.swap.questions.consents.find(draft, 1), Refused)
        await pass_time(world, 5)
        assert not second.swap.questions.questions(), "and there is nothing left to ask or to answer"


async def test_a_debt_is_not_dropped_for_a_creditor_who_has_lost_its_record(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        first, second, stranger = world.nodes
        world.hub.lose = lambda a, b, method: "request" if method == "mint.request" and a != b else None
        world.nursery.start_soon(world.propose, first, *world.ring([first, second], [first, second], 10))
        await pass_time(world, 5)
        agreement = await end(world, second, first, "opened")
        await second.store.write(lambda db: db.execute("DELETE FROM swap_drafts"))

        async def told(whom: Node) -> bool:
            line = first.swap._caller  # pyright: ignore[reportPrivateUsage] - sent by hand
            amends = encode(seal_signed(first.key, DOMAIN_AMENDS, Amends(agreement.signed)))
            return decode(
                await line.call(whom.node, "swap.amends", amends, timeout=Span(5 * SECOND)), Ack, size_max=64
            ).known

        assert not await told(second)
        assert await told(stranger), "who is no party will never have anything to do with it"
        await pass_time(world, 36 * DAY / SECOND, step=DAY / SECOND)
        assert await told(second), "the notes have lapsed"
