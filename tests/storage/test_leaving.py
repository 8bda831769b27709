"""A peer that goes in good order must cost no share, and be free to go once what it kept has moved."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.item import make_item
from nanobarter.core.units import DAY, SECOND, Instant, Span
from nanobarter.storage import leaving as rows
from nanobarter.storage.leaving import LeaveNotice, read_notice
from nanobarter.storage.placement import Placer
from nanobarter.storage.repair import Repairer
from tests.storage.vaults import TINY, Peer, Town, pack_of, signing, town


async def left_at(peer: Peer, here: Town) -> int:
    now = here.clock.now()
    return (await peer.store.read(lambda db: rows.kept_now(db, now))).shares


def hears(here: Town, leaving: set[NodeId]) -> None:
    """Let the client know who leaves."""
    here.placer = Placer(
        store=here.store, keys=here.keys, leases=here.leases, reader=here.reader, limits=here.limits,
        leaving=lambda: leaving,
    )  # fmt: skip
    here.repairer = Repairer(
        store=here.store, leases=here.leases, placer=here.placer, clock=here.clock, limits=here.limits,
        leaving=lambda: leaving,
    )  # fmt: skip


async def test_a_lease_ends_only_when_its_shares_have_moved(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, nursery):
        leaving = set[NodeId]()
        hears(here, leaving)
        await here.placer.put(pack_of("a", 2, 3))
        goes = here.peers[1].node_id
        leaving.add(goes)

        def ends() -> list[int]:
            return [lease.ends_at for lease in here.leases.live() if lease.issuer == goes]

        (first,) = ends()
        here.clock.advance(Span(20 * DAY))
        await here.auditor.round_now(everything=True)
        await here.repairer.round_now()
        assert ends() == [first + 30 * DAY], "nobody else has room, and its share would end with the lease"
        await here.new_peer(nursery)
        assert (await here.repairer.round_now()).repaired
        here.clock.advance(Span(30 * DAY))
        await here.auditor.round_now(everything=True)
        await here.repairer.round_now()
        assert ends() == [first + 30 * DAY]


async def test_shares_move_to_another_peer_and_are_deleted_where_they_were(tmp_path: Path) -> None:
    packs = [pack_of(label, 2, 5) for label in "ab"]
    async with town(tmp_path, 5) as (here, nursery):
        leaving = set[NodeId]()
        hears(here, leaving)
        for pack in packs:
            await here.placer.put(pack)
        goes = here.peers[1]
        assert await left_at(goes, here) == 2
        leaving.add(goes.node_id)
        await here.repairer.round_now()  # nobody else can take them yet
        assert await left_at(goes, here) == 2
        assert here.auditor.status().verdict == "healthy"  # they are proven, and there
        await here.new_peer(nursery)
        done = await here.repairer.round_now()
        assert len(done.repaired) == 2
        assert await left_at(goes, here) == 0
        assert goes.files() == []
        assert here.auditor.status().verdict == "healthy"
        here.hub.disconnect(goes.node_id)
        for peer in here.peers[2:5]:
            here.hub.disconnect(peer.node_id)
        for pack in packs:  # from one that stayed and the one that came
            assert await here.placer.get(pack.pack_id) == pack.body


async def test_nothing_new_goes_to_who_leaves_until_it_stays_after_all(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _nursery):
        goes = here.peers[0]
        leaving = {goes.node_id}
        hears(here, leaving)
        await here.placer.put(pack_of("a", 1, 3))
        assert [await left_at(peer, here) for peer in here.peers] == [0, 1, 1]
        leaving.clear()
        await here.repairer.round_now()
        assert [await left_at(peer, here) for peer in here.peers] == [1, 1, 1]


async def test_a_vault_that_leaves_takes_nothing_in_and_gives_all_back(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _nursery):
        await here.placer.put(pack_of("a", 1, 2))
        here.closed |= set(here.hosts)
        with pytest.raises(Exception, match="0 of the 1"):
            await here.placer.put(pack_of("b", 1, 2))
        assert await here.placer.get(pack_of("a", 1, 2).pack_id) == pack_of("a", 1, 2).body
        assert (await here.auditor.round_now(everything=True)).wrong == ()
        await here.placer.remove(pack_of("a", 1, 2).pack_id)
        assert await here.placer.tidy(resting_too=True) == 0
        assert [await left_at(peer, here) for peer in here.peers] == [0, 0]
        here.closed.clear()
        here.clock.advance(here.limits.share_peer_rest)
        await here.placer.put(pack_of("b", 1, 2))


async def test_what_was_decided_outlives_a_restart_and_ended_leases_do_not_count(tmp_path: Path) -> None:
    async with town(tmp_path, 1) as (here, _nursery):
        (peer,) = here.peers
        await here.placer.put(pack_of("a", 1, 1))
        begun = await peer.store.write(lambda db: rows.begin(db, Instant(5)))
        assert (begun.since, begun.shares) == (5, 1)
        assert await peer.store.write(lambda db: rows.begin(db, Instant(9))) == begun
        assert peer.store.read_now(rows.find) == begun
        (lease,) = here.leases.live()
        after = lease.ends_at
        assert peer.store.read_now(lambda db: rows.kept_now(db, after)).shares == 0
        assert await peer.store.write(rows.cancel)
        assert not await peer.store.write(rows.cancel)
        assert peer.store.read_now(rows.find) is None


def test_a_notice_is_said_once_and_nothing_else_is_one() -> None:
    key, notice = signing("who leaves"), LeaveNotice(1, Instant(3), Instant(4))

    def item(key_bytes: bytes, body: bytes) -> LeaveNotice:
        return read_notice(make_item(key, "leave", key_bytes, sequence=1, expires=Instant(9), body=body))

    assert item(b"", encode(notice)) == notice
    for key_bytes, body in ((b"x", encode(notice)), (b"", b"x"), (b"", encode((2, 3, 4))), (b"", encode((1, 3)))):
        with pytest.raises(Malformed):
            item(key_bytes, body)


async def test_what_waits_for_a_peer_that_failed_for_a_moment_is_done_soon_and_not_after_a_period(
    tmp_path: Path,
) -> None:
    pack, limits = pack_of("a", 2, 5), replace(TINY, share_peer_rest=Span(50))
    async with town(tmp_path, 5, limits=limits) as (here, nursery):
        leaving = set[NodeId]()
        hears(here, leaving)
        await here.placer.put(pack)
        await here.new_peer(nursery)
        goes = here.peers[1]
        here.hub.disconnect(goes.node_id)  # it starts anew just now
        leaving.add(goes.node_id)
        done = await here.repairer.round_now()
        assert done.repaired == (pack.pack_id,)
        here.hub.reconnect(goes.node_id)
        assert await left_at(goes, here) == 1
        looked = trio.Event()

        async def note() -> None:
            await trio.lowlevel.checkpoint()
            looked.set()

        here.repairer = Repairer(
            store=here.store, leases=here.leases, placer=here.placer, clock=here.clock, limits=limits,
            leaving=lambda: leaving, catch_up=note,
        )  # fmt: skip
        with trio.fail_after(60):
            await nursery.start(here.repairer.run)
            await looked.wait()
            assert await left_at(goes, here) == 1  # it rested
            here.clock.advance(Span(SECOND))
            while await left_at(goes, here):  # noqa: ASYNC110 - the store tells nobody
                await trio.sleep(0.01)


async def test_a_peer_that_connects_again_is_asked_at_once(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        first, second = (peer.node_id for peer in here.peers)
        here.reader.rests.begin(first)
        assert not here.reader.rests.end(second)
        assert here.reader.rests.end(first)
        assert not here.reader.rests.resting(first)
        assert not here.reader.rests.end(first)
