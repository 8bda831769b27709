"""One bare node of the network for ``nats``: ``python -m tests.e2e.nat_node NUMBER LISTEN [BOOTSTRAP]``.

Says its id when it runs, then takes ids from its standard input: calls that node and says by which path.
"""

import sys
import tempfile
from pathlib import Path

import trio

from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId, parse_node, show_node
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import parse_address
from nanobarter.net.network import MIGRATIONS, Network

_LONG = Span(60 * SECOND)


async def echo(_peer: NodeId, body: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    return body


async def ask(network: Network, node: NodeId) -> str:
    """Call a node until it answers, and until it is reached in another way than by a relay; return the path."""
    for _ in range(10):
        try:
            await network.call(node, "t.echo", b"hello", timeout=_LONG)
        except (Unreachable, PeerFault):
            await trio.sleep(1)
            continue
        path = next(peer.path for peer in network.known() if peer.node == node)
        if path != "relay":
            return path
        await trio.sleep(1)
    return next((peer.path for peer in network.known() if peer.node == node), "")


async def live(number: int, listen: str, bootstrap: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "state.db", MIGRATIONS)
        network = Network(
            key=SigningKey(bytes([number]) * 32),
            listen=parse_address(listen),
            bootstrap=[parse_address(text) for text in bootstrap],
            store=store,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            limits=Limits(),
        )
        network.reach.relay_for("off" if bootstrap else "open")
        network.add("t.echo", echo, body_max=100)
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            await nursery.start(network.run)
            while bootstrap and not network.connected():  # noqa: ASYNC110 - it comes from outside
                await trio.sleep(0.05)
            print(show_node(network.node_id), flush=True)  # noqa: T201 - for who started it
            while line := await trio.to_thread.run_sync(sys.stdin.readline):
                print(await ask(network, parse_node(line.strip())), flush=True)  # noqa: T201 - the answer
            nursery.cancel_scope.cancel()
        store.close()


if __name__ == "__main__":
    trio.run(live, int(sys.argv[1]), sys.argv[2], sys.argv[3:])
