"""Whoever was cheated once must be able to warn all others, and nobody must be able to warn of an honest node."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.item import ITEM_BODY_MAX, Item, make_item
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, SECOND, Instant, Quantity, Span, after
from nanobarter.court.board import CleanBoard
from nanobarter.court.items import PERIOD, item_of, nobody
from nanobarter.court.proofs import Proof, write_proof
from nanobarter.court.service import Court
from nanobarter.court.tables import MIGRATIONS as COURT_TABLES
from nanobarter.court.witness import Witness
from nanobarter.gossip.service import Gossip
from nanobarter.gossip.tables import MIGRATIONS as GOSSIP_TABLES
from nanobarter.matching.wire import BidBody, Want
from nanobarter.mint import answer_messages as am
from nanobarter.mint import messages as m
from nanobarter.mint.proofs import records
from nanobarter.net.memory import MemoryNetwork, MemoryNode
from tests.mint import crimes
from tests.mint.purse import KIND, NODE

LIAR = NODE.node_id
PROOF = crimes.proofs()["two receipts"]
OTHER_PROOF = crimes.proofs()["law broken"]
INNOCENT = SigningKey(b"i" * 32)


@dataclass
class Citizen:
    """One node with gossip and a court."""

    key: SigningKey
    network: MemoryNode
    gossip: Gossip
    court: Court
    store: Store


class Town:
    """Nodes on one network in memory, with stores that outlive them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hub, self.clock = folder, MemoryNetwork(), ManualClock(crimes.NOW)

    @asynccontextmanager
    async def citizen(
        self, number: int, prepare: Callable[[Citizen], None] = lambda _: None
    ) -> AsyncGenerator[Citizen]:
        key = SigningKey(number.to_bytes(32, "big"))
        store = Store.open(self.folder / f"{number}", (*GOSSIP_TABLES, *COURT_TABLES))
        network = self.hub.node(key)
        entropy = SeededEntropy(number, "gossip")
        gossip = Gossip(network=network, store=store, clock=self.clock, entropy=entropy)
        court = Court(store=store, board=gossip, clock=self.clock, limits=LIMITS)
        here = Citizen(key, network, gossip, court, store)
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            await nursery.start(gossip.run)
            await nursery.start(court.run)
            yield here
            nursery.cancel_scope.cancel()
        self.hub.disconnect(network.node_id)
        store.close()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - any state of any node has no event
            await trio.sleep(0.005)


async def test_one_victim_warns_all_and_those_who_come_later(tmp_path: Path) -> None:
    town = Town(tmp_path)
    async with town.citizen(1) as one, town.citizen(2) as two:
        assert one.court.accuse(PROOF)
        await until(lambda: two.court.convicted(LIAR))
        async with town.citizen(3) as three:
            await until(lambda: three.court.convicted(LIAR))
            assert write_proof(three.court.proof_against(LIAR) or OTHER_PROOF) == write_proof(PROOF)
    town.clock.advance(Span(60 * DAY))  # no item lives so long; the store does
    async with town.citizen(2) as two, town.citizen(4) as four:
        assert [c.node for c in two.court.convictions()] == [LIAR]
        await until(lambda: four.court.convicted(LIAR))


async def test_two_proofs_against_one_node_end_as_one_item(tmp_path: Path) -> None:
    town = Town(tmp_path)
    async with town.citizen(1) as one, town.citizen(2) as two:
        town.hub.partition([one.key.node_id], [two.key.node_id])
        one.court.accuse(PROOF)
        two.court.accuse(OTHER_PROOF)
        await until(lambda: one.court.convicted(LIAR) and two.court.convicted(LIAR))
        town.hub.heal()
        await until(lambda: one.gossip.items("proof") == two.gossip.items("proof") != [])
        assert len(one.gossip.items("proof")) == 1


