"""A head is worth what others can hold it against: so it must be served, kept, and compared by those who hear it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import HOUR, SECOND, Instant, Span
from nanobarter.mint.heads import rows
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.heads.messages import HEAD, WHERE, HeadAnswer, HeadQuestion, WhereAnswer, WhereQuestion
from nanobarter.mint.notes import note_id
from nanobarter.mint.proofs import records, tree
from nanobarter.mint.proofs.heads import open_head
from nanobarter.mint.proofs.records import MintProof
from nanobarter.mint.rules import epoch_of
from nanobarter.mint.tables import MIGRATIONS
from nanobarter.net.memory import MemoryNetwork, MemoryNode
from tests.mint import crimes
from tests.mint.purse import NODE, PLEDGED, Bench, Purse, key_of, stored_keys

PEER = SigningKey(b"p" * 32)


def herald_of(node: MemoryNode, store: Store, key: SigningKey, clock: ManualClock, peers: list[NodeId]) -> Herald:
    return Herald(
        store=store, key=key, caller=node, registrar=node, connected=lambda: peers, clock=clock, limits=LIMITS
    )


async def test_anybody_finds_a_receipt_in_the_head_of_its_hour(tmp_path: Path) -> None:
    hub, bench = MemoryNetwork(), Bench(tmp_path / "store", stored_keys())
    mine, peer = hub.node(NODE), hub.node(PEER)
    peer.add(HEAD, _knows_none, body_max=1000)
    async with bench.open():
        herald = herald_of(mine, bench.store, NODE, bench.clock, [PEER.node_id])
        purse = Purse(bench)
        (held,) = await purse.issue(4)
        await purse.swap([held], 2, 2)
        await purse.redeem(purse.notes[:1], key_of("holder"))
        epoch = epoch_of(bench.clock.now())
        bench.clock.advance(Span(HOUR))
        assert await herald.sign_due() == []  # nobody was asked yet whether we signed something before
        await herald.ask_new_peers()
        (signed,) = await herald.sign_due()
        assert await herald.sign_due() == []
        head = open_head(signed)
        assert (head.epoch, head.issued.size, head.spent.size, head.leases.size, head.locks.size) == (epoch, 3, 2, 1, 0)
        assert [p.pledged for p in head.promises] == [PLEDGED[p.kind] for p in head.promises]

        async def where(number: int, key: bytes) -> WhereAnswer:
            asked = encode(WhereQuestion(epoch, number, Hash(key)))
            raw = await peer.call(NODE.node_id, WHERE, asked, timeout=Span(SECOND))
            return decode(raw, WhereAnswer, size_max=100_000)

        found = await where(tree.SPENT, note_id(held.note))
        assert found.head == signed
        assert found.place is not None
        assert tree.stands(head.spent, tree.SPENT, found.place)
        missing = await where(tree.SPENT, note_id(purse.notes[1].note))
        assert missing.gap is not None
        tree.check_gap(head.spent, tree.SPENT, note_id(purse.notes[1].note), missing.gap)
    async with bench.open():  # and after a restart it is the same head
        again = herald_of(hub.node(NODE), bench.store, NODE, bench.clock, [PEER.node_id])
        await again.ask_new_peers()
        assert await again.sign_due() == []
        raw = await again.on_head(PEER.node_id, encode(HeadQuestion(NODE.node_id, None)))
        assert decode(raw, HeadAnswer, size_max=100_000).head == signed


async def _knows_none(_peer: NodeId, _body: bytes) -> bytes:
    return encode(HeadAnswer(None))


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncGenerator[Store]:
    """A running store."""
    store = Store.open(tmp_path / "peer", MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()
    store.close()


@pytest.fixture
def keeper(shelf: Store) -> Herald:
    """A node that keeps others' heads."""
    return herald_of(MemoryNetwork().node(PEER), shelf, PEER, ManualClock(crimes.LATER), [])


def signed(**changes: object) -> Signed:
    return crimes.signed_head(replace(crimes.head(), **changes))


async def test_a_mint_that_signs_two_truths_is_caught_by_who_hears_both(keeper: Herald) -> None:
    caught = list[MintProof]()
    keeper.observe_caught(caught.append)
    good = crimes.head()
    assert await keeper.take(NODE.node_id, signed())
    assert await keeper.take(NODE.node_id, signed())
    assert await keeper.take(NODE.node_id, signed(epoch=good.epoch + 1, at=Instant(good.at + HOUR)))
    assert caught == []
    assert await keeper.take(NODE.node_id, signed(keysets=()))
    assert [type(p) for p in caught] == [records.TwoHeads]
    assert await keeper.take(NODE.node_id, signed(epoch=good.epoch + 2, at=crimes.NOW))
    assert [type(p) for p in caught] == [records.TwoHeads, records.BadHead]


async def test_what_is_no_head_or_anothers_is_not_kept(keeper: Herald) -> None:
    assert not await keeper.take(PEER.node_id, signed())
    assert not await keeper.take(NODE.node_id, crimes.opened())
    assert not keeper.shown(signed())  # of another mint, so nothing to be behind of
    assert keeper.behind is None


async def test_heads_kept_are_bounded(keeper: Herald, shelf: Store) -> None:
    good = crimes.head()
    for i in range(LIMITS.heads_seen_per_node + 5):
        assert await keeper.take(NODE.node_id, signed(epoch=good.epoch + i, at=Instant(good.at + i * HOUR)))
    kept = shelf.read_now(lambda db: rows.seen_heads(db, NODE.node_id))
    assert [open_head(s).epoch for s in kept] == [good.epoch + i for i in range(5, LIMITS.heads_seen_per_node + 5)]


async def test_questions_that_are_none_blame_who_asks(keeper: Herald) -> None:
    for junk in (b"", b"\x92\x00\x00", bytes(200)):
        with pytest.raises(Malformed):
            await keeper.on_head(NODE.node_id, junk)
        with pytest.raises(Malformed):
            await keeper.on_where(NODE.node_id, junk)
