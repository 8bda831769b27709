"""A ring of three around one table: every message in hand, to be dealt to ``step`` in any order."""

from typing import Any

import msgspec

from nanobarter.core.keys import Signed, seal_signed
from nanobarter.core.units import Instant
from nanobarter.mint.answer_messages import DOMAIN_LOCKED, Locked
from nanobarter.swap.machine import step
from nanobarter.swap.making import make_agreed, seal_message
from nanobarter.swap.messages import Vote
from nanobarter.swap.orders import Effect
from nanobarter.swap.states import (
    AgreementReceived,
    Approved,
    Committing,
    Gathering,
    LegSeen,
    LockedReceived,
    Locking,
    State,
    Voted,
    VoteReceived,
)
from nanobarter.swap.terms import Agreement, SwapTimes, agreement_of
from tests.swap.ring import START, World

N = 3


class Table:
    """A ring of three around one table: every message in hand, to be dealt in any order."""

    def __init__(self) -> None:
        self.times = SwapTimes()
        self.now = START
        self.world = World(N, 1)
        self.world.propose()
        self.world.run(Instant(START + 440))
        first = self.world.parties[0]
        draft = first.state
        assert isinstance(draft, Gathering)
        mines = [draft.mine, *(self.world.mine(p, draft.draft, i) for i, p in enumerate(self.world.parties) if i)]
        self.keys = [p.key for p in self.world.parties]
        self.gathering = Gathering(draft.draft, mines[0], tuple(m.approval for m in mines))
        self.parties = [Approved(draft.draft, m) for m in mines]
        self.secrets = tuple(m.secret for m in mines)
        self.agreed = make_agreed(first.key, self.gathering, self.now)

    @property
    def agreement(self) -> Agreement:
        return agreement_of(self.agreed)

    def locked(self, index: int, at: Instant | None = None, changes: dict[str, Any] | None = None) -> Signed:
        terms = msgspec.structs.replace(self.agreement.terms[index], **(changes or {}))
        return seal_signed(self.keys[index], DOMAIN_LOCKED, Locked(terms, at or self.now))

    def give(self, state: State, given: object, now: Instant | None = None) -> tuple[State, tuple[Effect, ...]]:
        return step(state, given, now or self.now, self.times)  # pyright: ignore[reportArgumentType] - tests give facts

    def locking(self, index: int = 1) -> State:
        state = self.give(self.parties[index], AgreementReceived(self.agreed, fresh=True))[0]
        assert isinstance(state, Locking)
        return state

    def voted(self, index: int = 1) -> State:
        state = self.locking(index)
        for j in range(N):
            state = self.give(state, LockedReceived(self.locked(j)))[0]
        assert isinstance(state, Voted)
        return state

    def collecting(self) -> State:
        return self.give(self.gathering, AgreementReceived(self.agreed, fresh=True))[0]

    def committing(self) -> State:
        state = self.collecting()
        for j in range(N):
            state = self.give(state, LockedReceived(self.locked(j)))[0]
        for j in (1, 2):
            state = self.give(state, VoteReceived(self.vote(j)))[0]
        assert isinstance(state, Committing)
        return state

    def vote(self, index: int) -> Signed:
        return seal_message(self.keys[index], Vote(self.agreement.agreement_id, index, self.secrets[index]))

    def opened(self, index: int) -> LegSeen:
        return LegSeen(index, "opened", self.now, self.secrets, None)
