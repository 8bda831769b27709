"""Whom a node asks decides what it finds: one owner of many addresses must not become everybody it knows."""

import random

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.net.dht.lookup import ALPHA, STALL, Lookup
from nanobarter.net.dht.table import BUCKET_SIZE, Table
from nanobarter.net.dht.wire import Contact
from tests.net.dht.nodes import key

OWN = key(1).node_id


def contact(rng: random.Random, host: bytes) -> Contact:
    return Contact(NodeId(rng.randbytes(32)), host, 7070)


def test_one_network_holds_two_places_of_a_bucket() -> None:
    rng, table = random.Random(1), Table(OWN, same_host_ok=False)
    for _ in range(2000):
        table.answered(contact(rng, bytes([198, 51, 100, rng.randrange(256)])))
    assert max(table.bucket_sizes) <= 2
    honest = [contact(rng, bytes([20 + i, 1, 1, 1])) for i in range(6)]
    for one in honest:
        table.answered(one)
    assert set(honest) <= set(table.everyone())
    for host in (bytes(4), bytes([127, 0, 0, 1]), bytes([224, 0, 0, 1]), bytes(16), bytes(5)):
        assert not table.answered(contact(rng, host))


def test_old_contacts_stay_and_their_addresses_are_not_taken_over() -> None:
    rng, table = random.Random(2), Table(OWN, same_host_ok=True)
    first = [contact(rng, bytes([10, 0, 0, 1])) for _ in range(2000)]
    for one in first:
        table.answered(one)
    known = table.everyone()
    moved = Contact(known[0].node, bytes([10, 9, 9, 9]), 1)
    assert not table.answered(moved)
    for _ in range(500):
        table.answered(contact(rng, bytes([10, 0, 0, 2])))
    assert set(known) <= set(table.everyone())
    table.failed(known[0].node)
    assert table.answered(moved)  # who failed may have moved
    table.failed(known[1].node)
    table.failed(known[1].node)
    assert known[1] not in table.everyone()


@given(st.integers(0, 2**32), st.integers(0, 300))
def test_the_nearest_are_the_nearest(seed: int, count: int) -> None:
    rng, table = random.Random(seed), Table(OWN, same_host_ok=True)
    for _ in range(count):
        table.answered(contact(rng, bytes([10, 0, 0, 1])))
    target = rng.randbytes(20)
    distance = {c: int.from_bytes(c.node[:20], "big") ^ int.from_bytes(target, "big") for c in table.everyone()}
    assert table.near(target) == sorted(distance, key=lambda c: distance[c])[:BUCKET_SIZE]
    assert max(table.bucket_sizes) <= BUCKET_SIZE


@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0, 1))
def test_a_walk_ends_with_the_nearest_that_live_whoever_is_silent(seed: int, count: int, dead_share: float) -> None:
    rng = random.Random(seed)
    everybody = [contact(rng, bytes([10, 0, 0, 1])) for _ in range(count)]
    target = rng.randbytes(20)
    everybody.sort(key=lambda c: int.from_bytes(c.node[:20], "big") ^ int.from_bytes(target, "big"))
    dead = {c for c in everybody if rng.random() < dead_share}
    lookup, now, asked = Lookup(target, OWN), 0.0, set[Contact]()
    lookup.learn(everybody)
    while not lookup.is_over(now):
        chosen = lookup.next(now)
        assert len(chosen) <= ALPHA
        assert not asked & set(chosen)
        asked |= set(chosen)
        for one in chosen:
            if one not in dead:
                lookup.answered(one.node)
        if not chosen:
            now = max(lookup.wakes_at(now), now) + 0.001
    assert lookup.nearest() == [c for c in everybody if c not in dead][:8]
    assert set(lookup.stalled(now)) == {c.node for c in asked & dead}
    assert now <= (STALL + 0.002) * (len(dead) // ALPHA + 2)


def test_liars_cannot_make_a_walk_last() -> None:
    rng, lookup, asked, now = random.Random(3), Lookup(bytes(20), OWN), 0, 0.0
    lookup.learn([contact(rng, bytes([10, 0, 0, 1]))])
    while not lookup.is_over(now):
        for one in lookup.next(now):
            asked += 1
            lookup.answered(one.node)
            if asked < 10_000:  # each tells of eight that nobody has ever seen
                lookup.learn([contact(rng, bytes([10, 0, 0, 1])) for _ in range(8)])
    assert asked < 300
