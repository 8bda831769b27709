"""A lease that is paid for and forgotten, or filled by one byte too many, costs a person their redundancy."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from nanobarter.core.errors import PeerFault, Reason, Refused
from nanobarter.core.keys import Signed
from nanobarter.core.units import DAY, MIB, Span
from nanobarter.storage import placements as rows
from nanobarter.storage.leases import HeldLease
from tests.storage.vaults import SMALL, pack_of, signing, town


async def test_room_given_out_at_once_is_never_given_twice(tmp_path: Path) -> None:
    got = list[object]()
    async with town(tmp_path, 1, notes=4) as (here, _):

        async def ask() -> None:
            got.append(await here.leases.lease_for(here.peers[0].node_id, MIB))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(ask)
        refused = [answer for answer in got if isinstance(answer, Refused)]
        assert len(got) - len(refused) == 3  # 4 MiB less the reserve for the head
        assert {no.reason for no in refused} == {Reason.NO_CAPACITY}
        (lease,) = here.leases.live()
        here.leases.recorded(lease.lease_id, MIB)  # given up
        assert await here.leases.lease_for(here.peers[0].node_id, MIB) == lease


async def test_a_lease_that_a_crash_cut_off_is_adopted_and_a_stranger_s_is_not(tmp_path: Path) -> None:
    async with town(tmp_path, 1, notes=0) as (here, _):
        peer = here.peers[0].node_id
        mine = here.mints.make(peer, 4, here.keys.signing.public)
        other = here.mints.make(peer, 4, signing("other").public)
        here.wallet.received += [mine, other]
        assert await here.leases.adopt() == 1
        assert await here.leases.adopt() == 0
        (lease,) = here.leases.live()
        assert lease.contract == mine
        with pytest.raises(PeerFault, match="not this vault's"):
            await here.leases.keep(other)


async def test_an_empty_lease_is_left_to_end_and_a_full_one_keeps_what_it_uses(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        await here.placer.put(pack_of("a", 1, 1, MIB))
        (used,) = here.leases.live()
        other = next(peer for peer in here.peers if peer.node_id != used.issuer)
        await here.leases.keep(here.mints.make(other.node_id, 4, here.keys.signing.public))
        here.clock.advance(Span(20 * DAY))
        assert await here.leases.extend_due() == [(used.lease_id, None)]
        quotas = {lease.lease_id: (lease.quota_bytes, lease.ends_at) for lease in here.leases.live()}
        assert quotas[used.lease_id] == (2 * MIB, used.ends_at + 30 * DAY)


async def test_without_notes_the_extension_says_so_and_the_lease_stays(tmp_path: Path) -> None:
    async with town(tmp_path, 1, notes=4) as (here, _):
        await here.placer.put(pack_of("a", 1, 1))
        here.clock.advance(Span(20 * DAY))
        ((_, no),) = await here.leases.extend_due()
        assert no is not None
        assert no.reason == Reason.NO_CAPACITY
        assert len(here.leases.live()) == 1


async def test_a_mint_that_extends_for_another_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with town(tmp_path, 1) as (here, _):
        await here.placer.put(pack_of("a", 1, 1))
        (before,) = here.leases.live()

        async def lie(*_: object) -> Signed:
            await trio.lowlevel.checkpoint()
            return here.mints.make(before.issuer, 4, signing("other").public)

        monkeypatch.setattr(here.wallet, "extend", lie)
        here.clock.advance(Span(20 * DAY))
        ((_, no),) = await here.leases.extend_due()
        assert no is not None
        assert here.leases.live() == [before]


async def test_notes_that_have_just_become_a_lease_still_count_as_room(tmp_path: Path) -> None:
    async with town(tmp_path, 1) as (here, _):
        issuer = here.peers[0].node_id
        before = here.leases.capacity()[issuer]
        here.wallet.received.append(here.mints.make(issuer, here.wallet.notes[issuer], here.keys.signing.public))
        here.wallet.notes[issuer] = 0  # one commit in the wallet, and none in the book yet
        assert here.leases.capacity()[issuer] == before
        lease = await here.leases.lease_for(issuer, SMALL)
        assert isinstance(lease, HeldLease)
        assert here.leases.capacity()[issuer] == before


async def test_what_is_used_is_the_sum_of_the_placements_whatever_happens_to_them(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        for label in "abcd":
            await here.placer.put(pack_of(label, 1, 3))

        def uses(db: sqlite3.Connection) -> tuple[dict[bytes, int], dict[bytes, int]]:
            kept = dict(db.execute("SELECT lease_id, used_bytes FROM storage_lease_use WHERE used_bytes > 0"))
            return kept, dict(db.execute("SELECT lease_id, sum(size) FROM storage_placements GROUP BY lease_id"))

        async def check() -> int:
            kept, counted = await here.store.read(uses)
            assert kept == counted
            return sum(kept.values())

        full = await check()
        one, other, *_ = await here.store.read(rows.all_placements)
        for change in (replace(one, size=one.size - 7), replace(one, lease_id=other.lease_id), one, one):
            await here.store.write(lambda db, p=change: rows.put(db, p))
            await check()
        await here.store.write(lambda db: rows.drop(db, other))
        assert await check() == full - other.size
        await here.placer.remove(one.pack_id)
        assert await here.placer.tidy() == 0
        await check()
        assert {lease.used_bytes for lease in here.leases.live()} == {3 * one.size}
