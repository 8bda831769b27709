"""Whole gossip nodes on the network in memory, each with a store on disk."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from nanobarter.core.item import Item, Topic, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import HOUR, Span, after
from nanobarter.gossip.service import MIGRATIONS, Gossip
from nanobarter.net.memory import MemoryNetwork, MemoryNode

QUICK = Limits(gossip_beat=Span(50))


def key(number: int) -> SigningKey:
    return SigningKey(number.to_bytes(32, "big"))


def item_of(
    author: SigningKey,
    slot: bytes,
    clock: ManualClock,
    *,
    sequence: int = 1,
    body: bytes = b"body",
    lives: Span = HOUR,
    topic: Topic = "bid",
) -> Item:
    return make_item(author, topic, slot, sequence=sequence, expires=after(clock.now(), lives), body=body)


class Node:
    """A running node; ``stop`` ends it as a crash would."""

    def __init__(self, gossip: Gossip, network: MemoryNode, store: Store) -> None:
        self.gossip, self.network, self.store = gossip, network, store
        self.scope, self.over = trio.CancelScope(), trio.Event()

    async def stop(self) -> None:
        self.scope.cancel()
        await self.over.wait()


class Village:
    """Nodes that can be started, stopped and started again with the same store."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.folder, self.nursery = folder, nursery
        self.hub, self.clock = MemoryNetwork(), ManualClock()

    async def start(
        self, number: int, *, limits: Limits | None = None, prepare: Callable[[Gossip], None] | None = None
    ) -> Node:
        store = Store.open(self.folder / f"{number}.db", MIGRATIONS)
        network = self.hub.node(key(number))
        entropy = SeededEntropy(number, "gossip")
        gossip = Gossip(network=network, store=store, clock=self.clock, entropy=entropy, limits=limits or QUICK)
        if prepare is not None:
            prepare(gossip)
        node = Node(gossip, network, store)

        async def live(*, task_status: trio.TaskStatus[None]) -> None:
            try:
                with node.scope:
                    async with trio.open_nursery() as inner:
                        await inner.start(store.run)
                        await inner.start(gossip.run)
                        task_status.started()
                        await trio.sleep_forever()
            finally:
                self.hub.disconnect(network.node_id)
                store.close()
                node.over.set()

        await self.nursery.start(live)
        return node


@asynccontextmanager
async def open_village(folder: Path) -> AsyncGenerator[Village]:
    async with trio.open_nursery() as nursery:
        yield Village(folder, nursery)
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; a test that waits in vain fails."""
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - any state of any node has no event
            await trio.sleep(0.002)


def bodies(node: Node, topic: Topic = "bid") -> set[bytes]:
    return {item.body for item in node.gossip.items(topic)}
