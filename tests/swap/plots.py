"""All but one party cheat together, each plot in the one way that a single check of the victim's ``step`` stops.

The issuers and their tables are honest, so the victim is protected: it must never pay without being paid. The plotters
share their secrets and hear the victim's vote; they open the victim's arc in the last moment, fetch the one that
should pay it back as soon as they may, and give up nothing.
"""

# pyright: reportPrivateUsage=false
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from nanobarter.core.ids import sha256
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.core.units import SECOND, Instant, LeaseKind, Quantity, Span, after
from nanobarter.mint import pledge
from nanobarter.mint.answer_messages import DOMAIN_LOCKED, LockAnswer, Locked
from nanobarter.mint.messages import LockTerms
from nanobarter.sim.people import KIND, PLEDGED, TERMS, Person, key_of
from nanobarter.sim.purse import lock_case
from nanobarter.sim.seat import Seat
from nanobarter.swap.making import make_agreed, seal_message
from nanobarter.swap.messages import Agreed, open_approve
from nanobarter.swap.orders import Agree, Lock, Order, Send
from nanobarter.swap.positions import agreement_in
from nanobarter.swap.receipts import open_answer
from nanobarter.swap.states import Approved, Gathering, Mine
from nanobarter.swap.terms import Agreement, agreement_of
from tests.swap.plotting import Plot

OTHER_KIND: Final = LeaseKind("7d")


class NoLock(Plot):
    """Who should pay the victim locks nothing; with ``forged`` it signs the LOCKED itself."""

    def __init__(self, seed: int, *, forged: bool = False) -> None:
        super().__init__(seed)
        self.forged = forged

    def departs(self, seat: Seat, order: Order) -> bool:
        if seat.node is not self.payer or not isinstance(order, Lock):
            return False
        if self.forged:
            self.say_to_all(
                seat, "swap.locked", seal_signed(seat.node.key, DOMAIN_LOCKED, Locked(order.terms, seat.node.now))
            )
        return True


class FalseLock(Plot):
    """The lock that should pay the victim stands, but one field of it is not what was agreed."""

    def __init__(self, seed: int, field: str) -> None:
        super().__init__(seed, own=field == "kind", first=2 if field == "previous_issuer" else 1)
        self.field = field
        if field == "kind":
            pledge.set_pledges(self.payer.db, {KIND: PLEDGED, OTHER_KIND: PLEDGED})
        if field == "terms_hash":
            party = self.parties[self.payer.node]
            party.mine = self._promises(party.mine)

    def _promises(self, real: Callable[..., Mine]) -> Callable[..., Mine]:
        """Let the payer approve under other terms than its issuer has."""

        def mine(signed: Signed, index: int, issuer: Person) -> Mine:
            true = real(signed, index, issuer)
            better = replace(open_approve(true.approval), terms_hash=sha256(b"better terms"))
            return replace(true, approval=seal_message(self.payer.key, better))

        return mine

    def departs(self, seat: Seat, order: Order) -> bool:
        agreement = agreement_in(seat.state)
        if seat.node is not self.payer or not isinstance(order, Lock) or agreement is None or not self.field:
            return False
        false = FALSE[self.field](agreement, order.terms)
        case = lock_case(
            seat.node, self.people[order.terms.issuer], replace(order.terms, **{self.field: false}), order.until
        )

        def answered(signed: Signed) -> None:
            answer = open_answer(signed)
            if isinstance(answer, LockAnswer):
                self.say_to_all(seat, "swap.locked", answer.locked)

        self.post.ask(
            seat.node, order.terms.issuer, lambda other, give: self.mint(other, case, give), answered, lambda: None
        )
        return True

    def end(self, agreement: Agreement, index: int) -> Instant:
        false = self.field == "deadline" and index == self.place - 1
        return after(agreement.vote_by, Span(2_000)) if false else super().end(agreement, index)

    def act(self, agreement: Agreement) -> None:
        super().act(agreement)
        last, delta = agreement.deadline(self.place), agreement.pace.delta
        if self.field == "take_until":  # the victim sleeps, as it may for a month
            self.scheduler.at(after(last, Span(-950)), lambda: self.outage(self.victim, 2 * delta))
        if self.field in ("delta", "previous_issuer", ""):  # the payer's issuer is away, for less than delta
            issuer = self.post.nodes[agreement.issuers[self.place - 1]]
            self.scheduler.at(after(last, Span(-2_000)), lambda: self.outage(issuer, delta - SECOND))


