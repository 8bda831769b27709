"""The network that other tests stand on must lose and keep calls exactly as told."""

import pytest
import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import SECOND, Span
from nanobarter.net.memory import Loss, MemoryNetwork

KEYS = [SigningKey(bytes([i]) * 32) for i in range(1, 4)]
SOON = Span(60 * SECOND)


async def test_a_lost_answer_was_served_and_a_lost_request_was_not() -> None:
    hub, served = MemoryNetwork(), list[bytes]()
    one, two = (hub.node(key) for key in KEYS[:2])

    async def serve(_peer: NodeId, body: bytes) -> bytes:
        served.append(body)
        await trio.lowlevel.checkpoint()
        return body

    two.add("t.echo", serve, body_max=10)
    losses: dict[bytes, Loss | None] = {b"a": "request", b"b": "answer", b"c": None}
    for body, loss in losses.items():
        hub.lose = lambda _caller, _callee, _method, loss=loss: loss
        if loss is None:
            assert await one.call(two.node_id, "t.echo", body, timeout=SOON) == body
            continue
        with pytest.raises(Unreachable):
            await one.call(two.node_id, "t.echo", body, timeout=SOON)
    assert served == [b"b", b"c"]


def test_partitions_part_and_heal_tells_both_sides() -> None:
    hub = MemoryNetwork()
    nodes = [hub.node(key) for key in KEYS]
    ids = [node.node_id for node in nodes]
    hub.partition(ids[:2], ids[2:])
    assert [node.connected() for node in nodes] == [[ids[1]], [ids[0]], []]
    met = list[tuple[int, NodeId]]()
    for i, node in enumerate(nodes):
        node.on_connect(lambda peer, i=i: met.append((i, peer)))
    assert met == [(0, ids[1]), (1, ids[0])]
    met.clear()
    hub.heal()
    assert sorted(met) == sorted([(0, ids[2]), (1, ids[2]), (2, ids[0]), (2, ids[1])])


def test_a_node_made_again_is_a_restart() -> None:
    hub, met = MemoryNetwork(), list[NodeId]()
    one, _two = (hub.node(key) for key in KEYS[:2])
    one.on_connect(met.append)
    again = hub.node(KEYS[1])
    assert met == [again.node_id] * 2
    assert again.connected() == [one.node_id]