def forged() -> dict[str, Item]:
    """Return items that must not pass."""
    good = item_of(LIAR, PROOF, crimes.NOW)
    key, body = nobody(LIAR), good.body

    def item(by: SigningKey, about: NodeId, data: bytes, number: int, expires: int | None = None) -> Item:
        when = Instant(number * PERIOD if expires is None else expires)
        return make_item(by, "proof", about, sequence=number, expires=when, body=data)

    number = good.sequence
    no_proof = write_proof(records.TwoReceipts(crimes.swap("one"), crimes.swap("one")))
    return {
        "about an innocent": item(nobody(INNOCENT.node_id), INNOCENT.node_id, body, number),
        "by a stranger": item(INNOCENT, LIAR, body, number),
        "no proof": item(key, LIAR, no_proof, number),
        "no record": item(key, LIAR, b"\xc0", number),
        "another expiry": item(key, LIAR, body, number, number * PERIOD - 1),
        "withdrawn": item(key, LIAR, b"", number),
        "a number of its own": item(key, LIAR, body, number + 5, number * PERIOD),
    }


@pytest.mark.parametrize("name", forged())
async def test_an_item_that_convicts_nobody_goes_no_further(tmp_path: Path, name: str) -> None:
    async with Town(tmp_path).citizen(1) as one:
        refused = await one.gossip.publish(forged()[name])
        assert refused is not None
        assert refused.reason is Reason.POLICY
        assert one.gossip.items("proof") == []
        assert one.court.convictions() == []


async def test_only_proofs_may_be_large(tmp_path: Path) -> None:
    town = Town(tmp_path)
    async with town.citizen(1) as one:
        body = bytes(ITEM_BODY_MAX + 1)
        large = make_item(INNOCENT, "bid", b"", sequence=1, expires=after(town.clock.now(), DAY), body=body)
        refused = await one.gossip.publish(large)
        assert refused is not None
        assert refused.reason is Reason.BAD_SIGNATURE


def bid(author: SigningKey, issuer: NodeId, slot: bytes) -> Item:
    gives, wants = Quality(issuer, KIND), Want(KIND, None, (), ())
    body = encode(BidBody("limit", gives, wants, (1, 1), Quantity(10), None))
    return make_item(author, "bid", slot, sequence=1, expires=after(crimes.NOW, DAY), body=body)


async def test_a_convicted_issuers_notes_and_bids_leave_the_book(tmp_path: Path) -> None:
    async with Town(tmp_path).citizen(1) as one:
        board = CleanBoard(one.gossip, one.court, one.key.node_id)
        told = list[Item]()
        board.subscribe("bid", told.append)
        good = bid(INNOCENT, INNOCENT.node_id, bytes(16))
        bad = [bid(NODE, LIAR, bytes(16)), bid(INNOCENT, LIAR, b"\x01" * 16)]  # its own, and another's of its notes
        for item in (good, *bad):
            assert await board.publish(item) is None
        assert len(board.items("bid")) == len(told) == 3
        one.court.accuse(PROOF)
        await until(lambda: one.court.convicted(LIAR))
        assert board.items("bid") == [good]
        assert {(item.slot, item.body) for item in told[3:]} == {(item.slot, b"") for item in bad}
        await board.publish(bid(INNOCENT, LIAR, b"\x02" * 16))
        assert board.items("bid") == [good]
        assert len(told) == 5


# -- seen on the wire


@asynccontextmanager
async def _witness(answers: dict[str, bytes]) -> AsyncGenerator[tuple[Witness, list[Proof]]]:
    """A node that talks to the liar, who answers each method so."""
    hub, proofs = MemoryNetwork(), list[Proof]()
    liar, here = hub.node(NODE), hub.node(INNOCENT)
    for method in ("mint.request", "mint.announcements"):

        async def answer(_peer: NodeId, _body: bytes, method: str = method) -> bytes:
            await trio.lowlevel.checkpoint()
            return answers[method]

        liar.add(method, answer, body_max=200_000)
    yield Witness(here, proofs.append, LIMITS), proofs


