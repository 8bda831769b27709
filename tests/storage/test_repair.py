"""Redundancy that is not rebuilt in time is loss with a delay."""

from dataclasses import replace
from pathlib import Path

import trio
import trio.testing

from nanobarter.core.units import DAY, HOUR, MINUTE, Span
from nanobarter.storage import placements as rows
from nanobarter.storage.placement import Placer
from nanobarter.storage.repair import Repairer
from tests.storage.vaults import TINY, Town, pack_of, town


def spread(here: Town, pack_id: bytes) -> set[bytes]:
    found = here.store.read_now(
        lambda db: db.execute(
            "SELECT node FROM storage_placements WHERE state = 'held' AND pack_id = ?", (pack_id,)
        ).fetchall()
    )
    return {node for (node,) in found}


async def test_two_of_five_gone_are_replaced_by_new_peers(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 5)
    async with town(tmp_path, 5) as (here, nursery):
        await here.placer.put(pack)
        for peer in here.peers[:2]:
            here.hub.disconnect(peer.node_id)
        await here.auditor.round_now()
        here.clock.advance(Span(73 * HOUR))
        await here.auditor.round_now()
        assert (here.auditor.health()[0].proven, here.auditor.status().verdict) == (3, "below")
        await here.repairer.round_now()
        assert here.auditor.health()[0].proven == 3  # nowhere to go: three servers hold three shares, not five
        for _ in range(2):
            await here.new_peer(nursery)
        here.clock.advance(Span(5 * MINUTE))
        done = await here.repairer.round_now()
        assert done.repaired == (pack.pack_id,)
        assert here.auditor.status().verdict == "healthy"
        assert spread(here, pack.pack_id) == {peer.node_id for peer in here.peers[2:]}
        for peer in here.peers[2:5]:
            here.hub.disconnect(peer.node_id)
        assert await here.placer.get(pack.pack_id) == pack.body


async def test_a_corrupt_share_is_replaced_elsewhere_or_in_place(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack)
        file = here.peers[0].files()[0]
        file.write_bytes(bytes(file.stat().st_size))
        assert len((await here.auditor.round_now()).wrong) == 1
        await here.repairer.round_now()
        here.clock.advance(Span(5 * MINUTE))
        await here.repairer.round_now()
        await here.auditor.round_now(everything=True)
        assert here.auditor.status().verdict == "healthy"
        assert here.auditor.health()[0].bad == 0
        assert file.read_bytes() != bytes(file.stat().st_size)


async def test_a_share_that_is_caught_wrong_is_replaced_at_once(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, nursery):
        await here.placer.put(pack)
        await here.new_peer(nursery)
        await nursery.start(here.repairer.run)
        file = here.peers[0].files()[0]
        file.write_bytes(bytes(file.stat().st_size))
        assert len((await here.auditor.round_now()).wrong) == 1
        with trio.fail_after(60):
            while here.auditor.status().verdict != "healthy":  # noqa: ASYNC110 - the store tells nobody
                await trio.sleep(0.01)
        assert here.peers[0].node_id not in spread(here, pack.pack_id)
        nursery.cancel_scope.cancel()


