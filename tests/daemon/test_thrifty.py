"""At stake: bids that nobody could fill, since they offer more space than there is: partners would ask in vain."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from nanobarter.bots.dealing import quotes
from nanobarter.core.ids import NodeId, show_node
from nanobarter.core.units import MIB, Quantity
from nanobarter.daemon.bots_desk import BotsDesk
from nanobarter.daemon.config import Config, Market, Offer
from nanobarter.daemon.config_orders import OrderRow
from nanobarter.daemon.services_dealers import desk_of, own_space
from nanobarter.daemon.terms import beyond_offer
from nanobarter.translator.orders import Order
from nanobarter.translator.vetting import Trust
from tests.daemon import test_desk
from tests.daemon.test_desk import a_node, pledged

LARGE = Config(offer=Offer(space="10GB"), order=(OrderRow(get="50GB"),))
OFFERED = 10**10 // MIB
ANN, BEN = test_desk.ANN.node_id, test_desk.BEN.node_id


async def test_no_more_is_offered_than_there_is_and_the_folders_come_first(tmp_path: Path) -> None:
    async with a_node(tmp_path, LARGE) as node:
        await pledged(node)
        node.thrifty.set_orders([])
        assert own_space(node.market.orders_of("standing"), node.me) == OFFERED
        folders = Order(node.kind, NodeId(b"p" * 32), Quantity(3000))
        node.thrifty.set_orders([folders])
        assert node.market.orders_of("keeper") == [folders]
        assert own_space(node.market.orders_of("standing"), node.me) == OFFERED - 3000
        assert not node.thrifty.problem  # it is not the disk that has no room
        keeper = (await BotsDesk(node).bots()).bots[0]
        assert [order.quantity_mib for order in keeper.orders] == [3000, OFFERED - 3000]


async def test_names_with_no_node_behind_take_no_places_of_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [NodeId(bytes([n] * 32)) for n in range(200)]
    async with a_node(tmp_path, Config()) as node:
        monkeypatch.setattr(node.market, "offering", Mock(return_value=[*names, ANN]))
        assert len(node.thrifty.offering()) == 201  # better asked in vain than not at all
        monkeypatch.setattr(node.network, "has_met", Mock(side_effect=ANN.__eq__))
        assert node.thrifty.offering() == [ANN]


@pytest.mark.parametrize("market", [Market(refuse=(show_node(ANN),)), Market(wants=(show_node(BEN),))])
async def test_dealers_want_no_notes_that_the_person_does_not_want(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = frozenset({ANN, BEN})
    trust = Trust({ANN: 0.99, BEN: 0.9}, both, judged=both)
    async with a_node(tmp_path, Config(market=market)) as node:
        await pledged(node)
        monkeypatch.setattr(node, "trust", Mock(return_value=trust))
        assert {order.issuer for order in quotes(desk_of(node), node.dealers.limits())} == {BEN}


def test_orders_for_more_than_is_offered_are_told() -> None:
    assert beyond_offer(LARGE).startswith("the orders may give 50.0 GB of your 30d space, and 10.0 GB of it is offered")
    two = Config(offer=Offer(space="10GB", kinds=("30d 4GB", "90d")), order=(OrderRow(get="3GB"), OrderRow(get="2GB")))
    assert "5.0 GB of your 30d space, and 4.0 GB" in beyond_offer(two)
    assert not beyond_offer(Config(offer=Offer(space="10GB"), order=(OrderRow(get="50GB", give="10GB"),)))
    assert not beyond_offer(Config())
