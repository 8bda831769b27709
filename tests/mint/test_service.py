"""A mint that honours one thing twice, or forgets a promise, costs a stranger a note or its owner a disk."""

from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason, Refused, UsageError
from nanobarter.core.keys import open_signed, verify
from nanobarter.core.units import DAY, HOUR, MINUTE, Instant, Quantity, Span
from nanobarter.mint.answer_messages import (
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    Answer,
    Contract,
    Leased,
    LockAnswer,
    Locked,
    LockState,
    Minted,
    Refusal,
    States,
    open_answer,
)
from nanobarter.mint.events import LeaseEnded, LeaseStarted, LockMade, LockOpened, LockReturned, MintEvent
from nanobarter.mint.messages import DOMAIN_REQUEST, LockBody, StateBody, SwapBody, make_request, request_id_of
from nanobarter.mint.service import Mint
from tests.mint.purse import KIND, NODE, Bench, Purse, key_of, secrets_of


@pytest.fixture
def bench(tmp_path: Path, keys: list[bytes]) -> Bench:
    return Bench(tmp_path / "store", keys)


def reason(answer: Answer) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def totals(mint: Mint) -> tuple[int, int, int]:
    (row,) = (c for c in mint.capacity() if c.kind == KIND)
    assert mint.audit() == []
    return row.outstanding, row.locked, row.leased


