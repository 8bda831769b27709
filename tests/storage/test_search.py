"""With every vault head lost, the phrase must still bring all back, and no liar may put anything in or keep it away."""

import hashlib
import json
from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import PeerFault
from nanobarter.core.ids import LeaseId, NodeId
from nanobarter.core.keys import seal_signed
from nanobarter.core.system import SystemEntropy
from nanobarter.core.units import Instant
from nanobarter.storage.backup import backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.leaving import LeaveNotice
from nanobarter.storage.recovery import NothingFound, recover
from nanobarter.storage.restore import restore
from nanobarter.storage.search import NothingHeld, Search
from nanobarter.storage.share import make_share, read_header
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.vault_asking import find_leases
from nanobarter.storage.vault_finding import LeaseFinder
from nanobarter.storage.vault_messages import ANSWER, DOMAIN_FIND, FindLeases, FoundLease, Leases, Refusal
from tests.storage.test_backup import plant
from tests.storage.test_whole_nodes import tree
from tests.storage.vaults import Peer, Town, signing, town

GOLDEN = Path(__file__).parent.parent / "vectors" / "storage-net-finding.json"
RENAME = "UPDATE storage_vault_shares SET share_id = ? WHERE share_id = ?"


def serve_finders(here: Town) -> None:
    for peer in here.peers:
        LeaseFinder(store=peer.store, node=peer.node_id, clock=here.clock, limits=here.limits).register(peer.node)


async def back_up(here: Town, folder: Path) -> None:
    catalog = Catalog(here.store)
    geometry = here.placer.geometry()
    await backup(
        roots=[folder], keys=here.keys, catalog=catalog, sink=here.placer, geometry=(geometry.k, geometry.n),
        clock=here.clock, entropy=SystemEntropy(), host="here",
    )  # fmt: skip
    await here.publisher.publish(await catalog.export(), b"policies")


async def lose_heads(here: Town) -> None:
    for peer in here.peers:
        await peer.store.write(lambda db: db.execute("DELETE FROM storage_vault_heads").rowcount)


def search_of(here: Town) -> Search:
    return Search(
        keys=here.keys, network=here.directory, store=here.store, clock=here.clock, entropy=here.entropy,
        limits=here.limits,
    )  # fmt: skip


async def bring_back(here: Town, target: Path, wanted: Path) -> Search:
    catalog, search = Catalog(here.store), search_of(here)
    found = await search.run(catalog)
    assert found.policies == b"policies"
    (line,) = await catalog.snapshots()
    with trio.fail_after(60):
        snapshot = open_snapshot(line.body, here.keys)
        done = await restore(snapshot, target, keys=here.keys, catalog=catalog, source=search.source())
    assert done.lost == ()
    assert tree(target) == tree(wanted)
    return search


async def test_all_comes_back_without_any_head_and_with_three_of_five_gone(tmp_path: Path) -> None:
    folder = plant(tmp_path / "folder")
    async with town(tmp_path, 5) as (here, nursery):
        serve_finders(here)
        await back_up(here, folder)
        await lose_heads(here)
        await here.move_client("bare", nursery)
        here.directory.known_nodes = set(here.hosts)
        for peer in here.peers[:3]:
            here.hub.disconnect(peer.node_id)
        with pytest.raises(NothingFound):
            await recover(
                keys=here.keys, network=here.directory, store=here.store, clock=here.clock, entropy=here.entropy,
                limits=here.limits,
            )  # fmt: skip
        search = await bring_back(here, tmp_path / "back", folder)
        assert search.found.peers == 2
        # Only what holds snapshots, what is not of the engine, and what has no first share among these is read whole.
        assert search.found.packs_read <= search.found.packs + 1


async def test_an_index_tells_what_is_in_a_pack_without_reading_all_of_it(tmp_path: Path) -> None:
    folder = plant(tmp_path / "folder")
    async with town(tmp_path, 5) as (here, nursery):
        serve_finders(here)
        await back_up(here, folder)
        await lose_heads(here)
        await here.move_client("bare", nursery)
        here.directory.known_nodes = set(here.hosts)
        found = await search_of(here).run(Catalog(here.store))
        data = sum(pack.kind == "data" for pack in await Catalog(here.store).packs())
        assert data
        assert found.packs_read <= found.packs - data + 1  # the catalog is one more


