"""What a node says of its leaving must reach all, outlive its crash, and be taken back when it stays after all."""

from pathlib import Path

import trio

from nanobarter.core.ids import NodeId
from nanobarter.core.item import make_item
from nanobarter.core.store import Store
from nanobarter.core.units import HOUR, after
from nanobarter.daemon.leaving import Leaver, Leavers, Quiet
from nanobarter.gossip.service import Gossip
from nanobarter.storage.tables import MIGRATIONS
from nanobarter.translator.orders import Order
from tests.gossip.nodes import Node, Village, key


class Ear:
    """A node's knowledge of who leaves."""

    def __init__(self) -> None:
        self.news = trio.Event()
        self.leavers: Leavers | None = None

    def listen(self, gossip: Gossip) -> None:
        self.leavers = Leavers(gossip, key(99).node_id, self.hear)

    def hear(self) -> None:
        self.news.set()

    async def until(self, leaving: set[NodeId]) -> None:
        """Wait until the node knows that just these leave."""
        assert self.leavers is not None
        with trio.fail_after(60):
            while self.leavers.now().keys() != leaving:
                await self.news.wait()
                self.news = trio.Event()


async def leaver_of(node: Node, store: Store, here: Village, changes: list[int]) -> Leaver:
    leaver = Leaver(store=store, gossip=node.gossip, key=key(1), clock=here.clock, changed=lambda: changes.append(1))
    await here.nursery.start(leaver.run)
    return leaver


async def test_all_hear_of_it_and_of_its_end_also_when_a_crash_came_between(tmp_path: Path) -> None:
    me = key(1).node_id
    async with trio.open_nursery() as nursery:
        here = Village(tmp_path, nursery)
        ears = [Ear() for _ in range(3)]
        nodes = [await here.start(number, prepare=ear.listen) for number, ear in enumerate(ears, 1)]
        store = Store.open(tmp_path / "vault.db", MIGRATIONS)
        await nursery.start(store.run)
        changes = list[int]()
        leaver = await leaver_of(nodes[0], store, here, changes)
        await ears[2].until(set())
        await leaver.begin()
        assert (leaver.leaving, changes) == (True, [1])
        for ear in ears[1:]:
            await ear.until({me})
        again = await leaver_of(nodes[0], store, here, changes)  # as after a restart
        assert again.begun == leaver.begun
        # It stayed after all, and died before it said so: the next start says it.
        await store.write(lambda db: db.execute("DELETE FROM storage_leaving").rowcount)
        await leaver_of(nodes[0], store, here, changes)
        for ear in ears[1:]:
            await ear.until(set())
        nursery.cancel_scope.cancel()
    store.close()


async def test_gossip_passes_on_nothing_that_is_no_notice(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        here = Village(tmp_path, nursery)
        ear = Ear()
        node = await here.start(1, prepare=ear.listen)
        expires = after(here.clock.now(), HOUR)
        false = make_item(key(7), "leave", b"", sequence=1, expires=expires, body=b"no notice")
        assert await node.gossip.publish(false) is not None
        await ear.until(set())
        nursery.cancel_scope.cancel()


def test_who_leaves_wants_nothing() -> None:
    class Orders:
        wanted: object = None

        def offering(self) -> list[NodeId]:
            return [key(2).node_id]

        def set_orders(self, orders: object) -> None:
            self.wanted = orders

    inner, leaving = Orders(), [True]
    quiet = Quiet(inner, lambda: leaving[0])
    wish = list[Order]()
    quiet.set_orders(wish)
    assert inner.wanted == ()
    leaving[0] = False
    quiet.set_orders(wish)
    assert inner.wanted is wish
    assert quiet.offering() == [key(2).node_id]
