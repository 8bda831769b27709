"""What no single step may ever do, whatever comes in whatever state at whatever time.

The world of ``nanobarter.sim`` sees losses. Some broken lines cost nobody anything as long as another line, or an
honest issuer, stands behind them; these are seen here, one step at a time.
"""

import itertools
from collections.abc import Iterator

from msgspec.structs import replace

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Reason
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import HOUR, SECOND, Instant, Quantity, Span, after
from nanobarter.mint.answer_messages import DOMAIN_LOCKED, Locked
from nanobarter.mint.messages import LockTerms
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import Agreed, Vote, open_approve, open_draft
from nanobarter.swap.orders import Effect, Open, Refund, Release, Send
from nanobarter.swap.states import (
    Aborted,
    AgreementReceived,
    Approved,
    Collecting,
    Committing,
    Ended,
    Gathering,
    Given,
    LegSeen,
    LockedReceived,
    LockFailed,
    Locking,
    Opened,
    Restarted,
    State,
    TimePassed,
    Voted,
    VoteReceived,
)
from nanobarter.swap.terms import Agreement, agreement_of, open_locked
from tests.swap.table import N, Table

FALSE = {
    "agreement": bytes(32),
    "lock_id": bytes(32),
    "issuer": bytes(32),
    "kind": "7d",
    "terms_hash": bytes(32),
    "quantity": Quantity(1),
    "to_key": bytes(32),
    "refund_key": bytes(32),
    "delta": Span(1),
    "previous_issuer": bytes(32),
}
LOCKED_LAW = "votes on n right and new LOCKED only"
MINUTE_OFF = 60 * SECOND


class Steps:
    """All states, facts and times, made once, with every line of ``step`` still in place."""

    def __init__(self) -> None:
        self.table = table = Table()
        self.agreement = table.agreement
        self.states = tuple(self._states())
        self.joins = tuple(self._agreements())
        self.facts: tuple[Given, ...] = (*self._locks(), *self._legs(), *self._others())
        ends = [self.agreement.deadline(j) for j in range(N)]
        edges = [self.agreement.lock_by, self.agreement.vote_by, *ends, after(ends[0], Span(24 * HOUR))]
        self.times = (table.now, *sorted({Instant(e + d) for e in edges for d in (0, 1)}))

    def broken(self) -> Iterator[str]:
        """Take every step, and name each law that one breaks."""
        table = self.table
        for given, now in self.joins:
            for before in (table.parties[1], self.locking(1), table.voted()):
                yield from self._take(before, given, now)
        for now, given, before in itertools.product(self.times, self.facts, self.states):
            yield from self._take(before, given, now)

    def _take(self, before: State, given: Given, now: Instant) -> Iterator[str]:
        moved, effects = self.table.give(before, given, now)
        yield from broken_by_state(before, given, now, moved)
        yield from broken_by_effects(before, moved, effects, now)

    def locking(self, *have: int) -> State:
        """Return P_1 with some of the LOCKED."""
        state = self.table.locking()
        for j in have:
            state = self.table.give(state, LockedReceived(self.table.locked(j)))[0]
        return state

    def _states(self) -> Iterator[State]:
        table, late = self.table, self.agreement.vote_by
        yield from (table.parties[1], self.locking(), self.locking(0, 1), self.locking(1, 2), table.voted())
        full = table.collecting()
        for j in range(N):
            full = table.give(full, LockedReceived(table.locked(j)))[0]
        one = table.give(full, VoteReceived(table.vote(2)))[0]
        yield from (table.collecting(), one, table.committing())
        yield table.give(table.committing(), TimePassed(), Instant(self.agreement.deadline(N - 1) + 1))[0]
        opened = table.give(table.voted(), table.opened(1))[0]
        yield from (opened, table.give(opened, table.opened(0))[0])
        for state in (table.locking(), table.collecting()):
            yield table.give(state, TimePassed(), late)[0]

    def _agreements(self) -> Iterator[tuple[AgreementReceived, Instant]]:
        """AGREED as it should be, and with one thing wrong, each at some times."""
        table, now = self.table, self.table.now
        true = decode(table.agreed.body, Agreed, size_max=10**5)
        less = replace(open_approve(true.approvals[2]), quantity=Quantity(1))
        pace = replace(true.pace, take=Span(true.pace.take + 1))
        wrong = (
            replace(true, pace=pace),
            replace(true, approvals=(*true.approvals[:2], seal_message(table.keys[2], less))),
            *(replace(true, start=Instant(now + off * SECOND)) for off in (-61, -59, 9, 30, 59, 61, 3600)),
        )
        for agreed in (true, *wrong):
            signed = seal_message(table.keys[0], agreed)
            for off in (-61, -58, 0, 61):  # our own clock may be behind the proposer's, and ahead
                yield AgreementReceived(signed, fresh=True), Instant(now + off * SECOND)

    def _locks(self) -> Iterator[LockedReceived]:
        table = self.table
        for j in range(N):
            for off in (0, 61, -61):
                yield LockedReceived(table.locked(j, Instant(table.now + off * SECOND)))
        true = self.agreement.terms[2]
        short = {"deadline": Instant(true.deadline - 1), "take_until": Instant(true.take_until - 1)}
        for name, value in (FALSE | short | {"hashes": true.hashes[::-1]}).items():
            yield LockedReceived(table.locked(2, changes={name: value}))
        yield LockedReceived(seal_signed(table.keys[0], DOMAIN_LOCKED, Locked(true, table.now)))

    def _legs(self) -> Iterator[LegSeen]:
        now, secrets = self.table.now, self.table.secrets
        for j in range(N):
            yield LegSeen(j, "opened", now, secrets, None)
            yield LegSeen(j, "opened", now, secrets[::-1], None)
            yield LegSeen(j, "returned", now, (), None)
            yield LegSeen(j, "pending", now, (), None)

    def _others(self) -> Iterator[Given]:
        yield from (VoteReceived(self.table.vote(j)) for j in (1, 2))
        yield from (TimePassed(), Restarted(), LockFailed(Reason.POLICY, ""))


