"""A node that others look for must be found, whoever else answers; and no datagram may do harm."""

import random

import pytest
import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.limits import Limits
from nanobarter.core.units import DAY, HOUR, Instant, Span, after
from nanobarter.net.dht.ports import Source
from nanobarter.net.dht.rates import Rates
from nanobarter.net.dht.records import Shelf, Value, make_value, place_of
from nanobarter.net.dht.wire import DATAGRAM_MAX, Contact, Find, Found, Put, Sealed, seal
from tests.net.dht.nodes import CLOCK, Kind, key, open_town, value_of

KINDS: tuple[Kind, ...] = ("memory", "udp")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_one_publishes_another_finds(kind: Kind) -> None:
    async with open_town(kind, 20) as town:
        value = value_of(3)
        assert await town.nodes[2].publish(value) >= 6
        for reader in (town.nodes[9], town.nodes[19]):
            assert await reader.find(key(3).node_id[:20]) == value
        assert await town.nodes[9].find(place_of(key(3).public, b"other")) is None


@pytest.mark.parametrize("kind", KINDS)
async def test_the_newest_is_found_and_an_older_one_does_not_come_back(kind: Kind) -> None:
    async with open_town(kind, 12) as town:
        old, new = value_of(5, sequence=1, body=b"old"), value_of(5, sequence=2, body=b"new")
        await town.nodes[4].publish(old)
        await town.nodes[4].publish(new)
        await town.nodes[7].publish(old)  # anybody may repeat what is signed
        assert await town.nodes[10].find(old.place) == new


@pytest.mark.parametrize("kind", KINDS)
async def test_with_a_third_dead_values_are_found_and_published(kind: Kind, idle_clock: trio.testing.MockClock) -> None:
    async with open_town(kind, 30) as town:
        values = [value_of(number + 1) for number in range(6)]
        for number, value in enumerate(values):
            await town.nodes[number].publish(value)
        for number in range(20, 29):
            town.kill(number)
        for value in values:
            with trio.fail_after(60):
                assert await town.nodes[10].find(value.place) == value
        with trio.fail_after(60):
            assert await town.nodes[11].publish(value_of(77)) >= 5
            assert await town.nodes[12].find(value_of(77).place) == value_of(77)


async def test_ten_thousand_garbage_datagrams_leave_no_trace() -> None:
    async with open_town("udp", 3) as town:
        rng, victim = random.Random(1), town.nodes[0]
        before = victim.table.everyone()
        stranger, _ = town.ends.end(99)
        good = seal(key(50), Find(bytes(8), key(1).node_id, bytes(20), b""))
        put = seal(key(50), Put(bytes(8), key(1).node_id, bytes(8), value_of(50), b""))
        answer = seal(key(50), Found(bytes(8), bytes(8), None, (Contact(key(51).node_id, bytes([127, 0, 0, 1]), 9),)))
        for number in range(10_000):
            data = bytearray(rng.choice((good, put, answer)))
            style = number % 4
            if style == 0:
                data = bytearray(rng.randbytes(rng.randrange(0, 1500)))
            elif style == 1:
                data = data[: rng.randrange(len(data))]
            else:  # one byte changed: a forged signature, a forged key, or another body
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            stranger.send(bytes(data), town.sources[0])
            if number % 100 == 0:
                await trio.lowlevel.checkpoint()
        stranger.send(put, town.sources[0])  # genuine, but with a token that was never given
        stranger.send(answer, town.sources[0])  # genuine, but nobody asked
        await trio.sleep(0.2)
        assert victim.table.everyone() == before
        assert len(victim.shelf) == 0
        assert await town.nodes[1].publish(value_of(2)) >= 1


