"""Each lock of notes is a row for weeks: no stranger may fill a mint with crumbs, nor with locks that never end."""

from pathlib import Path

import pytest

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.mint.answer_messages import Answer, LockAnswer, Refusal, open_answer
from nanobarter.mint.answer_messages import LockState as State
from nanobarter.mint.messages import LockBody, LockTerms, make_request, request_id_of
from tests.mint.purse import NODE, Bench, Held, Purse, key_of

MOST = 3
STRANGER, OTHER = NodeId(sha256(b"stranger")), NodeId(sha256(b"other"))


async def bring(purse: Purse, sender: NodeId, terms: LockTerms, given: list[Held]) -> Answer:
    body = LockBody(NODE.node_id, purse.until, tuple(h.note for h in given), terms)
    request = make_request(body, [h.owner for h in given] or [NODE])
    raw = await purse.bench.mint.handle(sender, encode(request))
    return open_answer(raw, NODE.node_id, request_id_of(request.body))[1]


def reason(answer: Answer) -> Reason | None:
    return answer.reason if isinstance(answer, Refusal) else None


async def test_crumbs_of_notes_are_not_locked_but_own_space_is(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "store", keys, LIMITS)
    async with bench.open() as mint:
        purse = Purse(bench)
        crumbs, enough = await purse.issue(2), await purse.issue(4)
        assert reason(await bring(purse, STRANGER, purse.terms("crumbs", 2), crumbs)) is Reason.WRONG_TERMS
        assert isinstance(await bring(purse, STRANGER, purse.terms("enough", 4), enough), LockAnswer)
        assert isinstance(await bring(purse, NODE.node_id, purse.terms("own", 1), []), LockAnswer)
        assert mint.audit() == []


@pytest.mark.parametrize("how", ["open", "release"])
async def test_a_node_has_so_many_locks_without_an_outcome_and_no_more(
    how: str, tmp_path: Path, keys: list[bytes]
) -> None:
    bench = Bench(tmp_path / "store", keys, Limits(mint_lock_min=1, mint_locks_per_node_max=MOST))
    async with bench.open():
        purse = Purse(bench)
        notes = await purse.issue(*[1] * (MOST + 2))
        for n in range(MOST):
            assert isinstance(await bring(purse, STRANGER, purse.terms(f"{n}", 1), notes[n : n + 1]), LockAnswer)
        one_more, others = purse.terms("one more", 1), purse.terms("others", 1)
        repeat = await bring(purse, STRANGER, purse.terms("0", 1), notes[:1])
        assert isinstance(repeat, LockAnswer)
        assert reason(await bring(purse, STRANGER, one_more, notes[MOST : MOST + 1])) is Reason.TOO_MANY
        assert isinstance(await bring(purse, OTHER, others, notes[MOST + 1 :]), LockAnswer)
    async with bench.open() as mint:
        assert reason(await bring(purse, STRANGER, one_more, notes[MOST : MOST + 1])) is Reason.TOO_MANY
        lock = purse.terms("0", 1).lock_id
        ended = await (purse.open("0", lock) if how == "open" else purse.release("0", lock))
        assert isinstance(ended, State)
        assert isinstance(await bring(purse, STRANGER, one_more, notes[MOST : MOST + 1]), LockAnswer)
        await purse.take(key_of("0/to" if how == "open" else "0/refund"), lock, 1)
        assert mint.audit() == []