def broken_by_state(before: State, given: Given, now: Instant, moved: State) -> Iterator[str]:
    """Name the laws that a move from one state to another breaks."""
    match before, moved:
        case Approved(), Locking():
            yield from _joined(before, agreement_of(moved.deal.agreed), now)
        case Locking(), Voted():
            agreement = agreement_of(moved.deal.agreed)
            if not _is_the_last(before, given, agreement, now):
                yield LOCKED_LAW
            if now >= agreement.vote_by:
                yield "nobody votes after T_vote"
        case Collecting(), Committing() if now >= agreement_of(moved.deal.agreed).vote_by:
            yield "no vote counts after T_vote"
        case Aborted() | Ended(), Locking() | Collecting() | Committing() | Voted():
            yield "who gave up does not come back"
        case Voted() | Committing(), Aborted() if not isinstance(given, LegSeen):
            yield "after the vote only an issuer's word aborts"
        case Voted() | Committing() | Locking() | Collecting(), Opened() if not isinstance(given, LegSeen):
            yield "an issuer shows that an arc is opened"
        case _:
            pass
    yield from _broken_by_deal(before, moved, now)


def _broken_by_deal(before: State, moved: State, now: Instant) -> Iterator[str]:
    if isinstance(moved, Approved | Gathering | Ended):
        return
    if not isinstance(before, Approved | Gathering | Ended) and before.deal != moved.deal:
        yield "one AGREED for each draft"
    if isinstance(moved, Locking | Collecting):
        agreement = agreement_of(moved.deal.agreed)
        have = before.receipts if isinstance(before, Locking | Collecting) else (None,) * N
        new = [r for r, old in zip(moved.receipts, have, strict=True) if r is not None and r != old]
        if any(not _right(agreement, r, now) for r in new):
            yield LOCKED_LAW


def _is_the_last(before: Locking, given: Given, agreement: Agreement, now: Instant) -> bool:
    missing = [j for j, receipt in enumerate(before.receipts) if receipt is None]
    if not isinstance(given, LockedReceived) or missing != [open_locked(given.signed).terms.index]:
        return False
    return _right(agreement, given.signed, now)


def _right(agreement: Agreement, signed: Signed, now: Instant) -> bool:
    locked = open_locked(signed)
    wanted: LockTerms = agreement.terms[locked.terms.index]
    of_now = abs(locked.locked_at - now) <= MINUTE_OFF
    return of_now and locked.terms == wanted and signed.key == agreement.issuer_key(wanted.index)


def _joined(before: Approved, agreement: Agreement, now: Instant) -> Iterator[str]:
    draft, mine = open_draft(before.draft), before.mine
    arcs = [(a.quality, a.quantity) for a in draft.arcs]
    agreed = [(Quality(i, a.kind), a.quantity) for i, a in zip(agreement.issuers, agreement.approvals, strict=True)]
    if arcs != agreed or agreement.signed_approvals[mine.index] != mine.approval:
        yield "AGREED has the arcs of the draft"
    if agreement.pace != draft.pace:
        yield "AGREED runs at the draft's pace"
    if abs(agreement.start - now) > MINUTE_OFF:
        yield "AGREED starts now"
    if agreement.lock_by > open_approve(mine.approval).expires:
        yield "T_lock is not after the end of an approval"


def broken_by_effects(before: State, moved: State, effects: tuple[Effect, ...], now: Instant) -> Iterator[str]:
    """Name the laws that what is to be done in a state breaks."""
    for effect in effects:
        match effect:
            case Send() if isinstance(effect.message, Vote):
                if not isinstance(moved, Voted) or now >= agreement_of(moved.deal.agreed).vote_by:
                    yield "a vote is sent by voters before T_vote"
            case Release() if not isinstance(moved, Aborted):
                yield "only who gave up releases"
            case Refund(index=index, terms=terms):
                if now <= terms.deadline:
                    yield "a refund is asked for after D"
                if isinstance(moved, Approved | Gathering | Ended) or index != moved.deal.mine.index:
                    yield "a refund is of the own arc"
            case Open(index=index):
                yield from _opens(moved, index)
            case _:
                pass


def _opens(state: State, index: int) -> Iterator[str]:
    if isinstance(state, Committing) and index != N - 1:
        yield "the proposer opens what pays it, and nothing else"
    if not isinstance(state, Committing | Opened):
        yield "who has no secrets opens nothing"
    if isinstance(state, Opened) and index == state.deal.mine.index and state.incoming == "pending":
        yield "collect first, pay second"