async def test_lost_packs_of_the_catalog_are_made_again_and_older_heads_forgotten(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        await here.publisher.publish(b"first")
        await here.publisher.publish(b"second")
        here.repairer = Repairer(
            store=here.store,
            leases=here.leases,
            placer=here.placer,
            clock=here.clock,
            limits=here.limits,
            moved=lambda: publish(here),
        )
        for peer in here.peers:
            for file in peer.files():
                file.unlink()
        await here.auditor.round_now(everything=True)
        assert (here.auditor.status().verdict, here.auditor.lost) == ("lost", frozenset())
        here.clock.advance(Span(5 * MINUTE))
        await here.repairer.round_now()
        status = here.auditor.status()
        assert (status.verdict, status.packs) == ("healthy", 1)


async def publish(here: Town) -> None:
    await here.publisher.publish(b"third")


async def test_two_shares_at_one_peer_become_two_at_two(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, nursery):
        await here.placer.put(pack)
        doubled = (await here.store.read(lambda db: rows.of_pack(db, pack.pack_id)))[0].node
        here.hub.disconnect(here.peers[1].node_id if here.peers[1].node_id != doubled else here.peers[2].node_id)
        lost = next(p for p in await here.store.read(lambda db: rows.of_pack(db, pack.pack_id)) if p.node not in {
            *here.directory.connected(), doubled})  # fmt: skip
        await here.store.write(lambda db: rows.drop(db, lost))
        moved = replace(lost, node=doubled, state="held")  # as if an upload and a repair had met
        others = [p for p in await here.store.read(lambda db: rows.of_pack(db, pack.pack_id)) if p.node != doubled]
        row = await here.store.read(lambda db: rows.find_pack(db, pack.pack_id))
        assert row is not None
        await here.placer.fill(row, pack.body, [*others, replace(moved, node=others[0].node, index=0)])
        assert [p.node for p in await here.store.read(lambda db: rows.of_pack(db, pack.pack_id))].count(doubled) == 2
        assert here.auditor.health()[0].proven == 3
        await here.new_peer(nursery)
        await here.repairer.round_now()
        assert (here.auditor.health()[0].proven, len(spread(here, pack.pack_id))) == (4, 4)


async def test_a_pack_that_is_being_stored_is_left_to_who_stores_it(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack)
        placed = await here.store.read(lambda db: rows.of_pack(db, pack.pack_id))
        await here.store.write(lambda db: rows.drop(db, placed[0]))
        await here.store.write(lambda db: rows.put(db, replace(placed[1], state="placing")))
        assert (await here.repairer.round_now()).failed == ((pack.pack_id, "it is being stored just now"),)
        assert len(spread(here, pack.pack_id)) == 2
        await here.placer.start()  # as after a crash of who stored it
        await here.repairer.round_now()
        assert here.auditor.status().verdict == "healthy"


async def test_a_thin_pack_is_filled_up_when_peers_come(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 5)
    async with town(tmp_path, 3) as (here, nursery):
        await here.placer.put(pack)
        assert here.auditor.status().verdict == "below"
        for _ in range(2):
            await here.new_peer(nursery)
        assert (await here.repairer.round_now()).repaired == (pack.pack_id,)
        assert here.auditor.status().verdict == "healthy"


async def test_two_rounds_at_once_do_the_work_of_one(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 5)
    async with town(tmp_path, 3) as (here, nursery):
        await here.placer.put(pack)
        for _ in range(2):
            await here.new_peer(nursery)
        done = list[int]()

        async def round_now() -> None:
            done.append(len((await here.repairer.round_now()).repaired))

        async with trio.open_nursery() as both:
            both.start_soon(round_now)
            both.start_soon(round_now)
        assert sorted(done) == [0, 1]
        assert [len(peer.files()) for peer in here.peers] == [1] * 5


async def test_a_healthy_vault_is_left_alone(tmp_path: Path) -> None:
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack_of("a", 2, 3))
        before = here.store.read_now(lambda db: db.execute("SELECT * FROM storage_placements").fetchall())
        done = await here.repairer.round_now()
        assert (done.repaired, done.failed) == ((), ())
        assert here.store.read_now(lambda db: db.execute("SELECT * FROM storage_placements").fetchall()) == before


async def test_leases_are_extended_from_their_old_end_and_shares_outlive_them(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack)
        ends = {lease.lease_id: lease.ends_at for lease in here.leases.live()}
        here.clock.advance(Span(19 * DAY))
        assert await here.leases.extend_due() == []
        here.clock.advance(Span(1 * DAY))
        await here.repairer.round_now()
        assert {lease.lease_id: lease.ends_at for lease in here.leases.live()} == {
            lease: end + 30 * DAY for lease, end in ends.items()
        }
        here.clock.advance(Span(15 * DAY))
        for peer in here.peers:
            await peer.vault.sweep()
        await here.auditor.round_now()
        assert here.auditor.status().verdict == "healthy"
        assert await here.placer.get(pack.pack_id) == pack.body
        assert isinstance(here.placer, Placer)


async def test_leases_are_extended_while_a_repair_takes_days(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3, limits=replace(TINY, repair_period=Span(20))) as (here, nursery):
        await here.placer.put(pack)
        ends = {lease.lease_id: lease.ends_at for lease in here.leases.live()}

        async def forever(*_: object) -> None:
            await trio.sleep_forever()

        here.repairer._placer.tidy = forever  # type: ignore[method-assign,assignment] # pyright: ignore[reportPrivateUsage,reportAttributeAccessIssue]
        await nursery.start(here.repairer.run)
        await trio.testing.wait_all_tasks_blocked()
        here.clock.advance(Span(20 * DAY))
        with trio.fail_after(60):
            while any(  # noqa: ASYNC110 - the store tells nobody
                lease.ends_at == ends.get(lease.lease_id) for lease in here.leases.live()
            ):
                await trio.sleep(0.01)