async def test_the_main_way_of_a_note(bench: Bench) -> None:
    async with bench.open() as mint:
        events = list[MintEvent]()
        mint.observe(events.append)
        purse = Purse(bench)
        notes = await purse.issue(8, 4, 1)
        assert totals(mint) == (13, 0, 0)
        terms = purse.terms("a", 12)
        answer = await purse.lock(terms, notes[:2])
        assert isinstance(answer, LockAnswer)
        assert open_signed(answer.locked, DOMAIN_LOCKED, Locked, size_max=4096).terms == terms
        assert totals(mint) == (1, 12, 0)
        opened = await purse.open("a", terms.lock_id)
        assert isinstance(opened, LockState)
        assert (opened.state, opened.preimages) == ("opened", secrets_of("a"))
        assert isinstance(await purse.take(key_of("a/to"), terms.lock_id, 12), Minted)
        assert totals(mint) == (13, 0, 0)
        leased = await purse.redeem(purse.notes, key_of("holder"))
        assert isinstance(leased, Leased)
        contract = open_signed(leased.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
        assert (totals(mint), mint.leases()) == ((1, 0, 12), [contract])
        bench.clock.advance(Span(30 * DAY))
        await mint.expire()
        assert (totals(mint), mint.lease(contract.lease_id)) == ((1, 0, 0), None)
    assert isinstance(answer.locked, type(leased.contract))
    assert [type(e) for e in events] == [LockMade, LockOpened, LeaseStarted, LeaseEnded]


async def test_every_answer_is_the_same_after_a_crash_and_a_year_of_retries(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        a, b, c = await purse.issue(8, 4, 2)
        await purse.swap([b], 2, 2)
        for name, notes in (("one", [a]), ("two", [c])):
            terms = purse.terms(name, sum(h.note.quantity for h in notes))
            await purse.lock(terms, notes)
        await purse.open("one", purse.terms("one", 8).lock_id)
        await purse.release("two", purse.terms("two", 2).lock_id)
        await purse.take(key_of("one/to"), purse.terms("one", 8).lock_id, 8)
        await purse.take_lease(key_of("two/refund"), purse.terms("two", 2).lock_id, 2, key_of("holder"))
        leased = await purse.redeem(purse.notes[:1], key_of("holder"))
        assert isinstance(leased, Leased)
        contract = open_signed(leased.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
        await purse.extend(purse.notes[1:2], contract.lease_id, 2, key_of("holder"))
        before = bench.mint.capacity()
    bench.clock.advance(Span(20 * DAY))
    async with bench.open() as mint:
        assert len(purse.sent) == 10
        for request, answer in purse.sent:
            assert await mint.handle(NODE.node_id, request) == answer
        assert mint.capacity() == before


async def test_a_double_spend_is_refused_with_the_witness_that_spent_it(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        (held,) = await purse.issue(8)
        assert isinstance(await purse.swap([held], 4, 4), Minted)
        for again in (
            await purse.swap([held], 8),
            await purse.redeem([held], key_of("holder")),
            await purse.lock(purse.terms("a", 8), [held]),
        ):
            assert isinstance(again, Refusal)
            assert again.reason == Reason.SPENT
            assert again.spent is not None
            assert verify(held.note.key, DOMAIN_REQUEST, again.spent.request, again.spent.witness)
        assert totals(mint) == (8, 0, 0)


async def test_a_fresh_lock_holds_free_space_until_it_is_returned(bench: Bench) -> None:
    async with bench.open() as mint:
        events = list[MintEvent]()
        mint.observe(events.append)
        purse = Purse(bench)
        terms = purse.terms("a", 255)
        assert isinstance(await purse.lock(terms), LockAnswer)
        assert reason(await purse.lock(purse.terms("b", 1))) == Reason.NO_CAPACITY
        assert isinstance(await purse.lock(terms), LockAnswer)
        assert isinstance(await purse.release("a", terms.lock_id), LockState)
        assert totals(mint) == (0, 0, 0)
        assert reason(await purse.take(key_of("a/refund"), terms.lock_id, 255)) == Reason.CONFLICT
        assert reason(await purse.open("a", terms.lock_id)) == Reason.TOO_LATE
    assert [type(e) for e in events] == [LockMade, LockReturned]


async def test_more_than_the_pledge_is_never_promised(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        await purse.issue(128, 64)
        with pytest.raises(AssertionError, match="NO_CAPACITY"):
            await purse.issue(64)
        assert totals(mint) == (192, 0, 0)


async def test_what_is_not_a_request_blames_the_peer(bench: Bench) -> None:
    async with bench.open() as mint:
        for junk in (b"", b"\x92\xc4\x00\x90", b"x" * 200_000):
            with pytest.raises(Malformed):
                await mint.handle(NODE.node_id, junk)


async def test_copies_that_arrive_together_are_one_request(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        (held,) = await purse.issue(4)
        body = SwapBody(NODE.node_id, purse.until, (held.note,), tuple(p.output for p in purse.outputs([4])))
        raw, answers = encode(make_request(body, [held.owner])), list[bytes]()

        async def send() -> None:
            answers.append(await mint.handle(NODE.node_id, raw))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(send)
        assert len(set(answers)) == 1
        assert isinstance(open_answer(answers[0], NODE.node_id, request_id_of(encode(body)))[1], Minted)
        assert totals(mint) == (4, 0, 0)


async def test_time_never_runs_back(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        first = await purse.ask(StateBody(NODE.node_id, purse.until, (), ()))
    bench.clock.instant = Instant(bench.clock.instant - 3 * HOUR)
    async with bench.open():
        again = await purse.ask(StateBody(NODE.node_id, purse.until, (), ()))
        assert isinstance(first, States)
        assert isinstance(again, States)
        assert again.at >= first.at


async def test_a_request_comes_in_time_or_not_at_all(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        (held,) = await purse.issue(4)
        outputs = tuple(p.output for p in purse.outputs([4]))
        now = bench.clock.now()
        for until, expected in ((now - 1, Reason.EXPIRED), (now + HOUR, Reason.CLOCK_OFF)):
            body = SwapBody(NODE.node_id, Instant(until), (held.note,), outputs)
            assert reason(await purse.ask(body, held.owner)) == expected
        elsewhere = SwapBody(key_of("x").node_id, purse.until, (held.note,), outputs)
        assert reason(await purse.ask(elsewhere, held.owner)) == Reason.WRONG_MINT
        assert totals(mint) == (4, 0, 0)


async def test_less_than_what_is_promised_cannot_be_pledged(bench: Bench) -> None:
    async with bench.open() as mint:
        await Purse(bench).issue(8, 1)
        assert await mint.reserve(b"draft", KIND, Quantity(6), Instant(bench.clock.now() + HOUR)) is None
        assert isinstance(await mint.reserve(b"other", KIND, Quantity(241), purse_until(bench)), Refused)
        assert await mint.reserve(b"draft", KIND, Quantity(2), Instant(bench.clock.now() + HOUR)) is None
        assert mint.audit() == []
    with pytest.RaisesGroup(UsageError, flatten_subgroups=True):
        async with bench.open({KIND: Quantity(10)}):
            pass
    async with bench.open({KIND: Quantity(11)}) as mint:
        assert [c.free for c in mint.capacity() if c.kind == KIND] == [0]
        bench.clock.advance(Span(HOUR))
        await mint.expire()
        assert [c.free for c in mint.capacity() if c.kind == KIND] == [2]


async def test_a_peer_that_hangs_up_does_not_keep_the_node_from_hearing(bench: Bench) -> None:
    async with bench.open() as mint, trio.open_nursery() as nursery:
        heard = trio.Event()
        mint.observe(lambda _: heard.set())
        await nursery.start(mint.run)
        purse = Purse(bench)
        body = LockBody(NODE.node_id, purse.until, (), purse.terms("a", 4))
        async with trio.open_nursery() as hasty:
            hasty.start_soon(mint.handle, NODE.node_id, encode(make_request(body, [NODE])))
            await trio.lowlevel.checkpoint()
            hasty.cancel_scope.cancel()
        await heard.wait()
        assert [x.terms for x in mint.locks()] == [body.terms]
        nursery.cancel_scope.cancel()


def purse_until(bench: Bench) -> Instant:
    return Instant(bench.clock.now() + MINUTE)
