"""At stake: a full disk that looks like a market in which nobody wants our notes: leases end, and nobody is told."""

import time
from fractions import Fraction
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from nanobarter.bots.keeper import MARKUP_SPAN
from nanobarter.core.units import MIB
from nanobarter.daemon.bots_desk import BotsDesk
from nanobarter.daemon.month_desk import MonthDesk
from nanobarter.daemon.services import Node
from nanobarter.translator.budget import Spent
from nanobarter.translator.pricing import MARKUP_FIRST
from tests.daemon.test_desk import ANN, BEN, a_node, says


def no_room(_lent: int) -> int:
    return 0


def much_room(_lent: int) -> int:
    return 2**62


async def told_of(node: Node) -> list[str]:
    """Return what a person is told where she looks: bots, report, status."""
    bots, report = await BotsDesk(node).bots(), await MonthDesk(node).report("")
    async with trio.open_nursery() as nursery:
        await nursery.start(node.diary.run)
        for _ in range(6000):  # real time: the diary reads the disk in a thread
            if node.diary.problems():
                break
            await trio.to_thread.run_sync(time.sleep, 0.01)
        nursery.cancel_scope.cancel()
    return [bots.bots[0].short, *report.attention[:1], *node.diary.problems()[-1:]]


@pytest.mark.parametrize("short_of", ["disk", "budget"])
async def test_who_can_post_no_order_gives_no_more_for_one_and_is_told_if_it_is_for_the_disk(
    short_of: str, tmp_path: Path, idle_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").write_bytes(bytes(5 * MIB))
    async with a_node(tmp_path) as node:
        monkeypatch.setattr(type(node.watch), "is_new", False)
        monkeypatch.setattr(node.diary, "room", no_room if short_of == "disk" else much_room)
        monkeypatch.setattr(node, "budget", lambda: Spent(Fraction(1), Fraction(1)) if short_of == "budget" else None)
        node.folders.add([data])
        await node.mint.start()
        for who in (ANN, BEN):
            await says(node, who, None, (1, 1), 100)
        for _ in range(8):
            await node.keeper.look()
            await trio.sleep(MARKUP_SPAN / 1000)
        assert node.keeper.wants
        assert node.market.orders_of("keeper") == []
        assert node.keeper.terms.markup == MARKUP_FIRST
        if short_of == "disk":
            assert ["nothing can be ordered, and your leases will end" in each for each in await told_of(node)] == [
                True
            ] * 3
        monkeypatch.setattr(node.diary, "room", much_room)
        monkeypatch.setattr(node, "budget", lambda: None)
        await node.keeper.look()
        assert node.market.orders_of("keeper")
        assert (await BotsDesk(node).bots()).bots[0].short == ""
