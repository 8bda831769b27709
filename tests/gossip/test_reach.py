"""Whatever happens to the links, every node ends with the same live items: a bid nobody hears of trades nothing."""

import random
from pathlib import Path

import pytest

from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item
from nanobarter.core.units import SECOND, Span
from tests.gossip.nodes import Node, Village, bodies, item_of, key, open_village, until


def connected_graph(rng: random.Random, ids: list[NodeId]) -> list[tuple[NodeId, NodeId]]:
    """Return the edges of a random tree and a few more."""
    edges = [(ids[i], ids[rng.randrange(i)]) for i in range(1, len(ids))]
    return edges + [(rng.choice(ids), rng.choice(ids)) for _ in range(rng.randrange(len(ids)))]


@pytest.mark.parametrize("seed", range(8))
async def test_every_item_reaches_every_node_through_partitions_and_restarts(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with open_village(tmp_path) as village:
        count = rng.randrange(3, 8)
        nodes = {i: await village.start(i) for i in range(1, count + 1)}
        ids = {i: key(i).node_id for i in nodes}
        newest: dict[tuple[int, bytes], Item] = {}
        for step in range(4):
            parts = rng.randrange(1, 4)
            groups = [[ids[i] for i in nodes if i % parts == part] for part in range(parts)]
            village.hub.partition(*(edge for group in groups if group for edge in connected_graph(rng, group)))
            for _ in range(4):
                number, slot = rng.choice(list(nodes)), bytes([rng.randrange(2)])
                body = rng.choice([b"", f"{seed} {step} {rng.random()}".encode()])
                sequence = nodes[number].gossip.next_sequence("bid", key(number).public, slot)
                item = item_of(key(number), slot, village.clock, sequence=sequence, body=body)
                assert await nodes[number].gossip.publish(item) is None
                newest[number, slot] = item
            if rng.random() < 0.5:
                number = rng.choice(list(nodes))
                await nodes[number].stop()
                nodes[number] = await village.start(number)
            village.clock.advance(Span(SECOND))
        village.hub.partition(*connected_graph(rng, list(ids.values())))
        expected = {item.body for item in newest.values() if item.body}
        await until(lambda: all(bodies(node) == expected for node in nodes.values()))


async def two_apart(village: Village) -> tuple[Node, Node]:
    one, two = await village.start(1), await village.start(2)
    village.hub.partition([one.network.node_id], [two.network.node_id])
    return one, two


async def test_a_node_that_was_away_catches_up_with_many_items(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one, two = await two_apart(village)
        for i in range(300):
            await one.gossip.publish(item_of(key(1), i.to_bytes(2, "big"), village.clock, body=f"one {i}".encode()))
        for i in range(40):
            await two.gossip.publish(item_of(key(2), i.to_bytes(2, "big"), village.clock, body=f"two {i}".encode()))
        village.hub.heal()
        await until(lambda: len(bodies(one)) == len(bodies(two)) == 340)


async def test_equal_nodes_spend_one_print(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one, two = await two_apart(village)
        item = item_of(key(3), b"", village.clock)
        assert (await one.gossip.publish(item), await two.gossip.publish(item)) == (None, None)
        asked = list[str]()
        village.hub.lose = lambda _caller, _callee, method: asked.append(method)
        village.hub.heal()
        await until(lambda: len(asked) >= 2)
        assert set(asked) <= {"gossip.compare", "gossip.push"}  # a push, for they ask each other into the mesh


async def test_a_push_that_is_lost_arrives_all_the_same(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one, two = await village.start(1), await village.start(2)
        lost = list[str]()

        def lose(_caller: NodeId, _callee: NodeId, method: str) -> str | None:
            lost.append(method)
            return "request" if method == "gossip.push" and lost.count(method) == 1 else None

        village.hub.lose = lose  # pyright: ignore[reportAttributeAccessIssue]
        await one.gossip.publish(item_of(key(1), b"", village.clock))
        await until(lambda: bodies(two) == {b"body"})
