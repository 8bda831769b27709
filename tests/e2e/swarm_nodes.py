"""Many real daemons for the stories of ``swarm``: bids that nobody can meet, and who knows them."""

import resource
import time
from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from nanobarter.cli.demo_nodes import Node, Stage
from nanobarter.cli.node import wait_ready
from nanobarter.daemon.config import Config, Market, Offer
from nanobarter.daemon.config_network import Network

FIRST: Final = 3  # nodes that the others know at their start
TOGETHER: Final = 8  # asked or started at once
READY_SECONDS: Final = 300.0
T = TypeVar("T")


def build(stage: Stage, addresses: list[str]) -> None:
    """Make the homes; each node knows the first three."""
    for number, address in enumerate(addresses):
        network = Network(listen=address, bootstrap=tuple(addresses[:FIRST]), same_host_ok=True, map_port=False)
        # Nothing is wanted beyond the folders, of which there are none: only the bids by hand are in the book.
        config = Config(offer=Offer(space="1GB"), market=Market(reserve="0B"), network=network)
        stage.add(f"n{number}", config, address)


def each(nodes: Iterable[Node], do: Callable[[Node], T]) -> list[T]:
    """Do something with every node, some at once."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(do, nodes))


def bring_up(node: Node) -> None:
    node.start()
    wait_up(node)


def wait_up(node: Node) -> None:
    """Wait until a daemon that was started answers; many start at once, so it may take minutes."""
    assert node.process is not None
    wait_ready(node.home, node.process, READY_SECONDS)


def post(node: Node) -> str:
    """Post a bid that gives next to nothing, so that nobody meets it; return its id."""
    asked = {"quantity": "1MiB", "omega": "1/1000", "gives": "", "wants": "", "floor": "", "best": False}
    return str(node.client.post("/v1/market/bid", asked)["bid"]["bid"])


def post_all(nodes: Collection[Node]) -> dict[str, str]:
    """Let every node post a bid; return the ids by the nodes' names."""
    return dict(zip([node.name for node in nodes], each(nodes, post), strict=True))


def take_back(node: Node, bid: str) -> None:
    node.client.post("/v1/market/withdraw", {"bid": bid})


def book(node: Node) -> set[str] | None:
    """Return the bids that a node knows; None while it does not answer."""
    told = node.ask("/v1/market/book")
    return {row["bid"] for row in told["bids"]} if told else None


def wait_all_know(
    nodes: Collection[Node], bids: AbstractSet[str], seconds: float, *, gone: AbstractSet[str] = frozenset[str]()
) -> tuple[float, int]:
    """Wait until all books hold all bids and none of the gone; return how long it took, and what was wrong then."""
    began = time.monotonic()
    while True:
        books = each(nodes, book)
        wrong = sum(len(bids) + 1 if known is None else len(bids - known) + len(gone & known) for known in books)
        took = time.monotonic() - began
        if not wrong or took > seconds:
            return took, wrong
        time.sleep(0.2)


def peers_of(node: Node) -> set[str]:
    """Return the nodes that a node is connected to."""
    told: dict[str, Any] = node.ask("/v1/peers") or {"peers": []}
    return {row["node"] for row in told["peers"] if row["connected"]}


def wait_parted(ones: Collection[Node], others: Collection[Node], seconds: float) -> float:
    """Wait until none of the ones takes any of the others for connected; return how long it took."""
    names, began = {node.node for node in others}, time.monotonic()
    while any(names & peers for peers in each(ones, peers_of)) and time.monotonic() - began < seconds:
        time.sleep(1)
    return time.monotonic() - began


def rss_mb(node: Node) -> float:
    assert node.process is not None
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
