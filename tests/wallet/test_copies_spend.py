"""Two homes with one copied wallet: whichever spends second must be told, and the mint must honour each note once."""

import shutil
from pathlib import Path

import pytest

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.units import MINUTE, Quantity, Span
from nanobarter.wallet.events import NotesSpent
from tests.wallet.world import HOLDER, Node, World, good, world_of


async def copy_wallet(world: World, source: Node, target: Node) -> None:
    """Let a node go on with the files of another's wallet, as one does who puts a home on two machines."""
    target.seed = source.seed
    await target.restart_wallet(lose_all=True)
    target.stop_wallet()
    await source.restart_wallet()  # closed once, so that its file is whole
    source.stop_wallet()
    shutil.copyfile(world.path / f"wallet{source.number}", world.path / f"wallet{target.number}")
    await source.open_wallet()
    await target.open_wallet()


def elsewhere(node: Node) -> int:
    """Return how much the wallet's own records say that a copy spent."""
    return sum(e.quantity for _, e in node.wallet.events() if isinstance(e, NotesSpent) and e.how == "elsewhere")


@pytest.mark.parametrize("way", ["redeem", "lock"])
async def test_the_second_to_spend_is_told_that_it_is_a_copy(tmp_path: Path, way: str) -> None:
    async with world_of(tmp_path, 4) as world:
        a, b, c, d = world.nodes
        await world.give("in", a, b, 8)
        await copy_wallet(world, b, c)
        assert (b.held(a), c.held(a), b.wallet.copies_seen(), c.wallet.copies_seen()) == (8, 8, 0, 0)
        good(await b.wallet.redeem(a.quality, Quantity(8), HOLDER.public))
        world.later(Span(MINUTE))  # in the same instant both would write the very same body, which is one request
        if way == "redeem":
            refused = await c.wallet.redeem(a.quality, Quantity(8), HOLDER.public)
        else:
            refused = await c.wallet.lock(b"out", world.terms("out", c, d, a, 8), world.soon())
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.SPENT
        for _ in range(2):
            await c.wallet.round()
            world.later(Span(6 * MINUTE))  # until the refused request is dead: before, it frees nothing
            await c.restart_wallet()
        await c.wallet.round()
        assert (b.held(a), c.held(a), elsewhere(c), elsewhere(b)) == (0, 0, 8, 0)
        assert (b.wallet.copies_seen(), c.wallet.copies_seen()) == (0, 1)
        (capacity,) = a.mint.capacity()
        assert (capacity.outstanding, capacity.leased, capacity.locked) == (0, 8, 0)
        assert list(a.mint.audit()) == []
        assert len(b.wallet.leases()) == 1
        assert c.wallet.leases() == []


@pytest.mark.parametrize("first", [0, 1])
async def test_copies_that_take_turns_end_with_what_the_mint_still_owes(tmp_path: Path, first: int) -> None:
    async with world_of(tmp_path, 4) as world:
        a, b, c, d = world.nodes
        await world.give("in", a, b, 13)
        await copy_wallet(world, b, c)
        one, two = (b, c) if first == 0 else (c, b)
        cashed = 0
        for turn, (node, quantity) in enumerate([(one, 3), (two, 5), (one, 2), (two, 1), (one, 1)]):
            try:
                line = await node.wallet.note_send(a.quality, Quantity(quantity))
                if isinstance(line, str):
                    got = await d.wallet.note_receive(line)
                    cashed += 0 if isinstance(got, Refused) else got[1]
            except (Unreachable, PeerFault):
                pass
            for each in (one, two):
                await each.wallet.round()
            world.later(Span(6 * MINUTE))
            for each in (one, two):
                await each.wallet.round()
                if turn % 2:
                    await each.restart_wallet()
        # Both ask for what their phrase still has there: each then knows the same, and no more than the mint owes.
        for each in (one, two):
            world.later(Span(6 * MINUTE))
            await each.wallet.restore(a.key.node_id)
        (capacity,) = a.mint.capacity()
        assert d.held(a) == cashed > 0
        assert capacity.outstanding == 13
        assert list(a.mint.audit()) == []
        assert two.wallet.copies_seen() == 1
        # What is owed beside d's notes goes out once, whichever of the two spends it.
        spent = 0
        for each in (one, two):
            for size in (8, 4, 2, 1, 1, 1, 1):
                done = await each.wallet.redeem(a.quality, Quantity(size), HOLDER.public)
                spent += 0 if isinstance(done, Refused) else size
                await each.wallet.round()
                world.later(Span(6 * MINUTE))
                await each.wallet.round()
        (capacity,) = a.mint.capacity()
        assert capacity.leased == spent == 13 - cashed
        assert capacity.outstanding == d.held(a) == cashed
        assert (one.held(a), two.held(a)) == (0, 0)
        assert list(a.mint.audit()) == []
