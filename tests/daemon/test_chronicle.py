"""At stake: what the book does not tell yet is spent all the same, or a budget would be spent twice.

And what is kept of others' drafts for looking must not take the disk, nor the time of its one writer.
"""

from pathlib import Path

import pytest
import trio

from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, BidId, DraftId, sha256
from nanobarter.core.store import Store
from nanobarter.core.units import Quantity, Span
from nanobarter.daemon.chronicle import FORGET, Chronicle
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.swap.events import Aborted, DraftSeen, RingOver, Settled
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


async def test_of_the_drafts_of_strangers_the_newest_are_kept_and_none_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanobarter.daemon.chronicle.KEPT_MAX", 3)
    async with world_of(tmp_path, 1) as world, trio.open_nursery() as nursery:
        a = world.nodes[0]
        store = Store.open(tmp_path / "book", ALL_TABLES)
        await nursery.start(store.run)
        ledger = Ledger(store=store, node=a.key.node_id, clock=world.clock, pet=ACORN)
        chronicle = Chronicle(store=store, clock=world.clock, ledger=ledger, wallet=a.wallet, mint=a.mint)
        await nursery.start(chronicle.run)

        def kept(draft: DraftId) -> bool:
            sql = "SELECT 1 FROM chronicle_agreements WHERE draft_id = ?"
            return store.read_now(lambda db: db.execute(sql, (draft.hex(),)).fetchone()) is not None

        for number in range(5):
            draft = DraftId(bytes([number]) * 32)
            chronicle.take(DraftSeen(draft, BidId(bytes(16)), a.key.node_id))
            await until(lambda draft=draft: kept(draft))
            world.later(Span(1000))
        assert [row.draft_id[:2] for row in await chronicle.agreements()] == ["02", "03", "04"]
        plan = store.read_now(lambda db: db.execute(f"EXPLAIN QUERY PLAN {FORGET}", (2,)).fetchall())
        assert all("INDEX" in row[-1] for row in plan if row[-1].startswith(("SCAN", "SEARCH")))
        nursery.cancel_scope.cancel()
