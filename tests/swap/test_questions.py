"""Nobody's space may be promised before her word is given, nor more of it, nor twice: the ring asks persons first."""

import dataclasses
from pathlib import Path

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import BidId, DraftId, sha256
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import Signed
from nanobarter.core.units import HOUR, Quantity
from nanobarter.matching.network import Match
from nanobarter.matching.wire import bid_id_of
from nanobarter.swap.events import Asked, DraftRefused, DraftSeen, Settled, SwapEvent
from nanobarter.swap.messages import Draft
from nanobarter.swap.questions import Question, body_of, covers, make_question, open_question
from tests.swap.test_messages import examples
from tests.swap.whole import Node, World, quiet, world_of


async def pass_time(world: World, seconds: float, step: float = 0.5) -> None:
    for _ in range(int(seconds / step)):
        await quiet()
        world.jump(step)
    await quiet()


def waiting(node: Node) -> dict[DraftId, Question]:
    return {known: q for known, q in node.swap.questions.questions().items() if q.waits_for_us}


async def say(node: Node, quantity: int | None = None) -> None:
    ((known, question),) = waiting(node).items()
    arc = question.draft.arcs[question.index]
    assert await node.swap.questions.say(known, Quantity(quantity or arc.quantity)) is None


async def test_persons_are_asked_one_after_the_other_before_anybody_reserves(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        first, second, third = parties = world.nodes
        await world.propose(first, *world.ring(parties, parties, ask=[first, second]))
        assert isinstance(world.outcome, Asked)
        assert world.outcome.ours
        await pass_time(world, 30)
        assert not waiting(second), "the proposer's own person comes first"
        await say(first)
        await pass_time(world, 30)
        assert not any(p.swap.drafts() for p in parties)
        assert not [e for e in third.events if isinstance(e, DraftSeen)], "who asks nobody hears of it last"
        await say(second)
        await pass_time(world, 10)
        assert [p.held(parties[i - 1]) for i, p in enumerate(parties)] == [102, 100, 101]
        assert not any(p.swap.questions.questions() for p in parties)
        await world.check()


async def test_a_word_outlives_restarts_on_both_sides(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        await world.propose(first, *world.ring(parties, parties, ask=[second]))
        await pass_time(world, 5)
        world.hub.disconnect(first.node)  # nobody hears her word yet
        await say(second)
        for node in parties:
            node.up = False
            world.hub.disconnect(node.node)
            node.scope.cancel()
        await quiet()
        for node in parties:
            await world.nursery.start(node.live)
            world.hub.reconnect(node.node)
        await pass_time(world, 200, step=2)
        assert [p.held(parties[i - 1]) for i, p in enumerate(parties)] == [101, 100]
        await world.check()


async def test_less_is_a_new_draft_that_all_persons_have_agreed_to(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        first, second, third = parties = world.nodes
        await world.propose(first, *world.ring(parties, parties, ask=[second, third]))
        await pass_time(world, 5)
        await say(second, 40)
        await say(third)
        for _ in range(40):  # whoever pays a worse price than was shown is asked again
            await pass_time(world, 2)
            for node in (second, third):
                if waiting(node):
                    await say(node)
        gave = {e.draft_id: e.gave[1] for p in parties for e in p.events if isinstance(e, Settled)}
        given = [next(e.gave[1] for e in p.events if isinstance(e, Settled)) for p in parties]
        assert len(gave) == 1
        assert given[1] <= 40
        assert all(quantity >= 1 for quantity in given)
        await world.check()


async def test_a_no_ends_the_question_for_all_and_nobody_has_reserved(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        first, second, third = parties = world.nodes
        await world.propose(first, *world.ring(parties, parties, ask=[second, third]))
        await pass_time(world, 5)
        await say(third)
        (known,) = waiting(second)
        assert await second.swap.questions.drop(known, Reason.POLICY, "not with them", second.node) is None
        await pass_time(world, 5)
        assert not any(p.swap.questions.questions() for p in parties)
        told = [e for e in first.events if isinstance(e, DraftRefused)]
        assert [(e.by, e.detail) for e in told] == [(second.node, "not with them")]
        late = await third.swap.questions.say(known, Quantity(1))
        assert isinstance(late, Refused)
        assert late.reason is Reason.TOO_LATE
        await world.propose(first, *world.ring(parties, parties, ask=[second, third]))
        await pass_time(world, 5)
        assert not waiting(second), "who refused these bids is not asked again while they stand as they are"
        await world.check()


async def test_a_question_lives_for_a_day(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        await world.propose(first, *world.ring(parties, parties, ask=[second]))
        await pass_time(world, 20 * HOUR / 1000, step=600)
        assert waiting(second)
        await pass_time(world, 5 * HOUR / 1000, step=600)
        assert not waiting(second)
        told = [e for e in first.events if isinstance(e, DraftRefused)]
        assert [e.reason for e in told] == [Reason.EXPIRED]


async def test_a_draft_without_her_word_is_refused(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    """A proposer that skips the question gets nothing."""
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        match, bids = world.ring(parties, parties, ask=[second])
        arcs = (await question_of(world, first, parties, second)).draft.arcs
        assert [a.bid for a in arcs] == [a.bid for a in match.arcs]
        outcome = None

        async def skip() -> None:
            nonlocal outcome
            outcome = await first.swap._draft_arcs(arcs, bids)  # pyright: ignore[reportPrivateUsage] - what a cheat would do

        world.nursery.start_soon(skip)
        await pass_time(world, 5)
        assert isinstance(outcome, DraftRefused)
        assert (outcome.by, outcome.reason) == (second.node, Reason.POLICY)


async def question_of(world: World, first: Node, parties: list[Node], asked: Node) -> Question:
    await world.propose(first, *world.ring(parties, parties, ask=[asked]))
    await pass_time(world, 3)
    (question,) = waiting(asked).values()
    return question


async def test_a_word_serves_one_swap(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        draft = (await question_of(world, first, parties, second)).draft
        assert isinstance(second.swap.questions.consents.find(draft, 1), Refused)
        await say(second)
        assert not isinstance(second.swap.questions.consents.find(draft, 1), Refused)
        await pass_time(world, 10)
        assert [p.held(parties[i - 1]) for i, p in enumerate(parties)] == [101, 100]
        assert isinstance(second.swap.questions.consents.find(draft, 1), Refused)


async def test_the_same_ring_is_asked_about_once(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        for _ in range(3):
            await world.propose(first, *world.ring(parties, parties, ask=[second]))
            await pass_time(world, 3)
        assert len(waiting(second)) == 1


async def test_two_that_come_in_the_same_moment_do_not_both_trouble_her(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        await world.propose(first, *world.ring(parties, parties, ask=[second]))
        await pass_time(world, 3)
        ((known, question),) = waiting(second).items()
        await first.swap.questions.drop(known, Reason.CONFLICT, "asked anew below", None)
        await pass_time(world, 3)
        assert not waiting(second)
        async with trio.open_nursery() as nursery:
            for nonce in (b"a", b"b"):
                draft = replace(question.draft, nonce=sha256(nonce))
                signed = make_question(first.key, draft, draft.pace.approve)
                nursery.start_soon(second.swap.questions.on_question, signed)
        assert len(waiting(second)) == 1


def even(world: World, parties: list[Node]) -> tuple[Match, tuple[Item, ...]]:
    """Return a ring in which everybody is asked and gives as much as it gets."""
    match, bids = world.ring(parties, parties, ask=parties)
    return dataclasses.replace(
        match, arcs=tuple(dataclasses.replace(a, quantity=Quantity(100)) for a in match.arcs)
    ), bids


@pytest.mark.parametrize("turn", [0, 1])
async def test_two_persons_who_both_are_asked_first_come_to_a_deal(
    turn: int, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        one, other = parties = world.nodes if not turn else world.nodes[::-1]
        await world.propose(one, *even(world, parties))
        await world.propose(other, *even(world, [other, one]))
        await say(one)
        await pass_time(world, 5)
        ((asked, question),) = waiting(other).items()
        assert question.signed.signer == one.node, "the ring whose first person has spoken"
        await world.propose(other, *even(world, [other, one]))
        assert list(waiting(other)) == [asked]
        await say(other)
        await pass_time(world, 30)
        assert (one.held(other), other.held(one)) == (100, 100)
        assert not any(p.swap.questions.questions() for p in parties)
        await world.check()


async def test_two_words_that_cross_are_enough_for_one_ring(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        one, other = parties = world.nodes
        await world.propose(one, *even(world, parties))
        await world.propose(other, *even(world, [other, one]))
        for node in parties:
            ((known, _),) = waiting(node).items()
            assert await node.swap.questions.say(known, Quantity(100)) is None
        await pass_time(world, 60)
        assert not any(waiting(p) for p in parties), "nobody is asked again"
        assert (one.held(other), other.held(one)) == (100, 100)
        assert not any(p.swap.questions.questions() for p in parties)
        await world.check()


async def test_what_is_left_is_asked_about_at_once(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        ring = world.ring(parties, parties, ask=[second])

        def again(event: SwapEvent) -> None:
            if isinstance(event, Settled):
                world.nursery.start_soon(world.propose, first, *ring)

        first.swap.observe(again)
        await world.propose(first, *ring)
        await pass_time(world, 3)
        await say(second)
        await pass_time(world, 5)
        assert first.held(second) == 101
        assert len(waiting(second)) == 1


@pytest.mark.parametrize("ours", [True, False], ids=["her own node asks her", "another node asks her"])
async def test_her_question_follows_the_bids(tmp_path: Path, mock_clock: trio.testing.MockClock, *, ours: bool) -> None:
    """A bid shrinks while she thinks: she is asked about what is left, and never both."""
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        asked = first if ours else second
        match, bids = world.ring(parties, parties, ask=[asked])
        await world.propose(first, match, bids)
        await pass_time(world, 3)
        ((before, _),) = waiting(asked).items()
        old, body = bids[1], body_of(bids[1])
        assert body is not None
        shrunk = make_item(
            second.key,
            "bid",
            old.key,
            sequence=2,
            expires=old.expires,
            body=encode(replace(body, quantity=Quantity(8))),
        )
        for node in parties:
            node.newest[bid_id_of(old)] = shrunk
            node.swap.questions.bid_changed(bid_id_of(old))
        await pass_time(world, 3)
        ((after, question),) = waiting(asked).items()
        assert after != before
        assert question.draft.arcs[1].quantity <= 8
        assert await asked.swap.questions.say(before, Quantity(1)) is not None
        await say(asked)
        await pass_time(world, 10)
        assert 0 < first.held(second) <= 8
        assert not any(p.swap.questions.questions() for p in parties)
        await world.check()


async def test_her_question_ends_with_a_bid(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = parties = world.nodes
        match, bids = world.ring(parties, parties, ask=[second])
        await world.propose(first, match, bids)
        await pass_time(world, 3)
        assert len(waiting(second)) == 1
        first.newest[bid_id_of(bids[0])] = None
        first.swap.questions.bid_changed(bid_id_of(bids[0]))
        await pass_time(world, 3)
        assert not any(p.swap.questions.questions() for p in parties)


@pytest.mark.parametrize(
    ("said", "gives", "gets", "held"),
    [(100, 100, 100, True), (100, 50, 50, True), (100, 50, 49, False), (49, 50, 50, False), (100, 50, 60, True)],
)
def test_a_word_covers_less_at_the_same_price_or_better(said: int, gives: int, gets: int, *, held: bool) -> None:
    question = examples()["question"]
    assert isinstance(question, Signed)
    draft = open_question(question)

    def of(zero: int, one: int) -> Draft:
        quantities = (Quantity(zero), Quantity(one))
        return replace(draft, arcs=tuple(replace(a, quantity=q) for a, q in zip(draft.arcs, quantities, strict=True)))

    assert covers(of(100, 100), 1, Quantity(said), of(gets, gives)) is held


def test_a_word_covers_no_other_ring() -> None:
    question = examples()["question"]
    assert isinstance(question, Signed)
    draft = open_question(question)
    other = replace(draft, arcs=(replace(draft.arcs[0], bid=BidId(bytes(16))), draft.arcs[1]))
    assert covers(draft, 1, Quantity(51), draft)
    assert not covers(draft, 1, Quantity(51), other)
