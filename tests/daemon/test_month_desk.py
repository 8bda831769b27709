"""At stake: what a person reads of her month and of worths; strangers must not bury it, and no word may mislead."""

from pathlib import Path

from nanobarter.daemon.config import Config, Market
from nanobarter.daemon.month_desk import MonthDesk
from tests.daemon.test_desk import a_node


async def test_a_budget_of_nothing_is_not_told_to_come_back_next_month(tmp_path: Path) -> None:
    async with a_node(tmp_path, Config(market=Market(budget="0"))) as node:
        attention = (await MonthDesk(node).report("")).attention
    assert [line for line in attention if "budget" in line] == [
        "the budget gives nothing of your space away: only what others' notes pay for is ordered"
    ]