async def forge(here: Town, liar: Peer) -> int:
    """Let a peer put other bytes, whole and well signed by their own names, in the place of its shares."""
    count, mask = 0, hashlib.sha256(b"no mask of ours").digest()
    for path in liar.files():
        header = read_header(path.read_bytes())
        data = hashlib.shake_256(path.name.encode()).digest(header.size)
        false = make_share(header.vault, header.pack, header.index, (header.k, header.n), data, mask)
        path.with_name(false.root.hex()).write_bytes(false.raw)
        path.unlink()
        old, new = bytes.fromhex(path.name), bytes(false.root)
        await liar.store.write(lambda db, pair=(new, old): db.execute(RENAME, pair).rowcount)
        count += 1
    return count


@pytest.mark.parametrize("liars", [1, 3])
async def test_forged_shares_keep_nothing_away_while_k_are_true(tmp_path: Path, liars: int) -> None:
    folder = plant(tmp_path / "folder")
    async with town(tmp_path, 5) as (here, nursery):
        serve_finders(here)
        await back_up(here, folder)
        await lose_heads(here)
        for liar in here.peers[:liars]:
            assert await forge(here, liar)
        await here.move_client("bare", nursery)
        here.directory.known_nodes = set(here.hosts)
        await bring_back(here, tmp_path / "back", folder)


async def test_nobody_is_told_of_anothers_leases(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, nursery):
        serve_finders(here)
        await back_up(here, plant(tmp_path / "folder"))
        first, second = here.peers
        me, clock = here.keys.signing, here.clock

        async def asked(node: NodeId, at: Instant, to: Peer = first) -> type:
            ask = seal_signed(me, DOMAIN_FIND, FindLeases(node, at, bytes(16), b""))
            body = await here.node.call(to.node_id, "storage.leases", encode(ask), timeout=here.limits.call_timeout)
            return type(decode(body, ANSWER, size_max=4096))

        assert await asked(first.node_id, clock.now()) is Leases
        assert await asked(second.node_id, clock.now()) is Refusal
        old = clock.now()
        clock.advance(here.limits.vault_skew_max)
        clock.advance(here.limits.call_timeout)
        assert await asked(first.node_id, old) is Refusal
        stranger = await find_leases(
            here.node, first.node_id, signing("stranger"), clock=clock, entropy=here.entropy, limits=here.limits
        )
        assert stranger == []
        forged = seal_signed(signing("stranger"), DOMAIN_FIND, FindLeases(first.node_id, clock.now(), bytes(16), b""))
        false = type(forged)(forged.body, me.public, forged.signature)
        body = await here.node.call(first.node_id, "storage.leases", encode(false), timeout=here.limits.call_timeout)
        assert isinstance(decode(body, ANSWER, size_max=4096), Refusal)
        await here.move_client("bare", nursery)
        here.keys = type(here.keys).from_seed(b"other" * 16)
        with pytest.raises(NothingHeld):
            await search_of(here).run(Catalog(here.store))


def test_the_bytes_of_questions_answers_and_notices_are_as_they_were() -> None:
    golden, holder = json.loads(GOLDEN.read_text()), signing("holder")
    ask = FindLeases(signing("vault").node_id, Instant(1_700_000_000_000), bytes(range(16)), b"after")
    found = Leases((FoundLease(LeaseId(b"l" * 32), 77, Instant(1_800_000_000_000)),), more=True)
    made = {
        "find": encode(seal_signed(holder, DOMAIN_FIND, ask)),
        "leases": encode(found),
        "leave notice": encode(LeaveNotice(1, Instant(3), Instant(1_800_000_000_000))),
    }
    assert {name: data.hex() for name, data in made.items()} == golden
    assert decode(bytes.fromhex(golden["leases"]), ANSWER, size_max=4096) == found


async def test_a_list_of_leases_that_never_ends_is_a_fault(tmp_path: Path) -> None:
    async with town(tmp_path, 1) as (here, _nursery):
        same = encode(Leases((FoundLease(LeaseId(bytes(32)), 0, Instant(0)),), more=True))

        async def forever(_peer: NodeId, _body: bytes) -> bytes:
            await trio.lowlevel.checkpoint()
            return same

        here.peers[0].node.add("storage.leases", forever, body_max=4096)
        with pytest.raises(PeerFault):
            await find_leases(
                here.node, here.peers[0].node_id, signing("x"),
                clock=here.clock, entropy=here.entropy, limits=here.limits,
            )  # fmt: skip
