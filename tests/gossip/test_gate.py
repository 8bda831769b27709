"""A stranger must not put words in another's mouth, bring back what was withdrawn, or make us pass on garbage."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from nanobarter.core.canonical import encode
from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Signature
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.core.system import ManualClock
from nanobarter.core.units import DAY, HOUR, MINUTE, SECOND, Span
from nanobarter.gossip.held import Held
from nanobarter.gossip.messages import Push
from nanobarter.net.memory import MemoryNode
from tests.gossip.nodes import bodies, item_of, key, open_village, until

TIMEOUT = Span(60 * SECOND)


async def push(stranger: MemoryNode, to: MemoryNode, *items: Item) -> None:
    await stranger.call(to.node_id, "gossip.push", encode(Push(items, b"", 0)), timeout=TIMEOUT)


async def test_a_forged_item_is_blamed_and_goes_no_further(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one, two = await village.start(1), await village.start(2)
        stranger = village.hub.node(key(9))
        good = item_of(key(5), b"", village.clock)
        forged = msgspec.structs.replace(good, body=b"other", signature=Signature(bytes(64)))
        with pytest.raises(PeerFault):
            await push(stranger, one.network, forged, good)
        # The good one in the same push is taken all the same, and is what the forged one must not displace.
        await until(lambda: bodies(two) == {b"body"})
        assert bodies(one) == {b"body"}


async def test_garbage_is_blamed_until_the_peer_is_not_heard(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one = await village.start(1, limits=Limits(gossip_faults_max=3))
        stranger = village.hub.node(key(9))
        for _ in range(3):
            with pytest.raises(PeerFault):
                await stranger.call(one.network.node_id, "gossip.push", b"garbage", timeout=TIMEOUT)
        with pytest.raises(Unreachable):
            await push(stranger, one.network, item_of(key(5), b"", village.clock))
        assert bodies(one) == set()


@pytest.mark.parametrize("reverse", [False, True])
async def test_an_older_version_never_comes_back(tmp_path: Path, *, reverse: bool) -> None:
    async with open_village(tmp_path) as village:
        one, stranger = await village.start(1), village.hub.node(key(9))
        # The older version lives longer than its withdrawal: the replay that a forgetful node would fall for.
        old = item_of(key(5), b"", village.clock, sequence=1, lives=HOUR)
        gone = item_of(key(5), b"", village.clock, sequence=2, body=b"", lives=MINUTE)
        for item in (gone, old) if reverse else (old, gone):
            await push(stranger, one.network, item)
        assert bodies(one) == set()
        village.clock.advance(Span(2 * MINUTE))
        if not reverse:  # a node that never saw the older one cannot know how long it lives
            one.gossip.expire()
            await push(stranger, one.network, old)
            assert bodies(one) == set()


async def test_an_older_version_stays_gone_over_a_restart(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one = await village.start(1)
        old = item_of(key(5), b"", village.clock, sequence=1, lives=HOUR)
        gone = item_of(key(5), b"", village.clock, sequence=2, body=b"", lives=MINUTE)
        assert (await one.gossip.publish(old), await one.gossip.publish(gone)) == (None, None)
        await one.stop()
        village.clock.advance(Span(2 * MINUTE))
        again = await village.start(1)
        assert again.gossip.expire() == 1  # the sequence outlives the withdrawal
        await push(village.hub.node(key(9)), again.network, old)
        assert bodies(again) == set()
        village.clock.advance(HOUR)
        assert again.gossip.expire() == 0


async def test_two_versions_with_one_sequence_end_the_same_everywhere(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one, two = await village.start(1), await village.start(2)
        village.hub.partition([one.network.node_id], [two.network.node_id])
        await one.gossip.publish(item_of(key(5), b"", village.clock, body=b"left"))
        await two.gossip.publish(item_of(key(5), b"", village.clock, body=b"right"))
        village.hub.heal()
        await until(lambda: len(bodies(one)) == 1 and bodies(one) == bodies(two))


async def test_what_expired_is_neither_taken_nor_offered(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one = await village.start(1)
        await one.gossip.publish(item_of(key(1), b"", village.clock, lives=MINUTE))
        village.clock.advance(Span(MINUTE))
        assert bodies(one) == set()
        two = await village.start(2)
        stranger = village.hub.node(key(9))
        await push(stranger, two.network, item_of(key(5), b"", village.clock, lives=Span(0)))
        assert bodies(two) == set()
        assert one.gossip.expire() == 0


def expired(clock: ManualClock) -> Item:
    return item_of(key(1), b"", clock, lives=Span(0))


def too_long(clock: ManualClock) -> Item:
    return item_of(key(1), b"", clock, lives=Span(400 * DAY))


def older(clock: ManualClock) -> Item:
    return item_of(key(1), b"a", clock, sequence=1)


def bad(clock: ManualClock) -> Item:
    return item_of(key(1), b"b", clock, body=b"bad")


def third(clock: ManualClock) -> Item:
    return item_of(key(1), b"c", clock)


def forged(clock: ManualClock) -> Item:
    return msgspec.structs.replace(item_of(key(2), b"", clock), key=b"x")


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (expired, Reason.EXPIRED),
        (too_long, Reason.NOT_YET),
        (older, Reason.CONFLICT),
        (bad, Reason.POLICY),
        (third, Reason.TOO_MANY),
        (forged, Reason.BAD_SIGNATURE),
    ],
)
async def test_publish_says_why_not(tmp_path: Path, attempt: Callable[[ManualClock], Item], reason: Reason) -> None:
    async with open_village(tmp_path) as village:
        one = await village.start(
            1,
            limits=replace(Limits(), items_per_author_max=2 if reason is Reason.TOO_MANY else 10),
            prepare=lambda gossip: gossip.check("bid", lambda item: item.body != b"bad"),
        )
        for slot in (b"a", b"z"):
            assert await one.gossip.publish(item_of(key(1), slot, village.clock, sequence=5)) is None
        refused = await one.gossip.publish(attempt(village.clock))
        assert isinstance(refused, Refused)
        assert refused.reason is reason


async def test_an_author_who_talks_too_much_is_cut_at_the_rate(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        limits = Limits(gossip_bytes_per_s=1, gossip_burst_bytes=2000)
        one, stranger = await village.start(1, limits=limits), village.hub.node(key(9))
        big = [item_of(key(5), bytes([i]), village.clock, body=bytes([i]) * 500) for i in range(3)]
        await push(stranger, one.network, *big)
        assert len(bodies(one)) == 3
        with pytest.raises(Unreachable):  # the peer's share
            await push(stranger, one.network, item_of(key(6), b"", village.clock, body=bytes(400)))
        other = village.hub.node(key(8))
        await push(other, one.network, item_of(key(5), b"next", village.clock, body=bytes(400)))
        assert len(bodies(one)) == 3  # the author's
        await push(other, one.network, item_of(key(7), b"", village.clock))
        assert len(bodies(one)) == 4


async def test_subscribers_hear_each_version_and_the_withdrawal_once(tmp_path: Path) -> None:
    heard = list[bytes]()
    async with open_village(tmp_path) as village:
        one = await village.start(1)
        await village.start(2, prepare=lambda gossip: gossip.subscribe("bid", lambda item: heard.append(item.body)))
        for sequence, body in enumerate([b"first", b"second", b""]):
            await one.gossip.publish(item_of(key(1), b"", village.clock, sequence=sequence, body=body))
            await until(lambda body=body: body in heard)
        await one.gossip.publish(item_of(key(1), b"", village.clock, topic="node"))
    assert heard == [b"first", b"second", b""]


async def test_ones_own_words_survive_a_restart(tmp_path: Path) -> None:
    async with open_village(tmp_path) as village:
        one = await village.start(1)
        sequence = one.gossip.next_sequence("bid", key(1).public, b"")
        await one.gossip.publish(item_of(key(1), b"", village.clock, sequence=sequence))
        await one.stop()
        village.clock.advance(Span(-30 * MINUTE))  # the clock went back meanwhile
        again = await village.start(1)
        assert bodies(again) == {b"body"}
        assert again.gossip.next_sequence("bid", key(1).public, b"") == sequence + 1


def test_a_full_book_takes_those_it_prefers_in_the_place_of_the_newest_stranger() -> None:
    clock, friends = ManualClock(), {key(1).node_id, key(2).node_id}
    held = Held(Limits(items_max=4), prefers=friends.__contains__)

    def put(number: int, slot: bytes = b"", *, body: bytes = b"body", sequence: int = 1) -> bool:
        item = item_of(key(number), slot, clock, body=body, sequence=sequence)
        taken = held.judge(item, item.item_id, clock.now()) is None
        if taken:
            held.put(held.prepare(item, item.item_id))
        return taken

    assert all(put(number) for number in (5, 6, 7, 1))
    assert put(6, body=b"", sequence=2)  # withdrawn, and remembered
    assert not put(8)
    assert put(2)
    assert put(2, b"more")
    assert not put(2, b"still more")  # nobody is left to make room
    assert not put(5)
    assert len(held) == len(held.ids) == 4
    assert [slot[1] for slot in held.evicted] == [key(7).public, key(5).public]
    assert not put(6)  # the old version does not come back