async def test_what_a_lying_mint_answers_is_recognised_on_the_way(tmp_path: Path) -> None:
    answers = {"mint.announcements": encode((crimes.ANNOUNCED,))}
    async with _witness(answers) as (witness, proofs):

        async def ask(method: str, body: bytes, answer: bytes) -> list[type]:
            answers[method] = answer
            before = len(proofs)
            assert await witness.call(LIAR, method, body, timeout=Span(SECOND)) == answer
            return [type(p) for p in proofs[before:]]

        found = crimes.proofs()
        assert await ask("mint.announcements", encode(b""), answers["mint.announcements"]) == []
        two = found["two announcements"]
        assert isinstance(two, records.TwoAnnouncements)
        assert await ask("mint.announcements", encode(b""), encode((two.second,))) == [records.TwoAnnouncements]
        for name in ("spent without witness", "good note refused", "early refused as late"):
            proof = found[name]
            assert isinstance(proof, records.FalseRefusal)
            assert await ask("mint.request", encode(proof.request), encode(proof.answer)) == [records.FalseRefusal]
        false = found["false state"]
        assert isinstance(false, records.FalseState)
        assert await ask("mint.request", *_state_exchange()) == [records.FalseState]
        for name in ("false blind signature", "another lock"):
            proof = found[name]
            assert isinstance(proof, records.FalseAnswer)
            request = m.Request(proof.exchange.body, ())
            assert records.FalseAnswer in await ask("mint.request", encode(request), encode(proof.exchange.answer))
        honest = crimes.swap("fine")
        assert await ask("mint.request", encode(m.Request(honest.body, ())), encode(honest.answer)) == []
        assert await ask("mint.request", encode(m.Request(honest.body, ())), b"junk") == []


def _state_exchange() -> tuple[bytes, bytes]:
    """Return a question after the owner's note, and an answer that calls it spent with a false witness."""
    note = crimes.note_id(crimes.note("owner"))
    body = encode(m.StateBody(LIAR, crimes.SOON, (note,), ()))
    spent = am.SpentState(note, m.RequestId(bytes(32)), crimes.OWNER.sign("other", bytes(32)))
    return encode(m.Request(body, ())), encode(
        crimes.answer(am.States(m.request_id_of(body), crimes.NOW, (spent,), ()))
    )


@pytest.mark.parametrize("knows", [True, False])
async def test_a_restart_saves_no_issuer_that_gives_back_early_what_it_owes_us(*, knows: bool) -> None:
    async with _witness({"mint.request": encode(crimes.state("returned", "refund", Instant(crimes.NOW + 1000)))}) as (
        witness,
        proofs,
    ):
        witness.recall([crimes.locked(crimes.terms())] if knows else [], [])
        body = encode(m.StateBody(LIAR, crimes.SOON, (), (crimes.terms().lock_id,)))
        await witness.call(LIAR, "mint.request", encode(m.Request(body, ())), timeout=Span(SECOND))
        assert [type(proof) for proof in proofs] == [records.FalseOutcome] * knows


async def test_an_issuer_that_contradicts_itself_about_a_lock_is_recognised(tmp_path: Path) -> None:
    async with _witness({}) as (witness, proofs):
        say = witness.call

        async def take(_peer: NodeId, _body: bytes) -> bytes:
            await trio.lowlevel.checkpoint()
            return b"taken"

        for method in ("swap.locked", "swap.opened", "swap.agreed"):
            witness.add(method, take, body_max=200_000)

        async def hear(method: str, signed: Signed) -> list[type]:
            before = len(proofs)
            assert await say(INNOCENT.node_id, method, encode(signed), timeout=Span(SECOND)) == b"taken"
            return [type(p) for p in proofs[before:]]

        assert await hear("swap.locked", crimes.locked(crimes.terms())) == []
        assert await hear("swap.opened", crimes.opened()) == []
        late = crimes.state("returned", "refund", Instant(crimes.NOW + 5000))
        assert await hear("swap.opened", late) == [records.TwoOutcomes]
        assert await hear("swap.agreed", late) == []
