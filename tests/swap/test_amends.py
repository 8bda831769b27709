"""Who was paid although its own arc came back owes: it must pay once, survive crashes, and issue nothing before."""

import contextlib
from pathlib import Path
from typing import Literal

import pytest
import trio.testing
from msgspec.structs import replace

from nanobarter.core.canonical import Record, encode
from nanobarter.core.errors import PeerFault, Reason, Refused
from nanobarter.core.ids import AgreementId, NodeId, sha256
from nanobarter.core.keys import SigningKey, seal_signed
from nanobarter.core.units import DAY, MINUTE, Quantity, Span, after
from nanobarter.mint.messages import LockTerms
from nanobarter.swap.amends import DOMAIN_AMENDS, Amends
from nanobarter.swap.events import Aborted, DraftRefused, Settled
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.states import LegSeen, LegTaken
from nanobarter.swap.tables import debts
from nanobarter.swap.terms import Agreement
from nanobarter.wallet.events import NotesReceived
from tests.swap.whole import KIND, Node, World, quiet, world_of


async def pass_time(world: World, seconds: float, step: float = 0.5) -> None:
    for _ in range(int(seconds / step)):
        await quiet()
        world.jump(step)
    await quiet()


async def owing(world: World, debtor: Node, other: Node) -> None:
    """Bring a ring of two so far that the debtor was paid and its own arc came back, by the words of the issuers.

    No honest issuers say this while they are up, so it is said in their place; their locks stay out of the story.
    """
    rings, theirs = debtor.swap._rings, other.swap._rings  # pyright: ignore[reportPrivateUsage] - as said
    ((draft, state),) = rings.live().items()
    agreement = agreement_in(state)
    assert agreement is not None
    secrets = (mine_in(theirs.live()[draft]).secret, mine_in(state).secret)
    now, own = world.clock.now(), mine_in(state).index
    await rings.apply(draft, LegSeen(own, "returned", now, (), None))
    await rings.apply(draft, LegSeen(1 - own, "opened", now, secrets, None))
    await rings.apply(draft, LegTaken(1 - own))


async def test_a_debt_is_paid_once_and_before_anything_is_issued(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        first, second = world.nodes

        def rule(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            return "request" if method == "mint.request" and caller != callee else None

        world.hub.lose = rule  # no arc is opened, so both wait after the vote
        pair = [first, second]
        world.nursery.start_soon(world.propose, first, *world.ring(pair, pair))
        await pass_time(world, 3)
        await owing(world, second, first)
        assert [e.how for e in second.events if isinstance(e, Aborted)] == ["owing"]
        await pass_time(world, 3)
        (owed,) = second.store.read_now(debts).values()
        assert owed[1] == 1
        second.plug = (second.writes + 1, True)  # it dies with its next write, whatever that is
        world.hub.lose = lambda caller, callee, method: (
            "request" if (caller, callee, method) == (second.node, first.node, "swap.amends") else None
        )
        await pass_time(world, 300, step=5)
        assert second.store.read_now(debts) != {}, "it is told until the receiver has it"
        world.hub.lose = None
        await pass_time(world, 200, step=5)
        assert second.store.read_now(debts) == {}
        received = [h for h in first.wallet.holdings() if h.quality == second.quality]
        assert sum(h.quantity for h in received) >= 101
        received = [e for e in first.wallet.events() if isinstance(e[1], NotesReceived)]
        assert sum(e[1].quality == second.quality for e in received) <= 2, "the arc, once it is opened, and the amends"


async def test_nothing_is_issued_while_a_debt_cannot_be_paid(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        first, second, third = world.nodes
        world.hub.lose = lambda caller, callee, method: (
            "request" if method == "mint.request" and caller != callee else None
        )
        pair = [first, second]
        world.nursery.start_soon(world.propose, first, *world.ring(pair, pair))
        await pass_time(world, 3)
        taken = second.wallet.free(second.quality)
        assert await second.wallet.reserve(b"all", second.quality, taken, after(world.clock.now(), DAY)) is None
        await owing(world, second, first)
        await pass_time(world, 5)
        world.hub.lose = None
        refused = await second.swap.propose(*world.ring([second, third], [second, third], key=bytes([1]) * 16))
        assert isinstance(refused, DraftRefused)
        assert (refused.reason, refused.detail) == (Reason.BUSY, "an earlier agreement is made good first")
        await second.wallet.unreserve(b"all")
        await pass_time(world, 200, step=5)
        assert second.store.read_now(debts) == {}


class _Chosen(Record, frozen=True):
    """Amends as a cheat would like them: the terms are the sender's to choose."""

    agreement: AgreementId
    terms: LockTerms


async def bait(world: World, agreement: Agreement, other: Node) -> LockTerms:
    """Lock and open 4 MiB of another issuer under the id of the first arc's lock, for who is to take that one."""
    secrets = (sha256(b"one"), sha256(b"two"))
    worthless = replace(
        agreement.terms[0],
        issuer=other.node,
        terms_hash=other.mint.terms_hash(KIND),
        quantity=Quantity(4),
        hashes=tuple(sha256(secret) for secret in secrets),
        refund_key=other.wallet.lock_keys(bytes(32), 0).refund.public,
    )
    locked = await other.wallet.lock(b"bait", worthless, after(world.clock.now(), MINUTE))
    assert not isinstance(locked, Refused), locked
    assert not isinstance(await other.wallet.open(worthless, secrets), Refused)
    return worthless


async def before_the_votes(world: World, giver: Node, victim: Node) -> Agreement:
    """Bring a ring of two to where the votes are under way, and hold them back."""
    world.hub.lose = lambda _caller, _callee, method: "request" if method == "swap.vote" else None
    world.nursery.start_soon(world.propose, giver, *world.ring([giver, victim], [giver, victim]))
    await pass_time(world, 2)
    ((_, state),) = giver.swap.drafts().items()
    agreement = agreement_in(state)
    assert agreement is not None
    return agreement


@pytest.mark.parametrize("by", ["a stranger", "the giver"])
async def test_nobody_has_her_take_something_else_in_the_place_of_what_she_is_owed(
    tmp_path: Path, mock_clock: trio.testing.MockClock, by: str
) -> None:
    """What a sender of amends chose was once booked under the lock of the ring, which then never paid."""
    async with world_of(tmp_path, 3, mock_clock) as world:
        giver, victim, other = world.nodes
        agreement = await before_the_votes(world, giver, victim)
        worthless = await bait(world, agreement, other)
        sender = giver.key if by == "the giver" else SigningKey(sha256(b"stranger"))
        wire = world.hub.node(SigningKey(sha256(b"a wire of its own")))
        for message in (Amends(agreement.signed), _Chosen(agreement.agreement_id, worthless)):
            with contextlib.suppress(PeerFault):
                sealed = encode(seal_signed(sender, DOMAIN_AMENDS, message))
                await wire.call(victim.node, "swap.amends", sealed, timeout=Span(5000))
        world.hub.lose = None
        await pass_time(world, 20)
        assert [type(e) for e in victim.events if isinstance(e, Settled | Aborted)] == [Settled]
        assert (victim.held(giver), victim.held(other)) == (100, 0)


async def test_a_wallet_takes_no_answer_about_one_lock_for_that_about_another_of_its_id(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        giver, victim, other = world.nodes
        agreement = await before_the_votes(world, giver, victim)
        worthless = await bait(world, agreement, other)
        assert await victim.wallet.take(worthless) == 4
        refused = await victim.wallet.take(agreement.terms[0])
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.CONFLICT
