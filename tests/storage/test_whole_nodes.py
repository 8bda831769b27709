"""Notes of real mints must become space that brings a folder back on a machine that has only the phrase."""

from pathlib import Path

import trio

from nanobarter.core.ids import NodeId
from nanobarter.core.store import Store
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import MIB, quantity_for
from nanobarter.net.memory import MemoryNode
from nanobarter.storage.audit import Auditor
from nanobarter.storage.backup import backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.placement import Placer
from nanobarter.storage.publish import Publisher
from nanobarter.storage.recovery import reader_for, recover
from nanobarter.storage.restore import restore
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.tables import MIGRATIONS
from nanobarter.storage.vault import Vault
from tests.storage.vaults import TINY, FakeDirectory, signing
from tests.wallet.world import World, world_of

KEYS = VaultKeys.from_seed(b"person" * 11)


async def storage_of(world: World, name: str) -> Store:
    store = Store.open(world.path / name, MIGRATIONS)
    world.stores.append(store)
    await world.nursery.start(store.run)
    return store


async def serve_vaults(world: World) -> dict[NodeId, str]:
    for node in world.nodes:
        store = await storage_of(world, f"storage{node.number}")
        home = world.path / f"home{node.number}"
        vault = Vault(home=home, store=store, key=node.key, lease=node.mint.lease, clock=world.clock, limits=TINY)
        await vault.start()
        vault.register(node.net)
    return {node.key.node_id: f"8.8.{node.number}.1" for node in world.nodes}


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_a_folder_comes_back_from_notes_of_five_mints_with_three_peers_gone(tmp_path: Path) -> None:
    folder, target = tmp_path / "photos", tmp_path / "back"
    (folder / "sub").mkdir(parents=True)
    for index in range(20):
        (folder / "sub" / f"{index}.txt").write_bytes(SeededEntropy(index, "file").token(2000 + 500 * index))
    async with world_of(tmp_path, 6) as world:
        hosts = await serve_vaults(world)
        me, others = world.nodes[0], world.nodes[1:]
        for other in others:
            await world.give(f"note{other.number}", other, me, 12)
        store = await storage_of(world, "mine")
        network = FakeDirectory(me.net, hosts)
        entropy = SeededEntropy(7, "me")
        reader = reader_for(keys=KEYS, network=network, store=store, clock=world.clock, entropy=entropy, limits=TINY)
        leases = LeaseBook(store=store, source=me.wallet, holder=KEYS.signing, clock=world.clock, limits=TINY)
        placer = Placer(store=store, keys=KEYS, leases=leases, reader=reader, limits=TINY)
        geometry = placer.geometry()
        assert (geometry.k, geometry.n) == (2, 5)
        catalog = Catalog(store)
        await backup(
            roots=[folder],
            keys=KEYS,
            catalog=catalog,
            sink=placer,
            geometry=(geometry.k, geometry.n),
            clock=world.clock,
            entropy=entropy,
            host="here",
        )
        publisher = Publisher(
            store=store, keys=KEYS, leases=leases, placer=placer, reader=reader, entropy=entropy, limits=TINY
        )
        assert len((await publisher.publish(await catalog.export())).kept_by) == 5
        auditor = Auditor(
            store=store, leases=leases, client=reader.client, clock=world.clock, entropy=entropy, limits=TINY
        )
        assert (await auditor.round_now(everything=True)).wrong == ()
        assert auditor.status().verdict == "healthy"
        for node in others:
            (lease,) = [held for held in leases.live() if held.issuer == node.key.node_id]
            (capacity,) = node.mint.capacity()
            assert capacity.leased == quantity_for(lease.quota_bytes) == lease.quota_bytes // MIB

        for node in (me, *others[:3]):
            world.hub.disconnect(node.key.node_id)
        bare: MemoryNode = world.hub.node(signing("bare"))
        empty = await storage_of(world, "empty")
        fresh = FakeDirectory(bare, hosts, {others[4].key.node_id})
        found = await recover(keys=KEYS, network=fresh, store=empty, clock=world.clock, entropy=entropy, limits=TINY)
        again = Catalog(empty)
        await again.import_(found.catalog)
        (line,) = await again.snapshots()
        with trio.fail_after(60):
            snapshot = open_snapshot(line.body, KEYS)
            source = reader_for(keys=KEYS, network=fresh, store=empty, clock=world.clock, entropy=entropy, limits=TINY)
            await restore(snapshot, target, keys=KEYS, catalog=again, source=source)
        assert tree(target) == tree(folder)
