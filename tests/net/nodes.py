"""Nodes for the tests of the network: real ones on loopback, each with its own store, and ones in memory."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Registrar
from nanobarter.core.store import Store
from nanobarter.core.system import SeededEntropy, SystemClock
from nanobarter.net.address import Address
from nanobarter.net.methods import StreamHandler
from nanobarter.net.network import MIGRATIONS, Network
from nanobarter.net.stream import Stream

LOOPBACK = Address("127.0.0.1", 0)


class Node(Caller, Registrar, Protocol):
    """What both networks promise."""

    def connected(self) -> list[NodeId]: ...
    def on_connect(self, callback: Callable[[NodeId], None]) -> None: ...
    def add_stream(self, method: str, handler: StreamHandler) -> None: ...
    async def open_stream(self, peer: NodeId, method: str, body: bytes) -> Stream: ...


def key(number: int) -> SigningKey:
    return SigningKey(number.to_bytes(32, "big"))


class Running:
    """A real network with its store; ``stop`` ends it as a crash would: nothing is said."""

    def __init__(self, network: Network, bound: Address | None, scope: trio.CancelScope, over: trio.Event) -> None:
        self.network, self.bound, self._scope, self._over = network, bound, scope, over

    @property
    def at(self) -> Address:
        assert self.bound is not None
        return self.bound

    @property
    def connections(self) -> int:
        return self.network.connection_count

    async def stop(self) -> None:
        self._scope.cancel()
        await self._over.wait()


class World:
    """Starts real nodes; the store of a node is the same file whenever it starts again."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.folder, self.nursery = folder, nursery

    async def start(
        self,
        number: int,
        *,
        bootstrap: Sequence[Address] = (),
        listen: Address | None = LOOPBACK,
        limits: Limits | None = None,
        same_host_ok: bool = True,
        prepare: Callable[[Network], None] | None = None,
    ) -> Running:
        store = Store.open(self.folder / f"{number}.db", MIGRATIONS)
        network = Network(
            key=key(number),
            listen=listen,
            bootstrap=bootstrap,
            store=store,
            clock=SystemClock(),
            entropy=SeededEntropy(number, str(trio.current_time())),
            limits=limits or Limits(),
            same_host_ok=same_host_ok,
        )
        if prepare is not None:
            prepare(network)
        scope, over = trio.CancelScope(), trio.Event()

        async def live(*, task_status: trio.TaskStatus[Address | None]) -> None:
            try:
                with scope:
                    async with trio.open_nursery() as inner:
                        await inner.start(store.run)
                        task_status.started(await inner.start(network.run))
            finally:
                store.close()
                over.set()

        return Running(network, await self.nursery.start(live), scope, over)


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[World]:
    async with trio.open_nursery() as nursery:
        yield World(folder, nursery)
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; a test that waits in vain fails."""
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - any state of any node; sockets have no event for that
            await trio.sleep(0.002)


Pair = Callable[[Callable[[Node], None]], AbstractAsyncContextManager[tuple[Node, Node]]]
