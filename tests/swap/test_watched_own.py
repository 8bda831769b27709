"""At stake: that one approval of an issuer does not fill its table, and that it watches the rings that it is in."""

from collections.abc import Callable
from pathlib import Path

import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.units import SECOND, Instant, Span
from nanobarter.swap import tables
from nanobarter.swap.events import Settled
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import Agreed, agreement_id_of, open_draft
from nanobarter.swap.positions import agreement_in, draft_of
from nanobarter.swap.states import Gathering, Locking
from tests.swap.whole import Node, World, quiet, world_of


def held(node: Node) -> int:
    return len(node.store.read_now(tables.watched))


async def gathered(world: World, proposer: Node) -> Gathering:
    """Return the state in which a proposer has all approvals, and hold its own AGREED back."""
    states = list[Gathering]()

    def hold(_draft: bytes) -> None:
        states.extend(s for s in proposer.swap.drafts().values() if isinstance(s, Gathering))

    proposer.swap._rings._carrier._agree = hold  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess] - held here
    while not states:
        await quiet()
        world.jump(0.1)
    return states[0]


async def bring(proposer: Node, party: Node, state: Gathering, start: Instant) -> None:
    agreed = Agreed(draft_of(state), tuple(a for a in state.approvals if a), start, open_draft(state.draft).pace)
    line = proposer.swap._caller  # pyright: ignore[reportPrivateUsage] - sent by hand
    await line.call(party.node, "swap.agreed", encode(seal_message(proposer.key, agreed)), timeout=Span(5 * SECOND))


async def test_an_issuer_watches_one_agreement_for_each_approval_of_its_own(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        proposer, party = world.nodes
        world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes, 10))
        state = await gathered(world, proposer)
        for number in range(10):
            await bring(proposer, party, state, Instant(world.clock.now() + number))
        assert held(party) == 1
        assert [type(s) for s in party.swap.drafts().values()] == [Locking]


async def test_an_issuer_watches_nothing_for_an_approval_that_has_expired(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        proposer, party = world.nodes
        world.nursery.start_soon(world.propose, proposer, *world.ring(world.nodes, world.nodes, 10))
        state = await gathered(world, proposer)
        for _ in range(12):
            world.jump(10)
            await quiet()
        for number in range(10):
            await bring(proposer, party, state, Instant(world.clock.now() + number))
        assert held(party) == 0


async def test_what_an_issuer_is_in_itself_is_watched_from_the_write_that_takes_it(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 2, mock_clock) as world:
        missing, seen = set[bytes](), set[bytes]()

        def check(node: Node) -> None:
            """Look at the disk after a write, as a node would that has crashed there."""
            really_write = node.store.write

            async def write(change: Callable[..., object]) -> object:
                result = await really_write(change)
                states = node.store.read_now(tables.live_states).values()
                taken = {a.agreement_id for s in states if (a := agreement_in(s)) is not None}
                kept = {agreement_id_of(signed) for signed in node.store.read_now(tables.watched)}
                seen.update(taken)
                missing.update(taken - kept)
                return result

            node.store.write = write  # pyright: ignore[reportAttributeAccessIssue] - looked at here

        for node in world.nodes:
            check(node)
        world.nursery.start_soon(world.propose, world.nodes[0], *world.ring(world.nodes, world.nodes, 10))
        await world.settle(world.nodes, patient=False)
        assert isinstance(world.outcome, Settled)
        assert len(seen) == 1
        assert missing == set()
