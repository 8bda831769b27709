"""A stranger who lets rings break must not lock up our stock, and must not pay less for it than for a late draft."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import BidId, NodeId, sha256
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, SECOND, Instant, Quantity, after
from nanobarter.matching.wire import BidBody, Want, bid_id_of
from nanobarter.swap import tables
from nanobarter.swap.caution import Circle, Held, held_in, objection, who_matters
from nanobarter.swap.events import DraftRefused, Settled
from nanobarter.swap.messages import Draft, DraftArc
from nanobarter.swap.objections import Short
from nanobarter.swap.standing import LEFT, NEWCOMER, Lesson, learned
from nanobarter.swap.states import Aborted, LegSeen, Locking, Voted
from nanobarter.swap.terms import SwapTimes, agreement_of
from tests.swap.test_standing import NOW, acquaint, seen
from tests.swap.whole import KIND, Node, World, quiet, world_of

OFFERED = 400  # what a bid in these worlds offers
KEYS = [SigningKey(sha256(b"node %d" % number)) for number in range(6)]
NODES = [key.node_id for key in KEYS]
PROPOSER, ME, RECEIVER = NODES[0], NODES[5], NODES[1]


def item_of(key: SigningKey) -> Item:
    quality = Quality(key.node_id, KIND)
    body = BidBody("limit", quality, Want(KIND, None, (), ()), (1, 1), Quantity(OFFERED), None, None)
    return make_item(key, "bid", bytes(16), sequence=1, expires=after(NOW, DAY), body=encode(body))


ITEMS = {key.node_id: item_of(key) for key in KEYS}
OURS = BidId(bid_id_of(ITEMS[ME]))
rings = st.builds(
    Held,
    proposer=st.none() | st.sampled_from(NODES[:5]),
    receiver=st.sampled_from(NODES[:5]),
    bid=st.sampled_from([OURS, BidId(bytes(16))]),
    quantity=st.integers(1, 200).map(Quantity),
    left=st.booleans(),
)


def draft_of(quantity: int) -> Draft:
    """Return a draft of PROPOSER in which our arc, the second, gives so much to RECEIVER."""
    arcs = [
        DraftArc(BidId(bid_id_of(ITEMS[node])), node, Quality(node, KIND), Quantity(quantity))
        for node in (PROPOSER, ME, RECEIVER)
    ]
    bids = tuple(ITEMS[arc.giver] for arc in arcs)
    return Draft(tuple(arcs), bids, SwapTimes().pace, bytes(32), NOW)


@given(st.lists(rings, max_size=12), st.sets(st.sampled_from(NODES)), st.booleans(), st.integers(1, OFFERED))
def test_whatever_is_taken_strangers_stay_within_their_bounds(
    held: list[Held],
    vetted: set[NodeId],
    young: bool,  # noqa: FBT001 - hypothesis gives it
    quantity: int,
) -> None:
    draft = draft_of(quantity)
    circle = Circle(dict.fromkeys(who_matters(draft, 1, held), NEWCOMER), frozenset(vetted), young)
    refused = objection(draft, 1, held, circle, LIMITS, NOW)
    if isinstance(refused, Short) and refused.free:
        assert refused.free < quantity
        assert objection(draft_of(refused.free), 1, held, circle, LIMITS, NOW) is None
    if refused is not None:
        return
    now_held = [*held, Held(PROPOSER, RECEIVER, OURS, Quantity(quantity), left=False)]
    of_bid = [each for each in now_held if each.bid == OURS]
    if PROPOSER not in vetted:
        assert sum(each.proposer == PROPOSER for each in now_held) <= LIMITS.swap_unvetted_rings_max
    if PROPOSER not in vetted and not young:
        assert sum(each.quantity for each in of_bid if each.proposer == PROPOSER) <= OFFERED // 10
        strangers = [each for each in of_bid if each.proposer is not None and each.proposer not in vetted]
        assert sum(each.quantity for each in strangers) <= OFFERED * 3 // 10
    for node in {PROPOSER, RECEIVER} - vetted:
        left = sum(each.quantity for each in held if each.left and each.bid == OURS and node in each.by)
        assert not left or left + quantity <= OFFERED // 2


@given(st.lists(rings, max_size=12), st.integers(1, OFFERED))
def test_who_is_vetted_is_not_held_back_by_what_strangers_hold(held: list[Held], quantity: int) -> None:
    circle = Circle({}, frozenset({PROPOSER, RECEIVER}), is_young=False)
    assert objection(draft_of(quantity), 1, held, circle, LIMITS, NOW) is None


def test_rings_that_newcomers_left_behind_take_no_room_of_who_is_known() -> None:
    few = replace(LIMITS, swap_left_max=3)
    held = [Held(node, RECEIVER, BidId(bytes(16)), Quantity(4), left=True) for node in NODES[1:4]]
    strange = dict.fromkeys(who_matters(draft_of(100), 1, held), NEWCOMER)
    refused = objection(draft_of(100), 1, held, Circle(strange, frozenset(), is_young=True), few, NOW)
    assert refused is not None
    assert refused.reason is Reason.TOO_MANY
    known = strange | {PROPOSER: learned(NEWCOMER, Lesson(PROPOSER, kept=1), NOW)}
    assert objection(draft_of(100), 1, held, Circle(known, frozenset(), is_young=True), few, NOW) is None
    friends = frozenset({PROPOSER})
    assert objection(draft_of(100), 1, held, Circle(strange, friends, is_young=True), few, NOW) is None


class Wrecker:
    """A stranger who proposes, cancels as soon as our lock stands, and never releases what should pay it."""

    def __init__(self, world: World, node: Node, victim: Node) -> None:
        self.world, self.node, self.victim = world, node, victim
        self.refused = list[DraftRefused]()

    def keeps(self, caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
        """Lose what would let the victim vote, and what would give its lock back."""
        ours = (caller, callee) == (self.node.node, self.victim.node) and method in ("swap.locked", "mint.request")
        return "request" if ours else None

    async def strike(self, quantity: int) -> None:
        """Break one ring."""
        world = self.world
        world.proposed, world.outcome = False, None
        match, bids = world.ring([self.node, self.victim], [self.node, self.victim], quantity - 1)  # arc 1 is one more
        world.nursery.start_soon(world.propose, self.node, match, bids)
        for _ in range(40):
            await quiet()
            for draft, state in self.victim.swap.drafts().items():
                if isinstance(state, Locking) and state.receipts[1] is not None and draft in self.node.swap.drafts():
                    await self.node.swap.withdraw(draft)
            if world.proposed:
                break
            world.jump(0.1)
        await quiet()


def locked(node: Node) -> int:
    (capacity,) = node.mint.capacity()
    return capacity.locked


async def wreck(world: World, wrecker: Wrecker, *, times: int, quantity: int) -> list[int]:
    """Strike again and again; return what the victim had locked after each strike."""
    before = world.hub.lose

    def lose(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
        return wrecker.keeps(caller, callee, method) or (before(caller, callee, method) if before else None)

    world.hub.lose = lose
    found = list[int]()
    for _ in range(times):
        await wrecker.strike(quantity)
        found.append(locked(wrecker.victim))
    return found


async def test_a_stranger_who_cancels_what_was_agreed_locks_a_tenth_of_a_bid_and_no_more(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock, SwapTimes()) as world:
        stranger, victim = world.nodes
        await acquaint(victim, LIMITS.swap_vetted_enough)
        assert max(await wreck(world, Wrecker(world, stranger, victim), times=6, quantity=20)) == OFFERED // 10
        assert all(isinstance(state, Aborted) for state in victim.swap.drafts().values())


async def test_all_strangers_together_lock_a_share_of_a_bid_and_who_is_vetted_gets_the_rest(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 6, mock_clock, SwapTimes()) as world:
        victim, friend, *strangers = world.nodes
        await acquaint(victim, LIMITS.swap_vetted_enough)
        found = list[int]()
        for stranger in strangers:
            found += await wreck(world, Wrecker(world, stranger, victim), times=1, quantity=OFFERED // 10)
        assert max(found) == OFFERED * LIMITS.swap_strangers_percent // 100
        await vet(victim, friend)
        world.proposed = False
        world.nursery.start_soon(world.propose, friend, *world.ring([friend, victim], [friend, victim], 200))
        await settled(world)
        assert (isinstance(world.outcome, Settled), friend.held(victim)) == (True, 201)


async def test_in_a_new_network_too_who_left_a_lock_behind_gets_no_more_than_half_of_a_bid(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock, SwapTimes()) as world:
        stranger, victim, other = world.nodes
        assert max(await wreck(world, Wrecker(world, stranger, victim), times=6, quantity=50)) == OFFERED // 2
        world.proposed = False  # it is not vetted either, but has left nothing behind
        world.nursery.start_soon(world.propose, other, *world.ring([other, victim], [other, victim], 150))
        await settled(world)
        assert (isinstance(world.outcome, Settled), other.held(victim)) == (True, 151)


async def test_we_ourselves_propose_no_ring_to_who_keeps_half_of_a_bid_locked(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock, SwapTimes()) as world:
        stranger, victim = world.nodes
        await wreck(world, Wrecker(world, stranger, victim), times=6, quantity=50)
        match, bids = world.ring([victim, stranger], [victim, stranger], 50)
        outcome = await victim.swap.propose(match, bids)
        assert isinstance(outcome, DraftRefused)
        assert (outcome.by, outcome.reason) == (victim.node, Reason.OVER_QUOTA)


async def test_the_rings_that_one_stranger_left_behind_are_few_however_small(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock, SwapTimes()) as world:
        stranger, victim = world.nodes
        await wreck(world, Wrecker(world, stranger, victim), times=LIMITS.swap_unvetted_rings_max + 2, quantity=5)
        assert len(victim.swap.drafts()) == LIMITS.swap_unvetted_rings_max


async def test_what_comes_back_counts_no_more_and_its_keeper_pays_for_the_time(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        stranger, victim = world.nodes
        await acquaint(victim, LIMITS.swap_vetted_enough)
        await wreck(world, Wrecker(world, stranger, victim), times=1, quantity=40)
        cancelled = seen(victim, stranger).broken
        assert LEFT <= cancelled < LEFT + 0.1
        for _ in range(60):
            await quiet()
            world.jump(5)
        assert (locked(victim), victim.swap.drafts()) == (0, {})
        assert 0.9 * LEFT < seen(victim, stranger).broken - cancelled <= LEFT
        world.hub.lose = None
        world.proposed = False
        world.nursery.start_soon(world.propose, stranger, *world.ring([stranger, victim], [stranger, victim], 39))
        await settled(world)
        assert (isinstance(world.outcome, Settled), stranger.held(victim)) == (True, 40)


async def test_who_cancels_honestly_and_releases_at_once_is_blamed_for_the_cancel_alone(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        proposer, party = world.nodes
        wrecker = Wrecker(world, proposer, party)
        world.hub.lose = lambda caller, callee, method: (
            wrecker.keeps(caller, callee, method) if method == "swap.locked" else None
        )
        await wrecker.strike(40)
        for _ in range(20):
            await quiet()
            world.jump(1)
        assert (locked(party), party.swap.drafts()) == (0, {})
        assert LEFT <= seen(party, proposer).broken < LEFT + 0.1


@pytest.mark.parametrize("how", ["release", "refund"])
async def test_a_receiver_is_not_blamed_for_what_an_issuer_dates_late(
    how: str, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock, SwapTimes()) as world:
        world.hub.lose = lambda _caller, _callee, method: "request" if method == "swap.vote" else None
        _, party, receiver = world.nodes
        world.nursery.start_soon(world.propose, world.nodes[0], *world.ring(world.nodes, world.nodes, 20))
        for _ in range(20):
            await quiet()
            world.jump(0.5)
        ((draft, state),) = party.swap.drafts().items()
        assert isinstance(state, Voted)
        agreement = agreement_of(state.deal.agreed)
        if how == "release":  # by now all the time would have passed
            world.jump((agreement.deadline(1) - world.clock.now()) / SECOND)
        seen_late = LegSeen(1, "returned", agreement.deadline(1), (), None, released=how == "release")
        await party.swap._rings.apply(draft, seen_late)  # pyright: ignore[reportPrivateUsage] - what a mint would say
        assert not isinstance(party.swap.drafts().get(draft), Voted)
        assert seen(party, receiver).broken == 0


async def test_what_a_ring_holds_is_told_by_its_state(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        stranger, victim = world.nodes
        found = set[tuple[str, int, bool] | None]()
        world.hub.lose = Wrecker(world, stranger, victim).keeps
        await Wrecker(world, stranger, victim).strike(40)
        for _ in range(60):
            for state in victim.swap.drafts().values():
                held = held_in(state, world.clock.now())
                found.add(held and (type(state).__name__, held.quantity, held.left))
            await quiet()
            world.jump(5)
        assert ("Aborted", 40, True) in found
        assert [held_in(s, Instant(world.clock.now())) for s in victim.swap.drafts().values()] == []


async def vet(node: Node, friend: Node) -> None:
    """Let a node remember a friend who has settled some rings with it over some weeks."""
    now = node.world.clock.now()
    for day in (20, 10, 0):
        at = Instant(now - day * DAY)
        await node.store.write(lambda db, at=at: tables.learn(db, [Lesson(friend.node, kept=1)], at))


async def settled(world: World) -> None:
    """Wait until the ring that was proposed has come to its end."""
    for _ in range(80):
        await quiet()
        if world.proposed:
            return
        world.jump(0.1)


@pytest.mark.parametrize("fresh", [True, False])
async def test_what_only_our_own_mint_keeps_is_held_against_nobody(
    *, fresh: bool, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        proposer, party, issuer = world.nodes
        await world.give(issuer, party, 50)
        world.hub.lose = lambda _caller, _callee, method: "request" if method == "swap.vote" else None
        match, bids = world.ring([proposer, party], [proposer, party if fresh else issuer], 20)
        world.nursery.start_soon(world.propose, proposer, match, bids)
        for _ in range(20):
            await quiet()
            world.jump(0.5)
        (state,) = party.swap.drafts().values()
        assert isinstance(state, Voted)
        due = agreement_of(state.deal.agreed).deadline(1)
        held = held_in(state, due)
        assert held is not None
        assert (held.left, held.receiver) == (True, proposer.node)
        assert (held_in(state, after(due, DAY)) is None) == fresh  # a mint that was put back keeps it for weeks