async def test_only_who_answers_at_its_address_becomes_a_contact() -> None:
    async with open_town("memory", 2) as town:
        victim = town.nodes[0]
        # The key is genuine and the source address is forged: the question back goes to nobody.
        request = seal(key(60), Find(bytes(8), None, bytes(20), b""))
        town.ends.air.carry(request, Source(bytes([127, 9, 9, 9]), 1), town.sources[0])
        await trio.testing.wait_all_tasks_blocked()
        assert key(60).node_id not in victim.table
        assert key(2).node_id in victim.table


async def test_no_answer_is_longer_than_its_question() -> None:
    async with open_town("memory", 10) as town:
        end, source = town.ends.end(200)
        short = key(70).public + b""
        body = encode(Find(bytes(8), None, bytes(20), b""))
        data = short + key(70).sign("dht", body) + body
        town.ends.air.carry(data, source, town.sources[0])
        with trio.move_on_after(0.05) as scope:
            await end.receive()
        assert scope.cancelled_caught
        town.ends.air.carry(seal(key(70), Find(bytes(8), None, bytes(20), b"")), source, town.sources[0])
        answer, _ = await end.receive()
        assert len(answer) <= DATAGRAM_MAX
        assert isinstance(Sealed(answer).message, Found)


async def test_a_liar_can_hold_back_but_not_change() -> None:
    async with open_town("memory", 8) as town:
        value = value_of(3)
        await town.nodes[2].publish(value)
        forged = Value(value.key, value.signature, value.salt, 9, value.expires, b"other")
        for liar in town.nodes[4:6]:
            liar.shelf.put(forged)
        assert await town.nodes[7].find(value.place) == value


async def test_what_is_not_right_is_not_stored() -> None:
    async with open_town("memory", 3) as town:
        now, one = CLOCK.now(), key(3)
        wrong = [
            make_value(one, b"", sequence=1, expires=Instant(now), body=b""),
            make_value(one, b"", sequence=1, expires=after(now, Span(33 * DAY)), body=b""),
            Value(one.public, value_of(3).signature, b"", 2, after(now, HOUR), b"forged"),
        ]
        for value in wrong:
            assert await town.nodes[0].publish(value) == 0
        assert len(town.nodes[1].shelf) == 0


def test_the_shelf_and_the_senders_are_bounded() -> None:
    shelf, now = Shelf(3), CLOCK.now()
    values = [value_of(number + 1) for number in range(4)]
    for value in values[:3]:
        shelf.put(value)
    assert shelf.get(values[0].place, now) == values[0]
    shelf.put(values[3])
    assert [shelf.get(value.place, now) is not None for value in values] == [True, False, True, True]
    assert not shelf.put(value_of(1, sequence=0))
    assert shelf.get(values[0].place, values[0].expires) is None
    assert len(shelf) == 2
    told = Shelf(3)
    for at, value in enumerate(values[:3]):
        told.put(value, at)
    assert told.to_carry(2, now, 1) == [values[0]]
    assert told.to_carry(2, now, 9) == values[:2]
    assert told.to_carry(9, values[0].expires, 9) == []
    rates = Rates(Limits(dht_datagrams_per_s=2, dht_datagrams_all_per_s=10), per_port=False)
    same = [rates.admits(Source(bytes([1, 2, 3, 4]), port), 0.0) for port in range(20)]
    assert sum(same) == 8
    others = [rates.admits(Source(bytes([1, 2, 3, 5 + number]), 1), 0.0) for number in range(40)]
    assert sum(others) == 12
    assert rates.admits(Source(bytes([1, 2, 3, 4]), 1), 1.0)


async def test_a_value_outlives_its_owner_and_all_who_kept_it_at_first(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town("memory", 20) as town:
        value = value_of(1)
        await town.nodes[0].publish(value)
        town.kill(0)
        keepers = [number for number in range(1, 20) if len(town.nodes[number].shelf)]
        assert 0 < len(keepers) <= 8
        for last in (keepers[:-1], keepers[-1:]):
            await trio.sleep(2 * 3600)
            for number in last:
                town.kill(number)
        alive = next(number for number in range(1, 20) if number not in keepers)
        assert await town.nodes[alive].find(value.place) == value
