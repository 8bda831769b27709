"""At stake: what the book does not tell yet is spent all the same, or a budget would be spent twice."""

from pathlib import Path

import trio

from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, BidId, DraftId, sha256
from nanobarter.core.store import Store
from nanobarter.core.units import Quantity
from nanobarter.daemon.chronicle import Chronicle
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.swap.events import Aborted, RingOver, Settled
from nanobarter.translator.budget import read_given
from nanobarter.translator.ledger import Ledger
from tests.gossip.nodes import until
from tests.translator.test_ledger import ACORN
from tests.wallet.world import world_of


async def test_what_a_ring_took_counts_from_the_moment_it_is_told_until_it_is_booked(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world, trio.open_nursery() as nursery:
        a, b = world.nodes
        me, kind = a.key.node_id, a.quality.kind
        store = Store.open(tmp_path / "book", ALL_TABLES)
        await nursery.start(store.run)
        ledger = Ledger(store=store, node=me, clock=world.clock, pet=ACORN)
        chronicle = Chronicle(store=store, clock=world.clock, ledger=ledger, wallet=a.wallet, mint=a.mint)
        bid = BidId(bytes(16))

        def draft(name: bytes) -> tuple[DraftId, BidId]:
            return DraftId(sha256(name)), bid

        def over(name: bytes, how: str, quantity: int) -> Aborted:
            ended = RingOver(AgreementId(sha256(name)), how, (a.quality, Quantity(quantity)), world.clock.now())
            return Aborted(*draft(name), how, Reason.EXPIRED, "", ended)

        paid = (b.quality, Quantity(5))
        chronicle.take(
            Settled(*draft(b"1"), AgreementId(sha256(b"1")), (a.quality, Quantity(7)), paid, (me, b.key.node_id))
        )
        chronicle.take(over(b"2", "wronged", 20))
        chronicle.take(over(b"3", "aborted", 100))
        assert sorted(chronicle.unbooked(me)) == [(kind, 7), (kind, 20)]
        assert chronicle.unbooked(b.key.node_id) == []
        await nursery.start(chronicle.run)
        await until(lambda: not chronicle.unbooked(me))
        assert store.read_now(lambda db: read_given(db, me, 0, 2**62)) == [(kind, 27)]
        nursery.cancel_scope.cancel()
