"""A backup that waits for one bad peer, or puts two shares in one place, is no backup."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from nanobarter.core.ids import PackId
from nanobarter.core.units import MINUTE, Span
from nanobarter.storage import placements as rows
from nanobarter.storage.placement import NotPlaced
from nanobarter.storage.placements import PlacedPackRow
from nanobarter.storage.ports import PackMissing
from tests.storage.vaults import SMALL, TINY, Town, pack_of, town

HANGING = replace(  # no call gives up by itself
    TINY, share_patience=Span(500), sign_timeout=Span(1000), call_timeout=Span(600_000)
)


def held(here: Town, pack_id: PackId) -> list[rows.Placement]:
    found = here.store.read_now(lambda db: rows.of_pack(db, pack_id))
    return [p for p in found if p.state == "held"]


async def test_two_of_five_come_back_with_three_peers_gone(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 5)
    async with town(tmp_path, 5) as (here, _):
        await here.placer.put(pack)
        assert len({p.node for p in held(here, pack.pack_id)}) == 5
        for peer in here.peers[:3]:
            here.hub.disconnect(peer.node_id)
        assert await here.placer.get(pack.pack_id) == pack.body
        here.hub.disconnect(here.peers[3].node_id)
        with pytest.raises(PackMissing, match="1 of the 2"):
            await here.placer.get(pack.pack_id)


async def test_a_hung_peer_is_replaced_by_a_spare(tmp_path: Path, idle_clock: MockClock) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 5, limits=HANGING) as (here, _):
        here.hang(here.peers[0])
        here.wallet.notes[here.peers[0].node_id] += 100  # the most room: it is asked first
        with trio.fail_after(30):
            await here.placer.put(pack)
        nodes = {p.node for p in held(here, pack.pack_id)}
        assert nodes == {peer.node_id for peer in here.peers[1:]}


async def test_a_hung_peer_without_a_spare_makes_the_pack_thin_and_rests(tmp_path: Path, idle_clock: MockClock) -> None:
    async with town(tmp_path, 5, limits=HANGING) as (here, _):
        here.hang(here.peers[0])
        for pack in (pack_of("a", 2, 5), pack_of("b", 2, 5), pack_of("c", 2, 5)):
            with trio.fail_after(30):
                row = await here.placer.place(pack, "data")
            assert (row.thin, len(held(here, pack.pack_id))) == (True, 4)
            assert await here.placer.get(pack.pack_id) == pack.body


async def test_a_peer_that_says_nothing_is_not_told_as_a_slow_one(tmp_path: Path, idle_clock: MockClock) -> None:
    async with town(tmp_path, 2, limits=HANGING) as (here, _):
        here.hang(here.peers[0])
        with trio.fail_after(60), pytest.raises(NotPlaced, match="it does not answer"):
            await here.placer.put(pack_of("a", 2, 2))


async def test_a_hung_peer_does_not_hold_a_read(tmp_path: Path, idle_clock: MockClock) -> None:
    pack = pack_of("a", 2, 5)
    async with town(tmp_path, 5, limits=HANGING) as (here, _):
        await here.placer.put(pack)
        first = held(here, pack.pack_id)[0].node
        here.hang(next(peer for peer in here.peers if peer.node_id == first))
        with trio.fail_after(30):
            assert await here.placer.get(pack.pack_id) == pack.body


async def test_an_altered_share_is_not_believed(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack)
        for peer in here.peers[:2]:
            file = peer.files()[-1]
            share = bytearray(file.read_bytes())
            share[5000] ^= 1
            file.write_bytes(share)
        assert await here.placer.get(pack.pack_id) == pack.body


async def test_another_share_of_ours_is_not_taken_for_the_right_one(tmp_path: Path) -> None:
    pack, other = pack_of("a", 1, 2), pack_of("b", 1, 2)
    async with town(tmp_path, 2) as (here, _):
        await here.placer.put(pack)
        before = {peer.node_id: set(peer.files()) for peer in here.peers}
        await here.placer.put(other)
        first = here.peers[0]
        (mine,) = before[first.node_id]
        (its,) = set(first.files()) - before[first.node_id]
        mine.write_bytes(its.read_bytes())
        here.hub.disconnect(here.peers[1].node_id)
        with pytest.raises(PackMissing):
            await here.placer.get(pack.pack_id)
        here.hub.reconnect(here.peers[1].node_id)
        assert await here.placer.get(pack.pack_id) == pack.body


async def test_one_network_gets_one_share(tmp_path: Path) -> None:
    pack = pack_of("a", 1, 4)
    async with town(tmp_path, 4) as (here, _):
        for index, peer in enumerate(here.peers[:3]):
            here.hosts[peer.node_id] = f"9.9.9.{index + 1}"
        assert here.placer.geometry().n == 2
        await here.placer.put(pack)
        places = Counter(here.hosts[p.node].rpartition(".")[0] for p in held(here, pack.pack_id))
        assert places == {"9.9.9": 1, "8.8.3": 1}


async def test_names_seen_on_one_line_get_one_share_wherever_they_say_they_are(tmp_path: Path) -> None:
    pack = pack_of("a", 1, 4)
    async with town(tmp_path, 4) as (here, _):
        seen = here.directory.seen
        seen |= {peer.node_id: f"9.9.9.{index + 1}" for index, peer in enumerate(here.peers[:3])}
        assert here.placer.geometry().n == 2
        await here.placer.put(pack)
        assert sum(p.node in seen for p in held(here, pack.pack_id)) == 1
        assert len({here.placer.place_of(node) for node in seen}) == 1


async def test_too_few_peers_is_said_and_a_second_put_goes_on(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3) as (here, _):
        for peer in here.peers[1:]:
            here.hub.disconnect(peer.node_id)
        with pytest.raises(NotPlaced, match=r"1 of the 2 .* found a peer \(.*is not connected.*"):
            await here.placer.put(pack)
        before = held(here, pack.pack_id)
        for peer in here.peers[1:]:
            here.hub.reconnect(peer.node_id)
        here.clock.advance(Span(3 * MINUTE))
        await here.placer.put(pack)
        assert len(held(here, pack.pack_id)) == 3
        assert set(before) <= set(held(here, pack.pack_id))


async def test_quotas_hold_when_many_packs_go_out_at_once(tmp_path: Path) -> None:
    packs = [pack_of(str(i), 1, 3, 256 * 1024) for i in range(12)]
    async with town(tmp_path, 3, notes=8) as (here, _):
        async with trio.open_nursery() as nursery:
            for pack in packs:
                nursery.start_soon(here.placer.put, pack)
        for pack in packs:
            assert len(held(here, pack.pack_id)) == 3
            assert await here.placer.get(pack.pack_id) == pack.body
        for lease in here.leases.live():
            peer = next(p for p in here.peers if p.node_id == lease.issuer)
            assert peer.vault.used_bytes(lease.lease_id) == lease.used_bytes <= lease.quota_bytes


async def test_what_a_crash_left_half_placed_is_deleted_at_the_peer(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack)
        one = held(here, pack.pack_id)[0]
        await here.store.write(lambda db: rows.put(db, replace(one, state="placing")))
        await here.placer.start()
        assert await here.placer.tidy() == 0
        assert [p.index for p in held(here, pack.pack_id)] == [1, 2]
        assert sorted(len(peer.files()) for peer in here.peers) == [0, 1, 1]


async def test_a_removed_pack_leaves_the_peers(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack)
        await here.placer.remove(pack.pack_id)
        assert await here.placer.tidy() == 0
        assert [peer.files() for peer in here.peers] == [[], [], []]
        assert {lease.used_bytes for lease in here.leases.live()} == {0}
        with pytest.raises(PackMissing):
            await here.placer.get(pack.pack_id)


async def test_a_pack_of_which_no_peer_has_anything_leaves_no_row_behind(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        row = PlacedPackRow(pack_of("cut off", 2, 3).pack_id, "data", 2, 3, SMALL, thin=True)
        await here.store.write(lambda db: rows.keep_pack(db, row))
        await here.placer.remove(row.pack_id)
        assert await count_packs(here) == 0
        await here.store.write(lambda db: rows.keep_pack(db, row))
        kept = await here.placer.place(pack_of("a", 2, 3), "data")
        await here.placer.start()
        assert [pack.pack_id for pack in await here.store.read(rows.all_packs)] == [kept.pack_id]
        assert await count_packs(here) == 1


async def count_packs(here: Town) -> int:
    question = "SELECT count(*) FROM storage_placed_packs"
    return await here.store.read(lambda db: int(db.execute(question).fetchone()[0]))


async def test_a_peer_that_is_still_silent_stays_at_rest_and_costs_no_wait_when_things_are_tidied(
    tmp_path: Path,
) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack)
        silent, back = (p.node for p in held(here, pack.pack_id)[:2])
        here.hub.disconnect(silent)
        for node in (silent, back):
            here.reader.rests.begin(node)
        assert await here.reader.rests.end_of_the_living() == 1
        assert here.reader.rests.resting(silent)
        assert not here.reader.rests.resting(back)
        await here.placer.remove(pack.pack_id)
        here.hub.reconnect(silent)
        assert await here.placer.tidy() == 1  # not asked while it rests
        assert await here.reader.rests.end_of_the_living() == 0  # nor asked twice in one rest
        assert await here.placer.tidy(resting_too=True) == 0


async def test_a_pack_comes_back_while_a_share_of_it_is_at_two_peers(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 4) as (here, _):
        row = await here.placer.place(pack, "data")
        placed = await here.store.read(lambda db: rows.of_pack(db, pack.pack_id))
        away = placed[0].node
        here.hub.disconnect(away)
        await here.placer.fill(row, pack.body, placed[1:])  # what a repair does before it gives the old one up
        assert [p.index for p in await here.store.read(lambda db: rows.of_pack(db, pack.pack_id))] == [0, 0, 1, 2]
        here.hub.reconnect(away)
        here.reader.forgive()
        assert await here.placer.get(pack.pack_id) == pack.body
        here.hub.disconnect(placed[2].node)
        here.hub.disconnect(away)
        assert await here.placer.get(pack.pack_id) == pack.body


async def test_a_peer_without_room_for_what_it_owes_is_not_counted_on_for_a_day(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack_of("a", 1, 3))
        small = here.peers[0]
        disk = small.vault._files.free_bytes  # pyright: ignore[reportPrivateUsage] - the disk that fills up
        small.vault._files.free_bytes = lambda: 0  # type: ignore[method-assign] # pyright: ignore[reportPrivateUsage]
        await here.placer.put(pack_of("b", 1, 3))
        assert here.leases.full() == {small.node_id}
        small.vault._files.free_bytes = disk  # type: ignore[method-assign] # pyright: ignore[reportPrivateUsage]
        here.clock.advance(here.limits.share_peer_rest)
        await here.placer.put(pack_of("c", 1, 3))
        assert here.leases.full() == set()


async def test_peers_that_are_away_for_a_while_keep_their_place_in_the_code_and_get_their_shares_later(
    tmp_path: Path,
) -> None:
    pack = pack_of("a", 2, 5)
    async with town(tmp_path, 5) as (here, _):
        await here.placer.put(pack_of("before", 2, 5))
        away = here.peers[3:]
        for peer in away:
            here.hub.disconnect(peer.node_id)
        assert here.placer.geometry().n == 5  # what they owe counts, not who answers just now
        row = await here.placer.place(pack, "data")
        assert (row.thin, len(held(here, pack.pack_id))) == (True, 3)
        (health,) = [h for h in here.auditor.health() if h.row.pack_id == pack.pack_id]
        assert (health.proven, health.verdict) == (3, "below")  # said as it is, though k of them are enough
        for peer in away:
            here.hub.reconnect(peer.node_id)
        here.reader.forgive()
        await here.repairer.round_now()
        assert len(held(here, pack.pack_id)) == 5
        assert here.auditor.status().verdict == "healthy"
