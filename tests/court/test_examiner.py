"""An entry left out of a head must be found by who holds the receipt, and a complete head must convict nobody."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import HOUR, Instant, Span
from nanobarter.court.examiner import Examiner
from nanobarter.court.proofs import Convicted, Proof, verify
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.heads.messages import HEAD, WHERE, HeadAnswer, WhereAnswer
from nanobarter.mint.messages import Request
from nanobarter.mint.proofs import records
from nanobarter.mint.proofs.heads import open_head
from nanobarter.mint.proofs.records import Exchange, Omitted
from nanobarter.mint.restoration import Remembered
from nanobarter.mint.rules import EPOCH_SPAN
from nanobarter.net.memory import MemoryNetwork, MemoryNode
from tests.mint import crimes
from tests.mint.purse import NODE, Bench, Purse, key_of, stored_keys

HOLDER = SigningKey(b"h" * 32)
OMISSIONS = {name: proof for name, proof in crimes.proofs().items() if isinstance(proof, Omitted)}


def examiner_of(
    node: MemoryNode, clock: ManualClock, held: Callable[[], Remembered], accuse: Callable[[Proof], object]
) -> Examiner:
    return Examiner(
        caller=node,
        mints=lambda: [NODE.node_id],
        remembered=lambda _mint: held(),
        accuse=accuse,
        clock=clock,
        entropy=SeededEntropy(1, "examiner"),
        limits=LIMITS,
    )


def holding(receipt: records.Receipt) -> Remembered:
    match receipt:
        case records.LockReceipt(locked=locked):
            return Remembered(locked=(locked,))
        case records.LeaseReceipt(contract=contract):
            return Remembered(contracts=(contract,))
        case _:
            return Remembered(exchanges=(receipt.exchange,))


@pytest.mark.parametrize("name", OMISSIONS)
async def test_who_holds_the_receipt_convicts(name: str) -> None:
    proof = OMISSIONS[name]
    hub, accused = MemoryNetwork(), list[Proof]()
    mint, holder = hub.node(NODE), hub.node(HOLDER)
    evidence = proof.evidence
    gives = (evidence.place, None) if isinstance(evidence, records.Other) else (None, evidence.gap)

    async def where(_peer: NodeId, _body: bytes) -> bytes:
        return encode(WhereAnswer(proof.head, *gives))

    mint.add(WHERE, where, body_max=1000)
    clock = ManualClock(Instant((open_head(proof.head).epoch + 1) * EPOCH_SPAN + 1))
    examiner = examiner_of(holder, clock, lambda: holding(proof.receipt), accused.append)
    for _ in range(20):  # chance takes the receipt in question among those of the same exchange
        assert await examiner.examine(NODE.node_id) == 0
    verdicts = [verify(one) for one in accused]
    assert any(isinstance(v, Convicted) and v.node == NODE.node_id for v in verdicts)
    clock.advance(Span(30 * 24 * HOUR))
    accused.clear()
    assert await examiner.examine(NODE.node_id) == 0
    assert accused == [], "an old receipt is not looked up any more"


async def test_an_honest_mint_shows_every_receipt(tmp_path: Path) -> None:
    hub, bench, accused = MemoryNetwork(), Bench(tmp_path / "store", stored_keys()), list[Proof]()
    mint, holder = hub.node(NODE), hub.node(HOLDER)
    holder.add(HEAD, _knows_none, body_max=1000)
    async with bench.open():
        herald = Herald(
            store=bench.store,
            key=NODE,
            caller=mint,
            registrar=mint,
            connected=lambda: [HOLDER.node_id],
            clock=bench.clock,
            limits=LIMITS,
        )
        purse = Purse(bench)
        (held,) = await purse.issue(4)
        await purse.swap([held], 2, 2)
        await purse.redeem(purse.notes[:1], key_of("holder"))

        def remembered() -> Remembered:
            said = [(decode(sent, Request, size_max=10**6).body, answer) for sent, answer in purse.sent]
            return Remembered(exchanges=tuple(Exchange(b, decode(a, Signed, size_max=10**6)) for b, a in said))

        examiner = examiner_of(holder, bench.clock, remembered, accused.append)
        assert await examiner.examine(NODE.node_id) == 0, "its epoch is not over"
        bench.clock.advance(Span(HOUR))
        await herald.ask_new_peers()
        await herald.sign_due()
        for _ in range(20):
            assert await examiner.examine(NODE.node_id) == 2
        assert accused == []
        hub.disconnect(NODE.node_id)
        assert await examiner.examine(NODE.node_id) == 0
        assert accused == []


async def _knows_none(_peer: NodeId, _body: bytes) -> bytes:
    return encode(HeadAnswer(None))
