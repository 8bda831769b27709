"""No note may be lost, doubled or promised twice, whenever the power goes and whatever a mint answers."""

from pathlib import Path
from typing import cast

import pytest
import trio
from msgspec import structs

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import DAY, HOUR, MINUTE, Quantity, Span
from nanobarter.mint.answer_messages import (
    DOMAIN_ANSWER,
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    Answer,
    Contract,
    Leased,
    LockAnswer,
    Locked,
    Minted,
    SpentState,
    States,
)
from nanobarter.mint.messages import Request, StateBody
from nanobarter.net.memory import Loss
from nanobarter.wallet.events import LeaseReceived, NotesReceived, NotesSpent, WalletEvent
from tests.wallet.world import HOLDER, PLEDGE, Crash, Node, World, good, world_of

EIGHT = Quantity(8)


async def test_a_lock_pays_exactly_and_becomes_notes_or_a_lease(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        told = list[WalletEvent]()
        b.wallet.observe(told.append)
        await world.give("first", a, b, 13)
        on = world.terms("on", b, c, a, 5)
        receipt = good(await b.wallet.lock(b"on", on, world.soon()))
        assert receipt.signer == a.key.node_id
        good(await c.wallet.open(on, world.preimages("on")))
        contract = good(await c.wallet.take_lease(on, HOLDER.public))
        assert open_signed(contract, DOMAIN_CONTRACT, Contract, size_max=4096).terms.quantity == 5
        assert (b.held(a), c.held(a)) == (8, 0)
        assert [type(e) for e in told] == [NotesReceived, NotesSpent]
        assert [e for _, e in b.wallet.events()] == told
        assert [e.how for _, e in c.wallet.events() if isinstance(e, LeaseReceived)] == ["take"]
        assert c.wallet.leases() == [contract]
        world.check()


async def story(world: World, b: Node, name: str = "") -> None:
    """Take notes, redeem some, lock some, get those back: each step may be called again."""
    a, _, c = world.nodes
    assert good(await b.wallet.take(world.terms("in" + name, a, b, a, 13))) == 13
    good(await b.wallet.redeem(a.quality, Quantity(5), HOLDER.public, purpose=name.encode()))
    out = world.terms("out" + name, b, c, a, 3)
    assert await b.wallet.reserve(b"out", a.quality, Quantity(3), world.soon()) is None or b.held(a) == 8
    good(await b.wallet.lock(b"out", out, world.soon()))
    good(await c.wallet.release(out))
    assert good(await b.wallet.take(out)) == 3
    await b.wallet.unreserve(b"out")


async def begin(world: World, name: str = "") -> Node:
    a, b, _ = world.nodes
    terms = world.terms("in" + name, a, b, a, 13)
    good(await a.wallet.lock(b"in", terms, world.soon()))
    good(await a.wallet.open(terms, world.preimages("in" + name)))
    b.writes = 0
    return b


def check_story(world: World, b: Node, told: int = 1) -> None:
    a = world.nodes[0]
    world.check()
    (capacity,) = a.mint.capacity()
    assert (b.held(a), capacity.outstanding, capacity.leased, capacity.locked) == (8, 8 * told, 5 * told, 0)
    moved = [e for _, e in b.wallet.events() if isinstance(e, NotesReceived | NotesSpent)]
    assert sum(e.quantity if isinstance(e, NotesReceived) else -e.quantity for e in moved) == 8


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_any_durable_write_loses_and_doubles_nothing(tmp_path: Path, after: bool) -> None:  # noqa: FBT001
    async with world_of(tmp_path, 3) as world:
        for at in range(1, 40):
            b, crashed = await begin(world, str(at)), False
            b.crash_at = (at, after)
            try:
                await story(world, b, str(at))
                await b.wallet.round()
            except Crash:
                crashed = True
                b.crash_at = None
                await b.restart_wallet()
                await story(world, b, str(at))
                await b.wallet.round()
            check_story(world, b, at)
            if not crashed:
                assert at > 12  # every step was met
                return
            b.crash_at = None
            # The next story begins with an empty purse, so that it needs the same splits.
            good(
                await world.nodes[2].wallet.note_receive(good(await b.wallet.note_send(world.nodes[0].quality, EIGHT)))
            )
    raise AssertionError("the story never ended")


@pytest.mark.parametrize("seed", range(4))
async def test_lost_requests_and_answers_only_delay(tmp_path: Path, seed: int) -> None:
    async with world_of(tmp_path, 3) as world:
        b = await begin(world)
        dice = SeededEntropy(seed, "loss")

        def lose(_caller: NodeId, _callee: NodeId, _method: str) -> Loss | None:
            number = dice.token(1)[0]
            return "request" if number < 80 else "answer" if number < 160 else None

        world.hub.lose = lose
        for _ in range(60):
            try:
                await story(world, b)
                break
            except Unreachable:
                await b.restart_wallet()
        world.hub.lose = None
        await b.wallet.round()
        check_story(world, b)


async def test_an_unanswered_body_is_a_live_cheque_until_its_mint_denies_it(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        await world.give("in", a, b, 8)
        out = world.terms("out", b, c, a, 8)
        world.hub.lose = lambda _caller, _callee, _method: "request"
        with pytest.raises(Unreachable):
            await b.wallet.lock(b"out", out, world.soon())
        world.hub.lose = None
        assert b.held(a) == 8
        refused = await b.wallet.redeem(a.quality, Quantity(1), HOLDER.public)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.NO_STOCK
        world.later(Span(5 * MINUTE))
        await b.wallet.round()
        good(await b.wallet.redeem(a.quality, Quantity(8), HOLDER.public))
        world.check()


async def test_a_refused_body_is_a_live_cheque_too(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        await world.give("in", a, b, 8)
        late = structs.replace(world.terms("out", b, c, a, 8), deadline=world.clock.now())
        refused = await b.wallet.lock(b"out", late, world.soon())
        assert isinstance(refused, Refused)
        assert (refused.reason, b.held(a), b.wallet.free(a.quality)) == (Reason.TOO_LATE, 8, 0)
        world.later(Span(5 * MINUTE))
        await b.wallet.round()
        assert b.wallet.free(a.quality) == 8


async def test_a_take_keeps_its_one_request_until_it_is_dead(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        terms, honest, sent = world.terms("in", a, b, a, 13), a.answer, list[bytes]()

        async def handle(peer: NodeId, body: bytes) -> bytes:
            sent.append(body)
            return await honest(peer, body)

        good(await a.wallet.lock(b"in", terms, world.soon()))
        a.answer = handle
        for _ in range(2):
            refused = await b.wallet.take(terms)
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.NOT_YET
        assert sent[0] == sent[1]
        world.later(Span(6 * MINUTE))
        a.answer = honest
        good(await a.wallet.open(terms, world.preimages("in")))
        assert await b.wallet.take(terms) == 13  # the dead body was replaced
        world.check()


async def test_two_drafts_never_promise_the_same(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        await world.give("in", a, b, 10)
        until = world.soon()
        for wallet, quality, whole in ((b.wallet, a.quality, 10), (a.wallet, a.quality, PLEDGE - 10)):
            assert await wallet.reserve(b"x", quality, Quantity(whole - 3), until) is None
            assert await wallet.reserve(b"x", quality, Quantity(whole - 4), until) is None  # replaced, not added
            refused = await wallet.reserve(b"y", quality, Quantity(5), until)
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.NO_STOCK
            assert await wallet.reserve(b"y", quality, Quantity(4), until) is None
            assert wallet.free(quality) == 0
            await wallet.unreserve(b"x")
            assert wallet.free(quality) == whole - 4
        world.later(Span(HOUR))
        assert b.wallet.free(a.quality) == 10  # a promise ends by itself


async def test_many_payers_at_once_share_the_notes(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        await world.give("in", a, b, 15)
        outcomes = list[object]()

        async def pay(quantity: int) -> None:
            outcomes.append(await b.wallet.redeem(a.quality, Quantity(quantity), HOLDER.public))

        async with trio.open_nursery() as nursery:
            for quantity in (3, 5, 6, 7):
                nursery.start_soon(pay, quantity)
        assert sum(isinstance(outcome, Signed) for outcome in outcomes) in (2, 3)
        assert b.held(a) == 15 - sum(c.leased for c in a.mint.capacity())
        world.check()


async def test_notes_as_text_move_once(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        await world.give("in", a, b, 13)
        line = good(await b.wallet.note_send(a.quality, Quantity(6)))
        assert b.held(a) == 7
        assert await c.wallet.note_receive(line) == (a.quality, 6)
        assert await c.wallet.note_receive(line) == (a.quality, 6)  # again, and nothing new comes in
        refused = await b.wallet.note_receive(line)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.SPENT
        assert (b.held(a), c.held(a)) == (7, 6)
        back = good(await b.wallet.note_send(a.quality, Quantity(2)))
        assert await b.wallet.note_receive(back) == (a.quality, 2)
        assert b.held(a) == 7
        world.check()


async def test_a_lease_is_lengthened_by_a_term(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        await world.give("in", a, b, 13)
        first = good(await b.wallet.redeem(a.quality, Quantity(5), HOLDER.public))
        contract = open_signed(first, DOMAIN_CONTRACT, Contract, size_max=4096)
        refused = await b.wallet.extend(contract, HOLDER, Quantity(4))
        assert isinstance(refused, Refused)  # smaller only in the last half of the term
        assert refused.reason is Reason.NOT_YET
        world.later(Span(16 * DAY))
        second = good(await b.wallet.extend(contract, HOLDER, Quantity(4)))
        longer = open_signed(second, DOMAIN_CONTRACT, Contract, size_max=4096)
        assert (longer.end - contract.end, longer.terms.quantity, longer.version) == (30 * DAY, 4, 2)
        assert good(await b.wallet.extend(contract, HOLDER, Quantity(4))) == second
        assert b.wallet.leases() == [second]
        world.check()


async def test_the_phrase_alone_brings_the_notes_back(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        for i in range(14):  # more notes of one denomination than one request carries
            await world.give(str(i), a, b, 1)
        await world.give("more", a, b, 13)
        good(await b.wallet.redeem(a.quality, Quantity(6), HOLDER.public))
        before = b.held(a)
        assert await b.wallet.restore(a.key.node_id) == 0  # nothing is doubled that is there
        await b.restart_wallet(lose_all=True)
        assert b.held(a) == 0
        assert await b.wallet.restore(a.key.node_id) == before == 21
        assert await b.wallet.restore(a.key.node_id) == 0
        await world.give("later", a, b, 13)  # fresh coins, not those of the first life
        good(await b.wallet.redeem(a.quality, Quantity(34), HOLDER.public))
        world.check()


# -- lying mints


def lie(node: Node, twist: str) -> None:
    """Let a mint answer every ``Minted`` wrongly from now on."""
    honest = node.answer

    async def handle(peer: NodeId, body: bytes) -> bytes:
        raw = await honest(peer, body)
        signed = decode(raw, Signed, size_max=10**6)
        answer = open_signed(signed, DOMAIN_ANSWER, Minted, size_max=10**6)
        if twist == "signer":
            return encode(seal_signed(SigningKey(b"x" * 32), DOMAIN_ANSWER, answer))
        if twist == "request":
            other = decode(body, Request, size_max=10**6).body[:32]
            return encode(seal_signed(node.key, DOMAIN_ANSWER, Minted(other, answer.committed_at, 0, ())))  # pyright: ignore[reportArgumentType]
        wrong = answer.signatures[::-1] if twist == "denomination" else answer.signatures[:-1]
        return encode(seal_signed(node.key, DOMAIN_ANSWER, Minted(answer.request, answer.committed_at, 0, wrong)))

    node.answer = handle


@pytest.mark.parametrize("twist", ["signer", "request", "denomination", "count"])
async def test_a_lie_brings_no_notes_and_is_kept(tmp_path: Path, twist: str) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        terms = world.terms("in", a, b, a, 13)
        good(await a.wallet.lock(b"in", terms, world.soon()))
        good(await a.wallet.open(terms, world.preimages("in")))
        lie(a, twist)
        with pytest.raises(PeerFault) as caught:
            await b.wallet.take(terms)
        assert caught.value.evidence
        assert b.held(a) == 0
        if twist in ("denomination", "count"):  # signed nonsense: this keyset is never blinded for again
            await b.restart_wallet()
            with pytest.raises(PeerFault):
                await b.wallet.take(world.terms("in", a, b, a, 13))
            assert await b.wallet.keysets.current(a.quality, None) is None


@pytest.mark.parametrize("twist", ["terms", "holder", "spent"])
async def test_a_false_receipt_is_not_believed_and_pays_nothing(tmp_path: Path, twist: str) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        await world.give("in", a, b, 8)
        honest, out = a.answer, world.terms("out", b, c, a, 8)

        async def handle(peer: NodeId, body: bytes) -> bytes:
            signed = decode(await honest(peer, body), Signed, size_max=10**6)
            answer = open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=10**6)
            if isinstance(answer, LockAnswer):
                less = Locked(structs.replace(out, quantity=Quantity(7)), world.clock.now())
                answer = structs.replace(answer, locked=seal_signed(a.key, DOMAIN_LOCKED, less))
            if isinstance(answer, Leased):
                contract = open_signed(answer.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
                terms = structs.replace(contract.terms, holder=a.key.public)
                other = structs.replace(contract, terms=terms)
                answer = structs.replace(answer, contract=seal_signed(a.key, DOMAIN_CONTRACT, other))
            if isinstance(answer, States):
                note = decode(body, Request, size_max=10**6)
                asked = decode(note.body, StateBody, size_max=10**6).notes
                spent = tuple(SpentState(n, answer.request, signed.signature) for n in asked)
                answer = structs.replace(answer, spent=spent)
            return encode(seal_signed(a.key, DOMAIN_ANSWER, answer))

        a.answer = handle
        if twist == "holder":
            with pytest.raises(PeerFault, match="not what was asked"):
                await b.wallet.redeem(a.quality, Quantity(8), HOLDER.public)
            assert b.wallet.leases() == []
        elif twist == "terms":
            with pytest.raises(PeerFault, match="not for this lock"):
                await b.wallet.lock(b"out", out, world.soon())
        else:
            world.hub.lose = lambda _caller, _callee, _method: "request"
            with pytest.raises(Unreachable):
                await b.wallet.lock(b"out", out, world.soon())
            world.hub.lose = None
            world.later(Span(5 * MINUTE))
            await b.wallet.round()
        assert b.held(a) == 8  # still ours to claim, held by its body
        assert b.wallet.free(a.quality) == 0
        a.answer = honest  # once it speaks the truth, all is well again
        await b.wallet.round()
        world.check()
