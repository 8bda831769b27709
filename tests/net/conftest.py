"""The two networks under test; see nodes.py."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from nanobarter.net.memory import MemoryNetwork
from tests.net.nodes import Node, Pair, World, key, open_world, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as made:
        yield made


@pytest.fixture(params=["memory", "real"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Two nodes that are connected; the second one is prepared by the given function."""

    @asynccontextmanager
    async def memory(prepare: Callable[[Node], None]) -> AsyncGenerator[tuple[Node, Node]]:
        hub = MemoryNetwork()
        one, two = hub.node(key(1)), hub.node(key(2))
        prepare(two)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            nursery.start_soon(two.run)
            yield one, two
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def real(prepare: Callable[[Node], None]) -> AsyncGenerator[tuple[Node, Node]]:
        async with open_world(tmp_path) as world:
            two = await world.start(2, prepare=prepare)
            one = await world.start(1, bootstrap=[two.at])
            await until(lambda: bool(one.network.connected() and two.network.connected()))
            yield one.network, two.network

    return memory if request.param == "memory" else real
