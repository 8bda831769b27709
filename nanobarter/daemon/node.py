"""Runs one node for its person: the services, and the local API before them."""

from collections.abc import Callable
from functools import partial

import trio

from nanobarter.core.limits import LIMITS
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.daemon import api
from nanobarter.daemon.api_routes import routes_of
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home
from nanobarter.daemon.services import Node
from nanobarter.daemon.view import NodeView


async def run_node(home: Home, config: Config, ready: Callable[[str], None]) -> None:
    """Build a node over the machine's own clock and entropy, and run it until cancelled.

    ``ready`` is told where it listens, once it answers peers and its person.
    """
    node = Node(home, config, clock=SystemClock(), entropy=SystemEntropy(), limits=LIMITS)
    try:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(node.run)
            routes = routes_of(NodeView(node, listening))
            await nursery.start(partial(api.serve_api, home.place_socket(), routes, limits=node.limits))
            ready(listening)
    finally:
        node.store.close()
