"""Requests go through the mint together: none may get another's answer, fall with another, or wait for ever."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import InvariantBroken, Reason, Unreachable
from nanobarter.core.ids import KeysetId
from nanobarter.core.keys import verify
from nanobarter.core.units import Quantity
from nanobarter.mint.answer_messages import Minted, Refusal, open_answer
from nanobarter.mint.answers import Speaker
from nanobarter.mint.desk import read_case
from nanobarter.mint.messages import DOMAIN_REQUEST, BlindOutput, IssueBody, SwapBody, make_request
from nanobarter.mint.outcomes import Done, Minting
from tests.mint.purse import NODE, SMALL, Bench, Held, Purse


@pytest.fixture
def bench(tmp_path: Path, keys: list[bytes]) -> Bench:
    return Bench(tmp_path / "store", keys)


def swap_of(purse: Purse, held: Held) -> bytes:
    outputs = tuple(p.output for p in purse.outputs([held.note.quantity]))
    return encode(make_request(SwapBody(NODE.node_id, purse.until, (held.note,), outputs), [held.owner]))


async def ask_all(bench: Bench, requests: list[bytes]) -> list[bytes | Exception]:
    """Send requests at once; return their answers, or errors, in order."""
    found = dict[int, bytes | Exception]()

    async def ask(place: int) -> None:
        try:
            found[place] = await bench.mint.handle(NODE.node_id, requests[place])
        except (InvariantBroken, Unreachable) as error:
            found[place] = error

    async with trio.open_nursery() as nursery:
        for place in range(len(requests)):
            nursery.start_soon(ask, place)
    return [found[place] for place in range(len(requests))]


async def test_of_many_bodies_that_spend_one_note_one_is_honoured(bench: Bench) -> None:
    async with bench.open() as mint, trio.open_nursery() as nursery:
        await nursery.start(mint.run)
        purse = Purse(bench)
        held = await purse.issue(*[4] * 20)
        requests = [swap_of(purse, h) for h in held for _ in range(5)]
        answers = await ask_all(bench, requests)
        honoured = list[int]()
        for place, (request, raw) in enumerate(zip(requests, answers, strict=True)):
            assert isinstance(raw, bytes)
            answer = open_answer(raw, NODE.node_id, read_case(request).request)[1]
            if isinstance(answer, Minted):
                honoured.append(place // 5)
                continue
            assert isinstance(answer, Refusal)
            assert answer.spent is not None
            note = held[place // 5].note
            assert verify(note.key, DOMAIN_REQUEST, answer.spent.request, answer.spent.witness)
        assert sorted(honoured) == list(range(20))
        assert mint.audit() == []
        nursery.cancel_scope.cancel()


async def test_a_broken_rule_stops_the_mint_after_the_others_were_answered(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        small, large = await purse.issue(1, 2)
        await bench.store.write(lambda db: db.execute("UPDATE mint_keys SET issued = 0 WHERE quantity = 2").rowcount)
        requests = [swap_of(purse, large), swap_of(purse, small)]
        answers = list[bytes | Exception]()

        async def work() -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(mint.run)
                answers.extend(await ask_all(bench, requests))

        with pytest.RaisesGroup(InvariantBroken, flatten_subgroups=True):
            await work()
        assert isinstance(answers[0], InvariantBroken)
        assert isinstance(answers[1], bytes)
        assert await mint.handle(NODE.node_id, requests[1]) == answers[1]


async def test_who_waits_when_the_mint_closes_is_told_so_and_the_repeat_is_honoured(bench: Bench) -> None:
    bench.limits = replace(SMALL, mint_batch_max=1, mint_batches_max=1)  # some wait in the queue, and one in hand
    async with bench.open() as mint:
        purse = Purse(bench)
        requests = [swap_of(purse, held) for held in await purse.issue(*[1] * 10)]
        answers = list[bytes | Exception]()

        async def ask() -> None:
            answers.extend(await ask_all(bench, requests))

        async with trio.open_nursery() as outer, trio.open_nursery() as inner:
            await inner.start(mint.run)
            outer.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            inner.cancel_scope.cancel()
        assert all(isinstance(a, Unreachable | bytes) for a in answers)
        for request, before in zip(requests, answers, strict=True):
            again = await mint.handle(NODE.node_id, request)
            assert isinstance(open_answer(again, NODE.node_id, read_case(request).request)[1], Minted)
            assert before == again or isinstance(before, Unreachable)
        assert mint.audit() == []


async def test_a_repeat_whose_keyset_is_purged_meanwhile_is_refused(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        body = IssueBody(NODE.node_id, purse.until, (purse.outputs([1])[0].output,))
        case = read_case(encode(make_request(body, [NODE])))
        gone = BlindOutput(KeysetId(bytes(16)), Quantity(1), bytes(256))
        signed, _ = Speaker(bench.store, NODE).say(case, Done(Minting(purse.until, (gone,))))
        answer = open_answer(encode(signed), NODE.node_id, case.request)[1]
        assert isinstance(answer, Refusal)
        assert answer.reason == Reason.RETIRED_KEYSET
