"""What a stranger says may bring out a bug in a service that hears it: it must not end the node, nor go unseen."""

import logging
from pathlib import Path

import pytest

from nanobarter.core.errors import InvariantBroken, LocalFault
from nanobarter.core.item import Item
from nanobarter.core.system import ManualClock
from nanobarter.gossip.subscribers import TOLD_MAX, Subscribers
from tests.gossip.nodes import item_of, key, open_village, until


async def test_a_bug_that_a_strangers_item_brings_out_costs_that_item_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = list[bytes]()
    async with open_village(tmp_path) as village:
        stranger, node = await village.start(1), await village.start(2)

        def buggy(item: Item) -> None:
            if item.key == b"poison":
                raise IndexError("a bug")

        node.gossip.subscribe("bid", buggy)
        node.gossip.subscribe("bid", lambda item: heard.append(item.key))
        with caplog.at_level(logging.ERROR):
            await stranger.gossip.publish(item_of(key(1), b"poison", village.clock))
            await stranger.gossip.publish(item_of(key(1), b"good", village.clock))
            await until(lambda: len(heard) == 2)
        assert sorted(heard) == [b"good", b"poison"]
        assert [record.exc_info is not None for record in caplog.records] == [True]
        assert "is left out by a bug; 1 since the start" in caplog.text


@pytest.mark.parametrize("error", [InvariantBroken("two ledgers"), LocalFault("the disk is full")])
def test_what_says_that_the_node_itself_cannot_go_on_escapes(error: Exception) -> None:
    def raising(_item: Item) -> None:
        raise error

    subscribers, item = Subscribers(), item_of(key(1), b"slot", ManualClock())
    with pytest.raises(type(error)):
        subscribers.add("bid", raising, [item])
    with pytest.raises(type(error)):
        subscribers.tell(item)


def test_what_was_known_before_is_guarded_too_and_a_flood_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def buggy(_item: Item) -> None:
        raise KeyError("a bug")

    subscribers, item = Subscribers(), item_of(key(1), b"slot", ManualClock())
    subscribers.add("bid", buggy, [item])
    for _ in range(999):
        subscribers.tell(item)
    assert subscribers.left_out == 1000
    assert len(caplog.records) == TOLD_MAX + 5  # 32, 64, 128, 256, 512