FALSE: Final[Mapping[str, Callable[[Agreement, LockTerms], Any]]] = {
    "kind": lambda _agreement, _terms: OTHER_KIND,
    "terms_hash": lambda _agreement, _terms: TERMS,
    "quantity": lambda _agreement, _terms: Quantity(32),
    "hashes": lambda _agreement, terms: terms.hashes[::-1],
    "to_key": lambda _agreement, terms: terms.refund_key,
    "refund_key": lambda _agreement, _terms: key_of("a friend").public,
    "deadline": lambda agreement, _terms: after(agreement.vote_by, Span(2_000)),
    "delta": lambda _agreement, _terms: Span(1),
    "take_until": lambda _agreement, terms: after(terms.deadline, Span(1)),
    "previous_issuer": lambda _agreement, _terms: key_of("a friend").public,
}
"""What the payer locks instead. The other fields are the issuer's own: no honest one signs a lock with a false one."""


class SlowClock(Plot):
    """The clock of the victim's own issuer is behind by more than delta, so its arc ends after the one that pays it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, looks=False)  # a look at that issuer would end it sooner
        node = self.by_name[self.ring.issuers[self.place]]
        node.close()
        node.db.execute("BEGIN")
        node.skew = self.behind = -self.times.delta - 60 * SECOND
        node._beat()

    def end(self, agreement: Agreement, index: int) -> Instant:
        end = super().end(agreement, index)
        return after(end, Span(-self.behind)) if index == self.place else end


class FalseAgreed(Plot):
    """AGREED is not what the draft says."""

    def departs(self, seat: Seat, order: Order) -> bool:
        if not isinstance(order, Agree) or not isinstance(seat.state, Gathering):
            return False
        agreed = seal_message(
            seat.node.key, self.false(agreement_of(make_agreed(seat.node.key, seat.state, seat.node.now)))
        )
        for name in self.ring.people:
            self.friends._say(seat.node, self.by_name[name].node, "swap.agreed", agreed)
        return True

    def false(self, true: Agreement) -> Agreed:
        """Let the payer approve less than it has in the draft."""
        before = self.place - 1
        less = seal_message(self.payer.key, replace(true.approvals[before], quantity=Quantity(32)))
        for seat in self.parties[self.payer.node].seats.values():
            if isinstance(seat.state, Approved | Gathering):
                seat.state = replace(seat.state, mine=replace(seat.state.mine, approval=less))
        approvals = (*true.signed_approvals[:before], less, *true.signed_approvals[self.place :])
        return Agreed(true.draft_id, approvals, true.start, true.pace)


class FalsePace(FalseAgreed):
    """AGREED runs at another delta than the draft: nobody has time to collect after its own arc was paid."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.early = 8

    def false(self, true: Agreement) -> Agreed:
        return Agreed(true.draft_id, true.signed_approvals, true.start, replace(true.pace, delta=Span(1)))

    def act(self, agreement: Agreement) -> None:
        super().act(agreement)
        receiver = agreement.nodes[(self.place + 1) % agreement.size]
        self.post.slow[receiver, agreement.issuers[self.place]] = 1
        self.post.slow[self.payer.node, agreement.issuers[self.place - 1]] = 1


class TwoAgreed(Plot):
    """The victim alone is shown a first AGREED, in which only it locks, then the one in which all do."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, own=True)

    def departs(self, seat: Seat, order: Order) -> bool:
        if isinstance(order, Send) and order.method == "swap.agreed":
            return True
        if not isinstance(order, Agree) or not isinstance(seat.state, Gathering):
            return False
        first, second = (make_agreed(seat.node.key, seat.state, after(seat.node.now, Span(i))) for i in range(2))
        self.friends._say(seat.node, self.victim.node, "swap.agreed", first)
        for name in self.ring.parties:
            to = self.by_name[name].node
            self.scheduler.later(2_000, lambda to=to: self.friends._say(seat.node, to, "swap.agreed", second))
        return True


PLOTS: Final[dict[str, Callable[[int], Plot]]] = {
    "no lock": NoLock,
    "forged lock": lambda seed: NoLock(seed, forged=True),
    "issuer away": lambda seed: FalseLock(seed, ""),
    **{f"false {field}": lambda seed, field=field: FalseLock(seed, field) for field in FALSE},
    "slow clock": SlowClock,
    "false pace": FalsePace,
    "less agreed": FalseAgreed,
    "two agreements": TwoAgreed,
}
