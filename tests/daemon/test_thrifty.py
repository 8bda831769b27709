"""At stake: bids that nobody could fill, since they offer more space than there is: partners would ask in vain."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.system import SeededEntropy, SystemClock
from nanobarter.core.units import MIB, Quantity
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.config_orders import OrderRow
from nanobarter.daemon.home import Home
from nanobarter.daemon.services import Node
from nanobarter.daemon.services_dealers import own_space
from nanobarter.daemon.terms import beyond_offer
from nanobarter.translator.orders import Order

LARGE = Config(offer=Offer(space="10GB"), order=(OrderRow(get="50GB"),))
OFFERED = 10**10 // MIB


@asynccontextmanager
async def a_node(path: Path, config: Config) -> AsyncGenerator[Node]:
    """Compose a whole node; only its store runs."""
    clock = SystemClock()
    node = Node(
        Home.create(path / "home", bytes(64), ""), config, clock=clock, entropy=SeededEntropy(1, "node"), limits=LIMITS
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(node.store.run)
        await node.mint.start()
        yield node
        nursery.cancel_scope.cancel()
    node.store.close()


async def test_no_more_is_offered_than_there_is_and_the_folders_come_first(tmp_path: Path) -> None:
    async with a_node(tmp_path, LARGE) as node:
        node.thrifty.set_orders([])
        assert own_space(node.market.orders_of("standing"), node.me) == OFFERED
        folders = Order(node.kind, NodeId(b"p" * 32), Quantity(3000))
        node.thrifty.set_orders([folders])
        assert node.market.orders_of("keeper") == [folders]
        assert own_space(node.market.orders_of("standing"), node.me) == OFFERED - 3000
        assert not node.thrifty.problem  # it is not the disk that has no room


def test_orders_for_more_than_is_offered_are_told() -> None:
    assert beyond_offer(LARGE).startswith("the orders may give 50.0 GB of your 30d space, and 10.0 GB of it is offered")
    two = Config(offer=Offer(space="10GB", kinds=("30d 4GB", "90d")), order=(OrderRow(get="3GB"), OrderRow(get="2GB")))
    assert "5.0 GB of your 30d space, and 4.0 GB" in beyond_offer(two)
    assert not beyond_offer(Config(offer=Offer(space="10GB"), order=(OrderRow(get="50GB", give="10GB"),)))
    assert not beyond_offer(Config())
