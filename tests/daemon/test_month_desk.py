"""At stake: what a person reads of her month and of worths; strangers must not bury it, and no word may mislead."""

from pathlib import Path

import msgspec
import pytest

from nanobarter.cli.show import lines_of
from nanobarter.core.canonical import encode
from nanobarter.core.item import make_item
from nanobarter.core.quality import Quality
from nanobarter.core.units import MINUTE, LeaseKind, Quantity, Span, after
from nanobarter.daemon import month_desk
from nanobarter.daemon.config import Config, Market
from nanobarter.daemon.month_desk import MonthDesk
from nanobarter.daemon.services import Node
from nanobarter.matching.bids import Ratio
from nanobarter.matching.wire import BidBody, Want
from nanobarter.swap.events import Settled
from nanobarter.translator.happened import from_swap
from tests.daemon.test_desk import ANN, BEN, CLOCK, a_node

OFFERED = LeaseKind("30d")


async def offers(node: Node, kind: str, wanted: str, omega: Ratio) -> None:
    """Let a stranger give notes of a kind for ours of another."""
    body = BidBody(
        "limit", Quality(ANN.node_id, LeaseKind(kind)), Want(LeaseKind(wanted), None, (), ()), omega, Quantity(9), None
    )
    expires = after(CLOCK.now(), Span(10 * MINUTE))
    key = f"{kind} {wanted}".encode().ljust(16)
    assert await node.gossip.publish(make_item(ANN, "bid", key, sequence=1, expires=expires, body=encode(body))) is None


async def test_strangers_neither_add_to_our_kinds_nor_bury_what_was_traded_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(month_desk, "RATES_TOLD_MAX", 3)
    async with a_node(tmp_path) as node:
        mine, hers = Quality(node.me, OFFERED), Quality(BEN.node_id, OFFERED)
        ring = bytes(32)
        settled = Settled(ring, bytes(16), ring, (mine, Quantity(9)), (hers, Quantity(90)), ())  # type: ignore[reportArgumentType]
        happened = from_swap(settled, CLOCK.now())
        assert happened is not None
        await node.ledger.record(happened)
        for days in (7, 90, 365):
            await offers(node, f"{days}d", "30d", (1, days))  # dearer than what was traded here
            await offers(node, "30d", f"{days}d", (1, 1))
        told = MonthDesk(node).rates()
    assert [(row.own, row.quality) for row in told.rates[:2]] == [(True, str(mine)), (False, str(hers))]
    assert (len(told.rates), told.left_out) == (3, 3)
    assert not any(row.own for row in told.rates[1:])
    lines = list(lines_of(msgspec.to_builtins(told)))
    assert "more" not in lines[-2]
    assert lines[-1] == "and 3 more, mostly of what others offer: nbctl rates --json tells them, the first 3 of all"


async def test_a_budget_of_nothing_is_not_told_to_come_back_next_month(tmp_path: Path) -> None:
    async with a_node(tmp_path, Config(market=Market(budget="0"))) as node:
        attention = (await MonthDesk(node).report("")).attention
    assert [line for line in attention if "budget" in line] == [
        "the budget gives nothing of your space away: only what others' notes pay for is ordered"
    ]
