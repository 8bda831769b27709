"""Two wallets with one seed: the second must see the first, and neither may lose or double a note."""

from pathlib import Path

import pytest

from nanobarter.core.errors import Unreachable
from nanobarter.core.units import MINUTE, Quantity, Span
from tests.wallet.world import good, world_of


async def test_a_copy_that_is_behind_sees_the_other_and_goes_on_behind_it(tmp_path: Path) -> None:
    async with world_of(tmp_path, 4) as world:
        a, b, c, d = world.nodes
        c.seed = b.seed
        await c.restart_wallet(lose_all=True)
        await world.give("first", a, b, 8)  # the first coin of the seed
        await world.give("for d", a, d, 8)
        line = good(await d.wallet.note_send(a.quality, Quantity(8)))
        assert c.wallet.copies_seen() == 0
        with pytest.raises(Unreachable):  # the coin was named by the other copy: not now, and the line is kept
            await c.wallet.note_receive(line)
        assert (c.wallet.copies_seen(), c.held(a)) == (1, 0)
        await c.wallet.round()  # its counters go on behind those of the other copy
        world.later(Span(10 * MINUTE))  # until the refused request is dead
        for _ in range(3):
            await c.wallet.round()
        assert (c.wallet.receiving.waiting(), c.held(a), b.held(a)) == ([], 16, 8)  # both see the first note
        assert a.mint.capacity()[0].outstanding == 16
        assert b.wallet.copies_seen() == 0
        assert list(a.mint.audit()) == []
