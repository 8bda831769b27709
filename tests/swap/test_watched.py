"""At stake: that strangers cannot make an issuer forget whom it has to tell that they are paid."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import trio.testing

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import DraftId, LockId, sha256
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, SECOND, Instant, Quantity, Span, after
from nanobarter.mint.rules import Lock, LockOutcome
from nanobarter.swap import tables
from nanobarter.swap.events import Settled
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import Ack, Agreed, Approve, Pace
from nanobarter.swap.terms import Agreement, SwapTimes, agreement_of
from nanobarter.swap.watched import Watched
from tests.swap import whole
from tests.swap.whole import KIND, START, Node, quiet, world_of

ISSUER: Final = SigningKey(sha256(b"issuer"))
NOW: Final = Instant(START)
FEW: Final = replace(LIMITS, swap_watched_max=8, swap_watched_signer_max=3)


def forged(number: int, signer: int, issuer: SigningKey, start: Instant, pace: Pace) -> Signed:
    """Return an AGREED of two keys of one stranger, who has no notes of the issuer."""
    keys = [SigningKey(sha256(b"%d of %d" % (i, signer))) for i in range(2)]
    draft = DraftId(sha256(b"draft %d" % number))
    approvals = tuple(
        seal_message(
            key,
            Approve(
                draft,
                i,
                sha256(b"%d/%d" % (number, i)),
                bytes(32),
                key.public,
                key.public,
                issuer.public,
                KIND,
                sha256(b"terms"),
                Quantity(4),
                after(start, Span(SECOND)),
            ),
        )
        for i, key in enumerate(keys)
    )
    return seal_message(keys[0], Agreed(draft, approvals, start, pace))


class Mint:
    """The locks that were made, and what became of them."""

    def __init__(self) -> None:
        self.locks = dict[LockId, Lock]()

    def set(self, agreement: Agreement, outcome: LockOutcome) -> None:
        for terms in agreement.terms:
            self.locks[terms.lock_id] = Lock(terms, False, NOW, outcome, NOW, "", (), "")


class Table:
    """What an issuer with room for few agreements keeps."""

    def __init__(self) -> None:
        self.mint = Mint()
        self.kept = Watched(ISSUER.node_id, FEW, self.mint.locks.get)

    def bring(self, number: int, signer: int, start: Instant = NOW) -> Agreement | None:
        """Bring an AGREED; return it when it is kept."""
        agreement = agreement_of(forged(number, signer, ISSUER, start, SwapTimes().pace))
        if not self.kept.has_room(agreement):
            return None
        self.kept.make_room()
        self.kept.add(agreement)
        return agreement

    def bring_locked(self, number: int, signer: int) -> Agreement:
        agreement = self.bring(number, signer)
        assert agreement is not None
        self.mint.set(agreement, "")
        self.kept.look(agreement.agreement_id)
        return agreement


def test_one_signer_brings_a_few_without_locks() -> None:
    table = Table()
    assert [table.bring(n, signer=1) is not None for n in range(5)] == [True] * 3 + [False] * 2
    assert table.bring(9, signer=2) is not None


def test_those_with_locks_do_not_count_against_their_signer() -> None:
    table = Table()
    for number in range(5):
        table.bring_locked(number, signer=1)
    assert len(table.kept) == 5


def test_in_a_full_table_the_oldest_without_a_lock_makes_way_and_one_with_a_lock_never() -> None:
    table = Table()
    locked = table.bring_locked(0, signer=0)
    first = table.bring(1, signer=1)
    assert first is not None
    for number in range(2, 40):
        assert table.bring(number, signer=number) is not None
    assert len(table.kept) == FEW.swap_watched_max
    assert locked.agreement_id in table.kept
    assert first.agreement_id not in table.kept
    full = Table()
    for number in range(FEW.swap_watched_max):
        full.bring_locked(number, signer=number)
    assert full.bring(99, signer=99) is None


def test_what_has_no_lock_ends_with_the_time_to_lock_and_what_has_one_stays() -> None:
    table = Table()
    locked, idle = table.bring_locked(0, signer=0), table.bring(1, signer=1)
    assert idle is not None
    assert table.kept.drop_over(idle.lock_by) == ()
    later = after(idle.lock_by, Span(2 * FEW.swap_call_timeout))
    assert table.kept.drop_over(later) == (idle.agreement_id,)
    assert table.kept.drop_over(locked.take_until) == ()
    assert table.kept.drop_over(after(locked.take_until, Span(1))) == (locked.agreement_id,)


def test_a_lock_that_was_not_told_of_counts_too() -> None:
    table = Table()
    agreement = table.bring(0, signer=0)
    assert agreement is not None
    table.mint.set(agreement, "")
    assert table.kept.drop_over(after(agreement.lock_by, Span(DAY))) == ()


@pytest.mark.parametrize("outcome", ["opened", "returned"])
def test_rings_that_are_over_leave_the_table(outcome: LockOutcome) -> None:
    table = Table()
    for number in range(10 * FEW.swap_watched_max):
        agreement = table.bring_locked(number, signer=number % 3)
        table.mint.set(agreement, outcome)
        table.kept.look(agreement.agreement_id)
        assert table.kept.drop_over(NOW) == (agreement.agreement_id,)
        assert table.kept.is_over(agreement)


async def bring(node: Node, signed: Signed) -> bool:
    """Let a stranger bring an AGREED to a node."""
    stranger = node.world.hub.node(SigningKey(sha256(b"stranger")))
    answer = await stranger.call(node.node, "swap.agreed", encode(signed), timeout=Span(60 * SECOND))
    return decode(answer, Ack, size_max=64).known


def on_disk(node: Node) -> int:
    return len(node.store.read_now(tables.watched))


async def test_no_stranger_takes_an_issuer_from_those_who_hold_its_notes(
    tmp_path: Path, mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "LIMITS", replace(whole.LIMITS, swap_watched_max=8, swap_watched_signer_max=3))
    async with world_of(tmp_path, 3, mock_clock) as world:
        *parties, issuer = world.nodes
        await world.give(issuer, parties[0], 150)
        now, pace = world.clock.now(), world.times.pace
        for number in range(4):  # kept for ever, it would be
            odd = replace_pace(pace, take=Span(10_000 * DAY))
            assert await bring(issuer, forged(number, number, issuer.key, now, odd))
        assert on_disk(issuer) == 0
        taken = [await bring(issuer, forged(n, 100, issuer.key, now, pace)) for n in range(10, 15)]
        assert taken == [True] * 3 + [False] * 2
        for number in range(20, 40):
            assert await bring(issuer, forged(number, number, issuer.key, now, pace))
        assert on_disk(issuer) == 8
        ring = world.ring(parties, [issuer, parties[1]])
        world.nursery.start_soon(world.propose, parties[0], *ring)
        await world.settle(parties, patient=False)
        assert isinstance(world.outcome, Settled)
        world.jump(120)
        await quiet()
        assert await bring(issuer, forged(50, 50, issuer.key, world.clock.now(), pace))
        assert on_disk(issuer) == 1  # the ring is over, and the time of the others too


def replace_pace(pace: Pace, take: Span) -> Pace:
    return Pace(pace.approve, pace.lock, pace.vote, pace.delta, take)
