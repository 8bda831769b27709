"""``python -m tests.e2e.hostile --json``: hostile load on a real daemon, and what its known peer sees meanwhile.

Thousands of connections that say nothing, half handshakes, unfinished huge messages, floods, and readers that never
read; each host gives eight connections, as many as a host gets. The last line is one JSON object; exit 1 when a call
of the known peer failed, it could not come back, or the daemon's memory passed its bound.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from nanobarter.cli.demo_nodes import Node, Stage, free_address
from nanobarter.core.canonical import encode
from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId, parse_node
from nanobarter.core.units import SECOND, Span
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.config_network import Network as NetworkSection
from nanobarter.daemon.config_network import parse_host_port
from nanobarter.net.address import Address
from nanobarter.net.checkup import CHECK_METHOD, CheckRequest
from nanobarter.net.network import Network
from tests.net.attackers import attacking, unleash
from tests.net.nodes import World

MEMORY_MB_MAX = 256  # 64 half-open handshakes, 384 strangers with an unfinished MiB each would be more: few get in
CALL = Span(20 * SECOND)


@dataclass
class Seen:
    """What the known peer saw."""

    latencies: list[float] = field(default_factory=list[float])
    failures: int = 0
    peak_mb: float = 0.0

    def tell(self) -> dict[str, object]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            "calls": len(self.latencies),
            "failures": self.failures,
            "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
            "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 1),
            "peak_mb": round(self.peak_mb, 1),
        }


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def watch(network: Network, peer: NodeId, pid: int, seen: Seen) -> None:
    while True:
        began = trio.current_time()
        try:
            await network.call(peer, CHECK_METHOD, encode(CheckRequest(0)), timeout=CALL)
            seen.latencies.append(trio.current_time() - began)
        except (Unreachable, PeerFault):
            seen.failures += 1
        seen.peak_mb = max(seen.peak_mb, rss_mb(pid))
        await trio.sleep(0.05)


async def attack(node: Node, folder: Path, *, silent: int, others: int, seconds: float) -> dict[str, object]:
    target, peer = Address(*parse_host_port(node.address)), parse_node(node.node)
    assert node.process is not None
    pid, before, calm, under = node.process.pid, rss_mb(node.process.pid), Seen(), Seen()
    async with trio.open_nursery() as nursery:
        world = World(folder, nursery)
        known = await world.start(1, listen=None, bootstrap=[target])
        while not known.network.connected():  # noqa: ASYNC110 - a campaign may poll
            await trio.sleep(0.05)
        with trio.move_on_after(5):
            await watch(known.network, peer, pid, calm)
        async with attacking(target) as foes:
            unleash(foes, silent=silent, others=others, requests=20_000)
            with trio.move_on_after(seconds):
                await watch(known.network, peer, pid, under)
            await known.stop()
            began = time.monotonic()
            again = await world.start(1, listen=None, bootstrap=[target])
            with trio.move_on_after(60):
                while not again.network.connected():  # noqa: ASYNC110 - as above
                    await trio.sleep(0.02)
            back = time.monotonic() - began if again.network.connected() else None
            done = dict(foes.done)
            foes.nursery.cancel_scope.cancel()
        await trio.sleep(5)
        after = rss_mb(pid)
        nursery.cancel_scope.cancel()
    told = {"attack": done, "calm": calm.tell(), "under_attack": under.tell(), "before_mb": before, "after_mb": after}
    ok = under.failures == 0 and back is not None and under.peak_mb < MEMORY_MB_MAX and node.process.poll() is None
    return {"type": "hostile", "ok": ok, "silent": silent, "back_after_s": back, **told}


def main() -> int:
    """Attack one daemon."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.hostile")
    parser.add_argument("--silent", type=int, default=5000)
    parser.add_argument("--others", type=int, default=16, help="of each other kind")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true", help="accepted: the answer is JSON anyway")
    asked = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "stage")
        stage.folder.mkdir()
        try:
            address = free_address()
            node = stage.add(
                "target", Config(offer=Offer(space="1GB"), network=NetworkSection(listen=address)), address
            )
            node.start()
            node.wait_up()
            job = partial(attack, silent=asked.silent, others=asked.others, seconds=asked.seconds)
            told = trio.run(job, node, Path(folder))
        finally:
            stage.close(keep=False)
    print(json.dumps(told))  # noqa: T201 - the line that other programs read
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
