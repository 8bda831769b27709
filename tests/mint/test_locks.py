"""A lock settled for both sides, or for the wrong one, ruins an honest party of a ring."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from nanobarter.core.errors import Reason
from nanobarter.core.ids import PublicKey, sha256
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.units import DAY, HOUR, MINUTE, SECOND, Instant, LeaseKind, Quantity, Span
from nanobarter.mint.answer_messages import (
    DOMAIN_ANSWER,
    DOMAIN_LOCKED,
    Answer,
    LockAnswer,
    LockState,
    Minted,
    Refusal,
    States,
)
from nanobarter.mint.messages import LockBody, LockTerms, OpenBody, StateBody, TakeBody, lock_id_of
from tests.mint.purse import DELTA, NODE, OTHER, Bench, Purse, key_of, secrets_of

FOREIGN = SigningKey(b"\x07" * 32)


@pytest.fixture
def bench(tmp_path: Path, keys: list[bytes]) -> Bench:
    return Bench(tmp_path / "store", keys)


def reason(answer: Answer) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def state(answer: Answer) -> tuple[str, str]:
    assert isinstance(answer, LockState), answer
    return answer.state, answer.how


async def let_pass(bench: Bench, span: Span) -> None:
    """Move the clock while the mint is up: no gap between its marks is longer than it may be."""
    end = bench.clock.now() + span
    while bench.clock.now() < end:
        bench.clock.advance(Span(min(60 * SECOND, end - bench.clock.now())))
        await bench.mint.alive()


def receipt(terms: LockTerms, how: str, signer: SigningKey = FOREIGN, index: int | None = None) -> Signed:
    previous = lock_id_of(terms.agreement, terms.index - 1 if index is None else index)
    outcome = "opened" if how == "" else "returned"
    body = LockState(sha256(b"r"), previous, terms.agreement, outcome, how, Instant(5), ())  # pyright: ignore[reportArgumentType]
    return seal_signed(signer, DOMAIN_ANSWER, body)


async def test_a_refund_waits_for_the_deadline(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8)
        await purse.lock(terms, await purse.issue(8))
        assert reason(await purse.refund("a", terms.lock_id)) == Reason.NOT_YET
        await let_pass(bench, Span(2 * DELTA))
        assert reason(await purse.refund("a", terms.lock_id)) == Reason.NOT_YET
        await let_pass(bench, Span(1))
        assert state(await purse.refund("a", terms.lock_id)) == ("returned", "refund")
        assert reason(await purse.open("a", terms.lock_id)) == Reason.TOO_LATE
        assert isinstance(await purse.take(key_of("a/refund"), terms.lock_id, 8), Minted)


@pytest.mark.parametrize("down", [Span(61 * SECOND), Span(10 * MINUTE), Span(3 * HOUR)])
async def test_after_an_outage_refunds_wait_for_a_day_and_opens_come_first(bench: Bench, down: Span) -> None:
    async with bench.open():
        purse = Purse(bench)
        one, two = purse.terms("a", 8), purse.terms("b", 8)
        await purse.lock(one)
        await purse.lock(two)
        await let_pass(bench, Span(2 * DELTA - 30 * SECOND))
    bench.clock.advance(down)
    async with bench.open():
        assert reason(await purse.refund("a", one.lock_id)) == Reason.NOT_YET
        bench.clock.advance(Span(24 * HOUR - 1))  # away again, but after the deadline: that delays nothing more
        assert reason(await purse.refund("a", one.lock_id)) == Reason.NOT_YET
        await let_pass(bench, Span(1))
        assert state(await purse.refund("a", one.lock_id)) == ("returned", "refund")


async def test_a_jump_of_the_clock_counts_as_an_outage(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8)
        await purse.lock(terms)
        bench.clock.advance(Span(2 * DELTA + MINUTE))
        assert reason(await purse.refund("a", terms.lock_id)) == Reason.NOT_YET


async def test_an_outage_long_before_the_deadline_delays_nothing(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8)
        await purse.lock(terms)
        bench.clock.advance(Span(5 * MINUTE))
        await bench.mint.alive()
        await let_pass(bench, Span(2 * DELTA))
        assert state(await purse.refund("a", terms.lock_id)) == ("returned", "refund")


async def test_a_late_open_needs_the_receipt_of_the_arc_before(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = replace(purse.terms("a", 8), previous_issuer=FOREIGN.public)
        other = purse.terms("b", 8)
        await purse.lock(terms)
        await let_pass(bench, Span(2 * DELTA + MINUTE))

        async def late(proof: Signed | None) -> Answer:
            return await purse.ask(OpenBody(NODE.node_id, purse.until, terms.lock_id, secrets_of("a"), proof))

        good = receipt(terms, "")
        wrong = {
            "none": None,
            "refunded": receipt(terms, "refund"),
            "another signer": receipt(terms, "", NODE),
            "another arc": receipt(terms, "", index=2),
            "another ring": receipt(other, ""),
            "another domain": replace(good, signature=FOREIGN.sign(DOMAIN_LOCKED, good.body)),
            "no receipt": replace(good, body=b""),
        }
        for what, proof in wrong.items():
            assert reason(await late(proof)) == Reason.TOO_LATE, what
        # A rejected open leaves no trace, so its preimages can never be used by the issuer.
        raw = bench.path.read_bytes() + bench.path.with_name(bench.path.name + "-wal").read_bytes()
        assert secrets_of("a")[0] not in raw
        assert state(await late(good)) == ("opened", "")


@pytest.mark.parametrize("how", ["", "release"])
async def test_either_settlement_of_the_arc_before_lets_a_late_open_pass(bench: Bench, how: str) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = replace(purse.terms("a", 8), previous_issuer=FOREIGN.public)
        await purse.lock(terms)
        await let_pass(bench, Span(2 * DELTA + MINUTE))
        body = OpenBody(NODE.node_id, purse.until, terms.lock_id, secrets_of("a"), receipt(terms, how))
        assert state(await purse.ask(body)) == ("opened", "")


async def test_arc_zero_opens_late_without_proof(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8, index=0)
        await purse.lock(terms)
        await let_pass(bench, Span(2 * DELTA + MINUTE))
        assert state(await purse.open("a", terms.lock_id)) == ("opened", "")


async def test_the_first_outcome_stays(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8)
        await purse.lock(terms, await purse.issue(8))
        assert reason(await purse.open("b", terms.lock_id)) == Reason.BAD_SIGNATURE
        assert reason(await purse.take(key_of("a/to"), terms.lock_id, 8)) == Reason.NOT_YET
        opened = await purse.open("a", terms.lock_id)
        assert reason(await purse.release("a", terms.lock_id)) == Reason.TOO_LATE
        await let_pass(bench, Span(3 * DELTA))
        assert reason(await purse.refund("a", terms.lock_id)) == Reason.TOO_LATE
        assert reason(await purse.take(key_of("a/refund"), terms.lock_id, 8)) == Reason.BAD_SIGNATURE
        assert reason(await purse.take(key_of("a/to"), terms.lock_id, 4)) == Reason.UNBALANCED
        await purse.take(key_of("a/to"), terms.lock_id, 8)
        assert reason(await purse.take(key_of("a/to"), terms.lock_id, 8)) == Reason.CONFLICT
        again = await purse.open("a", terms.lock_id)
        assert isinstance(opened, LockState)
        assert isinstance(again, LockState)
        assert (again.state, again.at, again.preimages) == (opened.state, opened.at, opened.preimages)


async def test_a_take_keeps_kind_and_terms(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8)
        await purse.lock(terms)
        await purse.open("a", terms.lock_id)
        foreign = purse.outputs([8], purse.keyset(OTHER))
        body = TakeBody(NODE.node_id, purse.until, terms.lock_id, tuple(p.output for p in foreign), None)
        assert reason(await purse.ask(body, key_of("a/to"))) == Reason.WRONG_TERMS
        neither = TakeBody(NODE.node_id, purse.until, terms.lock_id, (), None)
        assert reason(await purse.ask(neither, key_of("a/to"))) == Reason.MALFORMED


async def test_what_nobody_takes_lapses(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        opened, untouched = purse.terms("a", 8), purse.terms("b", 4)
        await purse.lock(opened)
        await purse.lock(untouched)
        await purse.open("a", opened.lock_id)
        bench.clock.advance(Span(opened.take_until - bench.clock.now()))
        await mint.make_keysets()
        assert reason(await purse.take(key_of("a/to"), opened.lock_id, 8)) == Reason.TOO_LATE
        await mint.expire()
        assert (mint.locks(), mint.audit()) == ([], [])
        assert reason(await purse.open("b", untouched.lock_id)) == Reason.TOO_LATE
        asked = StateBody(NODE.node_id, purse.until, (), (opened.lock_id, untouched.lock_id))
        states = await purse.ask(asked)
        assert isinstance(states, States)
        assert [x.state for x in states.locks] == ["lapsed", "lapsed"]


async def test_terms_that_no_ring_would_make_are_refused(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        good, now = purse.terms("a", 8), bench.clock.now()
        bad = {
            Reason.WRONG_MINT: [replace(good, issuer=FOREIGN.node_id)],
            Reason.MALFORMED: [
                replace(good, index=2),
                replace(good, quantity=Quantity(0)),
                replace(good, delta=Span(0)),
                replace(good, hashes=(good.hashes[0],) * 3),
                replace(good, take_until=good.deadline),
                replace(good, take_until=Instant(now + 46 * DAY)),
                replace(purse.terms("a", 8, index=5)),
            ],
            Reason.TOO_LATE: [replace(good, deadline=now)],
            Reason.WRONG_TERMS: [replace(good, terms_hash=sha256(b"other"))],
            Reason.NO_CAPACITY: [replace(good, kind=LeaseKind("90d")), replace(good, quantity=Quantity(256))],
        }
        for expected, cases in bad.items():
            for terms in cases:
                assert reason(await purse.lock(terms)) == expected, terms
        stranger = LockBody(NODE.node_id, purse.until, (), good)
        assert reason(await purse.ask(stranger, FOREIGN)) == Reason.BAD_SIGNATURE
        assert mint.locks() == []


async def test_one_lock_per_lock_id(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        terms = purse.terms("a", 8)
        first = await purse.lock(terms)
        bench.clock.advance(Span(SECOND))
        again = await purse.lock(terms)
        assert isinstance(first, LockAnswer)
        assert isinstance(again, LockAnswer)
        assert first.locked == again.locked
        changed = replace(terms, to_key=PublicKey(bytes(32)))
        assert reason(await purse.lock(changed)) == Reason.CONFLICT
        assert reason(await purse.lock(terms, await purse.issue(8))) == Reason.CONFLICT
